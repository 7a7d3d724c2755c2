"""Counts of a scheduled kernel: what its loop nest really loads, stores and computes.

``measure`` walks the TensorIR that is compiled, with every guard and predicate, so it sees what the
formulas of ``counts`` leave out: halos that strips read twice, domains rounded up to whole tiles,
copies into scratch, sums that go through memory. Words are counted as the loops say, before the
compiler and the caches: an accumulator that LLVM keeps in a register counts as scratch.

Where formulas and our kernels for CPUs agree, and where they don't (tests/model/test_measured.py):

- output: every word is written once and none is read, in every variant; `depthwise` repeats some,
  where a row is no whole number of vectors;
- multiply-adds: as ``counts`` says for whole tiles, products with the padding included; else for
  the sizes rounded up to tiles. Revd2 and tdc leave out the taps that a phase lacks, so theirs are
  ``counts`` of stdd;
- input: each word once for a strip as large as the image; else halos are read by both neighbours,
  and each share of the output channels (``channel_splits``) reads everything;
- weights: what is packed has the words of the formula, with phases filled up as in tdc for stdd and
  revd2, but every register tile loads its weights anew (from a cache, one hopes);
- stdd loads and stores a sum for every tap of four input channels, which the formula leaves out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tvm import tirx
from tvm.target import Target

from tvm_deconv.backends import machine_of
from tvm_deconv.errors import VariantError
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

from .operators import Operator
from .read_tir import Reader


class Accesses(NamedTuple):
    """Words of one buffer that are loaded and stored."""

    loads: int
    stores: int


@dataclass(frozen=True)
class Measured:
    """What one call of a kernel does.

    ``additions`` and ``multiplications`` are those that are no part of a multiply-add. ``input``,
    ``weights`` and ``output`` are the first, second and last parameter of a kernel of this
    project's variants; ``scratch`` has a buffer of the nest under each name.
    """

    multiply_adds: int
    additions: int
    multiplications: int
    parameters: tuple[Accesses, ...]
    scratch: Mapping[str, Accesses]

    @property
    def input(self) -> Accesses:
        return self.parameters[0]

    @property
    def weights(self) -> Accesses:
        return self.parameters[1]

    @property
    def output(self) -> Accesses:
        return self.parameters[-1]


def measure_layer(
    operator: Operator, variant: str, target: str | Target = "host", *, registers: bool = False
) -> Measured:
    """Counts of the kernel that a variant makes of an operator for a target.

    The tile sizes are those of the machine model. Raises VariantError for a variant that the target
    does not have or that cannot compute the operator, TargetError for a target without schedules.
    """
    machine = machine_of(resolve_target(target))
    known = variants_for(machine)
    if variant not in known:
        raise VariantError(f"the target has the variants {', '.join(known)}, not {variant!r}")
    reason = known[variant].cannot(operator.conv)
    if reason is not None:
        raise VariantError(f"{variant} does not compute this operator: {reason}")
    sizes = Sizes(operator.batch, operator.height, operator.width)
    layer = Layer(operator.conv, sizes, operator.dtype)
    parameters = known[variant].choose(operator.conv, sizes, machine)
    kernel = Candidate(layer, known[variant], parameters).kernel()
    return measure(kernel, registers=registers)


def measure(
    func: tirx.PrimFunc, sizes: Mapping[str, int] | None = None, *, registers: bool = False
) -> Measured:
    """Counts of a scheduled function; ``sizes`` are the values of its shape variables by name.

    A word that all lanes of a vectorised loop load counts once. With ``registers`` so does one that
    all iterations of an unrolled loop load and none writes: then the loads of input, scratch and
    weights are those of a compiler that keeps such words in registers. Raises VariantError for a
    nest whose control flow or indices depend on data, or on a size that is not given.
    """
    reader = Reader(sizes or {}, registers)
    parameters = [reader.name_of(param) for param in func.params]
    nest = reader.statement(func.body)
    totals: Counter[tuple[str, str]] = Counter()
    for event, times in nest.count({}).items():
        totals[event.kind, event.buffer] += times

    def accesses(buffer: str) -> Accesses:
        return Accesses(totals["load", buffer], totals["store", buffer])

    touched = {buffer for _, buffer in totals if buffer}
    return Measured(
        totals["multiply_add", ""],
        totals["add", ""],
        totals["multiply", ""],
        tuple(accesses(name) for name in parameters),
        {name: accesses(name) for name in sorted(touched - set(parameters))},
    )
