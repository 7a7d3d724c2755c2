"""What a network computes and moves, operator by operator, before the rewrite and after it.

Convolutions are counted as ``convolutions`` says: before the rewrite as they stand, transposed ones
by one of the paper's algorithms, or as our own REVD2 and TDC do (``OURS``). Everything else is data
that passes:

- a shuffle, a resize, a padding and any other operator reads its tensors and writes its result,
  each word once;
- a pointwise operator is computed where its first operand is stored, so it only reads the others;
  so is what quantizes and dequantizes between them, but what quantizes the network's input is a
  pass of its own;
- a reshape, and whatever depends on constants only, costs nothing.

The arithmetic of operators other than convolutions is not counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import tvm
from tvm import relax

from tvm_deconv.compiler import one_error
from tvm_deconv.importer import Model, Shapes, load
from tvm_deconv.layer_names import layer_name
from tvm_deconv.patterns.decide import decide
from tvm_deconv.patterns.rule import Plan
from tvm_deconv.patterns.shuffle import Shuffle, read_shuffle
from tvm_deconv.transform.graph import Graph, op_name
from tvm_deconv.transform.keep_bytes import QUANTIZE
from tvm_deconv.transform.lower.layers import describe
from tvm_deconv.transform.one_dimension import AddHeight
from tvm_deconv.transform.recover import recover
from tvm_deconv.transform.rewrite import rewrite_upsampling

from .convolutions import (
    CONVOLUTIONS,
    FREE,
    OURS,
    POINTWISE,
    Computed,
    bytes_moved,
    convolution_work,
    integers_of,
)
from .devices import INTEGERS
from .roofline import Work


@dataclass(frozen=True)
class ModelLayer:
    """A convolution with what upsamples before or behind it; ``steps`` run one after the other."""

    name: str
    before: str
    after: str
    steps_before: tuple[Work, ...]
    steps_after: tuple[Work, ...]

    @property
    def rewritten(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class NetworkModel:
    """All convolutions in order, then all other operators together as the last layer."""

    layers: tuple[ModelLayer, ...]
    others: ModelLayer

    def steps(self, *, rewritten: bool) -> tuple[Work, ...]:
        """Every step of the network."""
        return tuple(
            step
            for layer in (*self.layers, self.others)
            for step in (layer.steps_after if rewritten else layer.steps_before)
        )


def read_network(
    model: Model, shapes: Shapes | None = None, *, algorithm: Computed = OURS
) -> NetworkModel:
    """The steps of a model; ``algorithm`` computes the transposed convolutions.

    ``model`` and ``shapes`` are those of ``tvm_deconv.importer.load``. Raises ModelError as that
    does, and for a model whose sizes are not all known.
    """
    mod = load(model, shapes)
    with one_error():
        mod = tvm.transform.Sequential([AddHeight()])(mod)
        before, (after, _) = recover(mod), rewrite_upsampling(mod)
        # Another name of a result would hide who reads it.
        after = relax.transform.CanonicalizeBindings()(after)
    functions = {name.name_hint: func for name, func in after.functions_items()}
    layers: list[ModelLayer] = []
    others: tuple[list[Work], list[Work]] = [], []
    for name, func in sorted(before.functions_items(), key=lambda item: item[0].name_hint):
        if isinstance(func, relax.Function):
            graphs = Graph(func), Graph(functions[name.name_hint])
            layers += _layers(*graphs, algorithm, others)
    words = "other operators"
    return NetworkModel(
        tuple(layers), ModelLayer("(others)", words, words, tuple(others[0]), tuple(others[1]))
    )


def _layers(
    before: Graph, after: Graph, algorithm: Computed, others: tuple[list[Work], list[Work]]
) -> Iterator[ModelLayer]:
    """The layers of a function; the work of what belongs to none is added to ``others``."""
    plans = {d.outcome.conv: d.outcome for d in decide(before) if isinstance(d.outcome, Plan)}
    old, new = _steps(before, algorithm), _steps(after, algorithm)
    # The rewrite puts new convolutions where the old one's root was, so the order is the same.
    roots = {plans[var].root if var in plans else var: var for var in _convolutions(before, old)}
    results = iter(_convolutions(after, new))
    for root in _ordered(before, roots):
        var = roots[root]
        steps, plan = [old.pop(var)], plans.get(var)
        made = tuple(new.pop(v) for v in islice(results, 1 if plan is None else plan.convolutions))
        before_words = after_words = describe(before, var)
        if plan is not None:
            before_words, after_words = plan.before, plan.after
            moved = [old.pop(v) for v in _ordered(before, plan.absorbed) if v in old]
            steps = [*steps, *moved] if root in plan.absorbed else [*moved, *steps]
        before_words, after_words = before_words + _of_bytes(steps), after_words + _of_bytes(made)
        yield ModelLayer(layer_name(root), before_words, after_words, tuple(steps), made)
    others[0].extend(old.values())
    others[1].extend(new.values())


def _of_bytes(steps: Sequence[Work]) -> str:
    """What is multiplied, where that is bytes by weights of a dtype."""
    found = [name for name in INTEGERS if any(getattr(step, name) for step in steps)]
    return f", bytes by {' and '.join(found)}" if found else ""


def _convolutions(graph: Graph, steps: Iterable[relax.Var]) -> list[relax.Var]:
    return [var for var in steps if graph.op(var) in CONVOLUTIONS]


def _ordered(graph: Graph, members: Iterable[relax.Var]) -> list[relax.Var]:
    return sorted(members, key=graph.position.__getitem__)


def _steps(graph: Graph, algorithm: Computed) -> dict[relax.Var, Work]:
    """The work of every operator that does any, in order."""
    found: dict[relax.Var, Work] = {}
    inside: set[relax.Var] = set()
    for var in graph.order:
        shuffle = read_shuffle(graph, var) if var in graph.live else None
        if isinstance(shuffle, Shuffle):
            inside |= shuffle.members - {var}
            found[var] = Work(0, bytes_moved(graph, shuffle.data) + bytes_moved(graph, var))
    for var in graph.order:
        if var in graph.live and var not in found and var not in inside:
            work = _work(graph, var, algorithm)
            if work.multiply_adds or work.bytes:
                found[var] = work
    return {var: found[var] for var in graph.order if var in found}


def _work(graph: Graph, var: relax.Var, algorithm: Computed) -> Work:
    call = graph.value(var)
    name = op_name(call)
    if name in CONVOLUTIONS:
        return convolution_work(graph, var, algorithm, integers_of(graph, var))
    if name is None or name in FREE or graph.constant(var) is not None:
        return Work(0, 0)
    operands = [a for a in call.args if isinstance(a, relax.Var) and graph.constant(a) is None]
    is_pass = name not in POINTWISE or (name == QUANTIZE and graph.value(operands[0]) is None)
    moved = [*operands, var] if is_pass else operands[1:]
    return Work(0, sum(bytes_moved(graph, tensor) for tensor in moved))
