"""Operands whose free sizes are different formulas, and equal where the network can be run.

A decoder doubles what its encoder has halved, and adds the two: ``2 * ((h - 1) // 4 + 1)`` and
``(h - 1) // 2 + 1`` are equal wherever a multiple of the stride comes in. TVM leaves the result
without a shape. One operand is therefore taken for the shape of the other, and that they are equal
is asked when the model is run. So is whether a map that was resized to the size of another by a
scale in float32 has got it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax, sym, tirx

from tvm_deconv.frontends.onnx.formulas import are_one
from tvm_deconv.frontends.onnx.fractions import as_meant

from .call import dtype_of, known_shape


class EqualSizes(Exception):
    """Two free sizes of inputs, by their names, that are equal wherever the network can be run."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(one, other)
        self.one, self.other = one, other


def aligned(
    builder: relax.BlockBuilder,
    operands: Sequence[Any],
    apart: Sequence[int] = (),
    repeats: bool = True,
) -> list[Any]:
    """The operands, their sizes as the first that has a formula in the same free sizes.

    Along the axes ``apart`` they may differ; negative ones count from the last of each. Where none
    ``repeats``, as in Concat, the others must be equal, whatever they are formulas in. Elsewhere
    sizes in other free ones are left: one of them may be 1, and be repeated.

    Raises EqualSizes for two free sizes, alone, that must be equal.
    """
    shapes = [known_shape(operand) for operand in operands]
    found = list(operands)
    for i, shape in enumerate(shapes):
        if shape is None:
            continue
        wanted = list(shape)
        for place in range(-len(shape), 0):
            if not any(place % len(shape) == axis % len(shape) for axis in apart):
                beside = [s[place] for s in shapes if s is not None and len(s) >= -place]
                wanted[place] = common_size(shape[place], beside, repeats)
        if any(a is not b for a, b in zip(shape, wanted, strict=True)):
            ty = relax.TensorType(wanted, dtype_of(operands[i]))
            found[i] = builder.match_cast(operands[i], ty)
    return found


def common_size(size: Any, beside: Sequence[Any], repeats: bool = True) -> Any:
    """The fixed size or first formula ``beside`` that ``size`` must equal; else ``size``.

    A free size of an input alone is never the one: TVM takes a cast to it for its definition,
    replaces it by the formula that it is in itself, and ends with the stack.
    """
    if isinstance(size, int):
        return size
    if any(as_meant(n) is not n for n in beside):
        meant = as_meant(size)
        twins = [n for n in beside if n is not size and are_one(as_meant(n), meant)]
        if isinstance(size, tirx.Var):
            rounded = [n for n in twins if as_meant(n) is not n]
        else:
            # What was resized to another map's size takes the formula of that.
            rounded = [n for n in twins if meant is not size and not isinstance(n, tirx.Var)]
            beside = [n for n in beside if all(n is not twin for twin in twins)]
        if rounded:
            return rounded[0]
    fixed = [n for n in beside if isinstance(n, int)]
    if fixed and not repeats:
        return fixed[0]
    for n in beside:
        alone = isinstance(n, tirx.Var) and isinstance(size, tirx.Var)
        if alone and not repeats and not n.same_as(size):
            raise EqualSizes(n.name, size.name)
    for n in (n for n in beside if not isinstance(n, (int, tirx.Var))):
        if n is size or are_one(n, size):
            return size
        if _must_equal(n, size, repeats):
            return n
    return size


def _must_equal(a: Any, b: Any, repeats: bool) -> bool:
    """Whether formulas that are not provably equal have to be.

    Where an operand of size 1 ``repeats``, those of the same free sizes only, and not such as h and
    h - 7, which never are: there one fits where it is 1.
    """
    if not repeats:
        return True
    variables = [set(tirx.analysis.undefined_vars(formula)) for formula in (a, b)]
    apart = sym.Analyzer().simplify(a - b)
    return variables[0] == variables[1] and not (isinstance(apart, tirx.IntImm) and apart.value)
