"""Operands whose free sizes are different formulas, and equal where the network can be run.

A decoder doubles what its encoder has halved, and adds the two: ``2 * ((h - 1) // 4 + 1)`` and
``(h - 1) // 2 + 1`` are equal wherever a multiple of the stride comes in. TVM leaves the result
without a shape. One operand is therefore taken for the shape of the other, and that they are equal
is asked when the model is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax, tirx

from tvm_deconv.frontends.onnx.formulas import sizes_analyzer

from .call import dtype_of, known_shape


def aligned(
    builder: relax.BlockBuilder, operands: Sequence[Any], apart: Sequence[int] = ()
) -> list[Any]:
    """The operands, their sizes as the first that has a formula in the same free sizes.

    Along the axes ``apart`` they may differ, as in Concat; negative ones count from the last of
    each. Sizes in other free ones are left: one of them may be 1, and be repeated.
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
                wanted[place] = common_size(shape[place], beside)
        if any(a is not b for a, b in zip(shape, wanted, strict=True)):
            ty = relax.TensorType(wanted, dtype_of(operands[i]))
            found[i] = builder.match_cast(operands[i], ty)
    return found


def common_size(size: Any, beside: Sequence[Any]) -> Any:
    """The first formula ``beside`` that ``size`` must equal; ``size`` where there is none.

    A free size of an input alone is never the one: TVM takes a cast to it for its definition,
    replaces it by the formula that it is in itself, and ends with the stack.
    """
    formulas = [n for n in beside if not isinstance(n, (int, tirx.Var))]
    return next((n for n in formulas if n is size or _must_equal(n, size)), size)


def _must_equal(a: Any, b: Any) -> bool:
    """Whether both are formulas in the same free sizes, and not provably equal."""
    if isinstance(a, int) or isinstance(b, int):
        return False
    if set(tirx.analysis.undefined_vars(a)) != set(tirx.analysis.undefined_vars(b)):
        return False
    return not sizes_analyzer(a, b).can_prove_equal(a, b)
