"""``check``: compile, run random inputs here and on the model's own runtime, compare, locate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.compiler import build, for_threads, pipeline_of
from tvm_deconv.errors import CheckError, TargetError, TvmDeconvError
from tvm_deconv.importer import Model, Shapes, load
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec
from tvm_deconv.option_types import check_flag, check_integer
from tvm_deconv.options import Options
from tvm_deconv.schedules.budget import Growth
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, HALF
from tvm_deconv.size_errors import in_words
from tvm_deconv.targets import TargetSpec, is_this_machine

from .draws import Sizes, drawn, sizes_of
from .locate import first_wrong
from .report import CheckReport, OutputCheck
from .rounding import Comparison, compare, nearby, part_of_largest
from .subject import Layer, ReferenceRefusal, Subject
from .subjects import subject_of

# Of free sizes: as many are tried, as far as the reference takes them.
_SIZES = 3
# Runs of the reference with inputs and weights moved by a rounding error.
_SEEDS = (1, 2)
_ANSWERS = {True: "wrong", False: "right", None: "not to be told"}


@dataclass
class _Case:
    """Inputs, what the reference gives for them, and what it gives for those nearby."""

    inputs: list[np.ndarray]
    wanted: list[np.ndarray]
    others: list[list[np.ndarray]] = field(default_factory=list)


class _Stopped(Exception):
    """The compiled model raised an error; the text is its first line."""


def check(
    model: Model,
    target: TargetSpec = "host",
    *,
    shapes: Shapes | None = None,
    rewrite: bool = True,
    threads: int | None = None,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
    max_weight_growth: Growth = AUTO,
    accumulate: str = ACCUMULATE_DTYPE,
    seed: int = 0,
    draws: int = 2,
    locate: bool = True,
    tell: Callable[[str], None] = lambda line: None,
) -> CheckReport:
    """Whether the model, compiled as ``tvm_deconv.compile`` does, computes what its runtime does.

    An ONNX model is held against ONNX Runtime, a TFLite file against LiteRT, an exported program
    against PyTorch. There are ``draws`` random inputs, which ``seed`` decides, for each of up to
    three sets of sizes of what ``shapes`` leaves free. A result may be off by what ``rounding``
    says. If one is further off and ``locate`` is true, the model is cut in two again and again,
    each part compiled, until the layer is found that is wrong though all that it reads is right;
    ``tell`` gets a line for each part. The other arguments are those of ``compile``; ``target`` is
    this machine, which runs the result.

    Raises what ``compile`` raises for a model that is refused here; CheckError for a reference that
    is not installed or refuses the model, for a Relax module and for sizes that it does not take;
    TargetError for another target than this machine; OptionError for ``draws``, ``seed`` and
    ``locate`` of another type, or less than 1 and 0.
    """
    resolved = for_threads(target, threads)
    _require_host(resolved, target)
    draws, seed = check_integer("draws", draws, 1), check_integer("seed", seed, 0)
    check_flag("locate", locate)
    subject = subject_of(model)
    options = Options(rewrite, variant, winograd, log, max_weight_growth, accumulate)
    passes = pipeline_of(resolved, options)
    dtypes = {*subject.dtypes, *([HALF] if accumulate == HALF else [])}
    ours = _Ours(shapes, resolved, passes, part_of_largest(dtypes, winograd))
    mod = load(model, shapes)
    machine = ours.machine(mod)
    cases = _cases(subject, mod, range(seed * draws, (seed + 1) * draws))
    names = [str(param.name) for param in mod["main"].params]
    words = [_words(names, case) for case in cases]
    found = []
    for case, where in zip(cases, words, strict=True):
        try:
            found.append(ours.compared(machine, case))
        except _Stopped as error:
            stopped = f"{error}, at {where}"
            return CheckReport(subject.reference, tuple(words), (), stopped)
    # Of each output, the case in which it is the furthest off.
    worst = [
        max(range(len(cases)), key=lambda i: found[i][output].excess)
        for output in range(len(subject.outputs))
    ]
    outputs = tuple(
        OutputCheck.of(name, words[i], found[i][output])
        for output, (name, i) in enumerate(zip(subject.outputs, worst, strict=True))
    )
    layer = None
    wrong = [output for output, line in enumerate(outputs) if line.problem]
    if wrong and locate:
        inputs = cases[worst[wrong[0]]].inputs

        def is_wrong(one: Layer) -> bool | None:
            answer = ours.is_wrong(subject, inputs, one)
            tell(f"{_ANSWERS[answer]} up to {one}")
            return answer

        layer = first_wrong(subject.layers(), subject.outputs[wrong[0]], is_wrong)
    return CheckReport(subject.reference, tuple(words), outputs, layer=layer)


@dataclass(frozen=True)
class _Ours:
    """What we make of a model: how it is compiled, and how far it may be off."""

    shapes: Shapes | None
    target: tvm.target.Target
    passes: tvm.transform.Pass
    part: float

    def machine(self, mod: tvm.IRModule) -> relax.VirtualMachine:
        """The compiled module, ready to run."""
        return relax.VirtualMachine(
            build(mod, None, self.target, self.passes).executable, tvm.cpu()
        )

    def compared(self, machine: relax.VirtualMachine, case: _Case) -> list[Comparison]:
        """Every output for one case; raises _Stopped if there is none."""
        try:
            result = machine["main"](*(tvm.runtime.tensor(array) for array in case.inputs))
        except Exception as error:  # TVM raises RuntimeError, ValueError, its own classes, ...
            raise _Stopped(in_words(error)) from error
        tensors = [result] if isinstance(result, tvm.runtime.Tensor) else list(result)
        return [
            compare(tensor.numpy(), wanted, [other[i] for other in case.others], self.part)
            for i, (tensor, wanted) in enumerate(zip(tensors, case.wanted, strict=True))
        ]

    def is_wrong(self, subject: Subject, inputs: list[np.ndarray], layer: Layer) -> bool | None:
        """Whether the layer differs where it is the only output; None if that cannot be told."""
        try:
            part = subject.cut(layer.key)
            machine = self.machine(load(part.model, self.shapes))
            case = _Case(inputs, part.run(inputs))
            _try_rounding(part, [case])
            found = self.compared(machine, case)
        except (TvmDeconvError, ReferenceRefusal, _Stopped):
            return None
        return any(comparison.problem for comparison in found)


def _words(names: Sequence[str], case: _Case) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in zip(names, case.inputs, strict=True)}


def _require_host(target: tvm.target.Target, asked: TargetSpec) -> None:
    """Raise TargetError for a target that this process does not run on."""
    if not is_this_machine(target):
        name = asked if isinstance(asked, str) else target.attrs.get("mcpu", target.kind.name)
        raise TargetError(
            f"check runs what it compiles, and {name} is not this machine: leave the target out, "
            "or run check on the device"
        )


def _cases(subject: Subject, mod: tvm.IRModule, seeds: Sequence[int]) -> list[_Case]:
    """Random inputs of up to three sizes that the reference takes, with its results."""
    cases: list[_Case] = []
    taken: list[Sizes] = []
    refusal = ""
    for sizes in sizes_of(mod):
        if len(taken) == _SIZES:
            break
        try:
            inputs = [drawn(mod, sizes, seed) for seed in seeds]
            cases += [_Case(arrays, subject.run(arrays)) for arrays in inputs]
            taken.append(sizes)
        except ReferenceRefusal as error:
            refusal = refusal or str(error)
    if not taken:
        raise CheckError(
            f"we compile this, but {subject.reference} refuses it: {refusal or 'no sizes'}"
        )
    _try_rounding(subject, cases)
    return cases


def _try_rounding(subject: Subject, cases: Sequence[_Case]) -> None:
    """Let the reference run inputs and weights that are a rounding error off."""
    for seed in _SEEDS:
        moved = subject.nearby(seed)  # one at a time: it holds all weights once more
        for case in cases:
            try:
                case.others.append(moved.run([nearby(array, seed) for array in case.inputs]))
            except ReferenceRefusal:  # which took the numbers beside them
                continue
