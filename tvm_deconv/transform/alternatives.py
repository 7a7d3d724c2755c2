"""Which layers are faster as they are: where a rewrite is weighed against what it replaces.

A rewrite is exact, but it need not pay: a folded resize has 16 weights for 9 of a 3x3 kernel, and
where the budget (``schedules.budget``) does not allow its faster forms, resizing first and a plain
convolution in Winograd's form may take less. So both sides of every plan, whichever rule it is of,
are read as what will be computed of them: layers, each with all of its forms, and operators that
only move values. What both sides can be, cycles and weights, is one list; with the forms of all
other layers of the function it goes through the budget, and a layer whose form is one of the side
that is there already is left as it is.

What values that are moved cost was measured on an Intel Xeon (Emerald Rapids), one thread beside
other programs, 2026-11-29: of six sub-pixel layers of 64 channels the shuffle takes 4 to 9 cycles
for each value, at the rate of the cycles that the model has for the rewritten layer, and of nearest
resizes of 64 channels from 128x128 and 256 from 64x64 7 and 8 (the resize alone 1, the rest is that
the convolution reads a map larger than its cache). The former take 1.31 to 1.62 times as long as
they are. Both estimates together are no better than 10 %, and a large map takes memory: a layer is
left only where that and 0.1 ms are gained. Free sizes are the same picture's on both sides, and
typical ones (``lower.weighed``).

Not asked are layers that are computed in integers, those that no variant of ours computes, and
variants that are named: what is asked for is done. On GPUs, where nothing of this was measured,
only the budget has a layer left.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import product
from math import prod

from tvm import relax

from tvm_deconv.annotations import BORDER
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.budget import Budget, Form, Weighed, chain_of, within
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.typical import of_model

from .graph import CONCAT, COPIES, PAD, RESIZE, VIEWS, Graph, op_name, shape_of, variables
from .keep_bytes import DEQUANTIZE
from .lower.layers import convolutions_of
from .lower.read import CONV, CONV_TRANSPOSE, Convolution
from .lower.volumes import CONV_3D, CONV_3D_TRANSPOSE
from .lower.weighed import size_of, weighed_forms
from .many_phases import MOST_PHASES

# Cycles of a thread for each value that an operator of its own writes and a convolution reads.
_MOVED = 8
# And to call it and wake its threads: some microseconds.
_CALL = 10_000
# What a layer that is left has to win by, of both sides' estimates: a share, and cycles (0.1 ms),
# below which they know too little of a layer to say which of its sides is faster.
_CLEARLY, _NOTICED = 0.9, 300_000
# What stands for the former on machines whose times say nothing.
_NEVER = 1e-6

# Operators that only write elsewhere what they read.
_MOVES = COPIES - VIEWS | {"relax.call_tir", CONCAT, PAD, RESIZE}
_CONVOLUTIONS = frozenset({CONV, CONV_TRANSPOSE, CONV_3D, CONV_3D_TRANSPOSE})


@dataclass(frozen=True)
class Sides:
    """A rewrite: operators of ``before`` that it replaces, those of ``after`` in their place."""

    before: tuple[relax.Var, ...]
    after: tuple[relax.Var, ...]


@dataclass(frozen=True)
class _Way:
    """One way to compute a layer: with which weights, in how many cycles, rewritten or not.

    ``counted`` are the cycles as they are compared, if not as they are.
    """

    weights: int
    own: float
    is_rewritten: bool
    counted: float | None = None

    @property
    def cycles(self) -> float:
        return self.own if self.counted is None else self.counted


def slower(before: Graph, after: Graph, rewrites: Sequence[Sides], chooser: Chooser) -> list[str]:
    """Why each of the ``rewrites`` of a function is to be left, in words; empty where it is not.

    ``before`` and ``after`` are the function without and with all of them.
    """
    if chooser.preferences.variant != AUTO:
        return [""] * len(rewrites)
    pricing = _Pricing(chooser)
    pairs = [_ways(before, after, sides, pricing) for sides in rewrites]
    clearly = _CLEARLY if isinstance(chooser.machine, CpuMachine) else _NEVER
    asked = {n: _chain(*pair, clearly) for n, pair in enumerate(pairs) if pair}
    # Layers that a rewrite replaces and that are not asked count in neither sum.
    gone = {var for sides in rewrites for var in sides.before}
    others = [var for var in before.order if var in before.live and var not in gone]
    plain = pricing.convolutions(before, others)
    weighed = pricing.convolutions(before, [var for n in asked for var in rewrites[n].before])
    most = chooser.budget.most(sum(conv.weight.size for conv in (*plain, *weighed)))
    forms: list[Sequence[Weighed]] = [*asked.values(), *map(pricing.forms, plain)]
    taken = within(forms, most)
    spare = max(most - sum(own[at].weights for own, at in zip(forms, taken, strict=True)), 0)
    reasons = [""] * len(rewrites)
    for (n, chain), at in zip(asked.items(), taken, strict=False):
        pair = pairs[n]
        if pair and not chain[at].is_rewritten:
            model = of_model(_is_free(rewrites[n].before))
            reasons[n] = _words(pair[1], chain[at], spare, chooser.budget, model)
    return reasons


class _Pricing:
    """The layers of operators, each kind read once, and their forms."""

    def __init__(self, chooser: Chooser) -> None:
        self.chooser = chooser
        self._read: dict[tuple, tuple[Convolution, ...] | Refused] = {}

    def layers(self, graph: Graph, var: relax.Var) -> tuple[Convolution, ...] | None:
        """The layers that compute ``var``; none if it is no convolution, None if none of ours."""
        if op_name(graph.value(var)) not in _CONVOLUTIONS:
            return ()
        call = graph.value(var)
        data, weight = call.args
        # Of layers that differ in nothing but their weights one is read: a network has hundreds.
        key: tuple = str(call.op), str(call.attrs), str(data.ty), str(weight.ty)
        if isinstance(weight, relax.Var):
            key = (*key, var)
        if key not in self._read:
            self._read[key] = convolutions_of(graph, var, self.chooser.machine)
        found = self._read[key]
        if isinstance(found, Refused) or _is_of_bytes(graph, data):
            return None
        # Such phases become channels later.
        return None if any(max(conv.op.strides) > MOST_PHASES for conv in found) else found

    def convolutions(self, graph: Graph, members: Iterable[relax.Var]) -> list[Convolution]:
        """The layers of ours that compute any of ``members``."""
        return [conv for var in members for conv in self.layers(graph, var) or ()]

    def forms(self, conv: Convolution) -> tuple[Form, ...]:
        return weighed_forms(conv, self.chooser)


def _ways(
    before: Graph, after: Graph, sides: Sides, pricing: _Pricing
) -> tuple[list[_Way], list[_Way]] | None:
    """The ways without the rewrite, and with it; None where a layer of it is not ours."""
    left = _side(before, sides.before, pricing, is_rewritten=False)
    rewritten = _side(after, sides.after, pricing, is_rewritten=True)
    return (left, rewritten) if left and rewritten else None


def _side(
    graph: Graph, members: Sequence[relax.Var], pricing: _Pricing, is_rewritten: bool
) -> list[_Way]:
    """All ways of one side: a form of each layer, and what is moved; none if one is not ours."""
    forms = []
    for var in members:
        convs = pricing.layers(graph, var)
        if convs is None:
            return []
        forms += [pricing.forms(conv) for conv in convs]
    if not forms:
        return []
    moved = _moved_cycles(graph, members, pricing.chooser.machine)
    start = [_Way(0, moved, is_rewritten)]
    return reduce(_sums, forms, start)


def _sums(ways: Sequence[_Way], forms: Sequence[Form]) -> list[_Way]:
    """Each of ``ways`` with each form of one layer more, without those that others better."""
    found = [
        _Way(way.weights + form.weights, way.own + form.cycles, way.is_rewritten)
        for way, form in product(ways, forms)
    ]
    fastest = min(found, key=lambda way: (way.cycles, way.weights))
    return list(chain_of(fastest, found))


def _chain(left: Sequence[_Way], rewritten: Sequence[_Way], clearly: float) -> tuple[_Way, ...]:
    """Both kinds of ways as one; those that are left have to be clearly ahead."""
    handicapped = [replace(way, counted=way.own / clearly + _NOTICED) for way in left]
    ways = [*rewritten, *handicapped]
    first = min(ways, key=lambda way: (way.cycles, way.weights))
    return chain_of(first, ways)


def _is_free(members: Iterable[relax.Var]) -> bool:
    """Whether an operator has a size that only the run time knows, besides the batch."""
    sizes = [size for var in members for size in (shape_of(var) or ())[1:]]
    return not all(isinstance(size, int) for size in sizes)


def _words(rewritten: Sequence[_Way], left: _Way, spare: float, budget: Budget, model: str) -> str:
    """Why a layer is left that could be ``rewritten``."""
    own = f"{left.own / 1e6:.3g} Mcycles"
    allowed = [way for way in rewritten if way.weights <= left.weights + spare]
    limit = f"max_weight_growth {budget.growth:g}"
    if not allowed:
        least = min(way.weights for way in rewritten)
        return (
            f"rewritten it has {least} weights or more, as it is {left.weights}, and all "
            f"convolutions together may not have so many ({limit})"
        )
    best = min(allowed, key=lambda way: way.cycles)
    text = f"by the {model} it takes {own} as it is, and {best.cycles / 1e6:.3g} rewritten"
    fastest = min(rewritten, key=lambda way: way.cycles)
    if fastest.cycles < left.cycles and best is not fastest:
        cycles = f"{fastest.cycles / 1e6:.3g}"
        text += f" ({cycles} with {fastest.weights} weights, more than {limit} allows)"
    return text


def _moved_cycles(graph: Graph, members: Iterable[relax.Var], machine: Machine) -> float:
    """Cycles of operators that only move values; those of a map that others read are shared."""
    if not isinstance(machine, CpuMachine):
        return 0.0
    total = 0.0
    for var in members:
        if not _moves(graph, var):
            continue
        readers = _readers(graph, var)
        # One loop nest computes a chain of them.
        if readers and all(_moves(graph, reader) for reader in readers):
            continue
        own = _CALL + _MOVED * _elements(var) / machine.threads
        total += own / max(len(readers), 1)
    return total


def _readers(graph: Graph, var: relax.Var) -> list[relax.Var]:
    """Who reads a tensor, or a view of it."""
    found = []
    for user in graph.users.get(var, []):
        is_view = op_name(graph.value(user)) in VIEWS
        found += _readers(graph, user) if is_view else [user]
    return found


def _moves(graph: Graph, var: relax.Var) -> bool:
    name = op_name(graph.value(var))
    return name in _MOVES and graph.annotation(var, BORDER) is None


def _elements(var: relax.Var) -> int:
    """Of a tensor."""
    batch, *sizes = shape_of(var) or (1,)
    return (batch if isinstance(batch, int) else 1) * prod(map(size_of, sizes))


def _is_of_bytes(graph: Graph, data: relax.Expr) -> bool:
    """Whether what a layer reads was dequantized, maybe moved since."""
    pending, seen = [data], set()
    while pending:
        expr = pending.pop()
        if not isinstance(expr, relax.Var) or expr in seen:
            continue
        seen.add(expr)
        name = op_name(graph.value(expr))
        if name == DEQUANTIZE:
            return True
        if name in _MOVES | VIEWS:
            pending += variables(graph.value(expr))
    return False


def replaced(graph: Graph, root: relax.Var, read: Iterable[relax.Var]) -> tuple[relax.Var, ...]:
    """The operators that compute ``root`` from the tensors ``read``."""
    found: dict[relax.Var, None] = {}
    stop, pending = set(read), [root]
    while pending:
        var = pending.pop()
        if var in stop or var in found or graph.value(var) is None:
            continue
        found[var] = None
        pending += variables(graph.value(var))
    return tuple(found)
