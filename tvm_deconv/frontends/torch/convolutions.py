"""Convolutions of one to three dimensions, and matrix products.

Half precision is accumulated in float32: by asking for it, except in the convolutions that
``LowerConvolutions`` takes, whose kernels do so themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError

from .functions import working_dtype
from .slicing import sliced
from .translation import Translation
from .values import is_tensor, shape_of, value_of

op = relax.op
_CONVOLUTIONS = {1: op.nn.conv1d, 2: op.nn.conv2d, 3: op.nn.conv3d}
_TRANSPOSED = {1: op.nn.conv1d_transpose, 2: op.nn.conv2d_transpose, 3: op.nn.conv3d_transpose}


def convolution(
    t: Translation,
    x: relax.Expr,
    weight: relax.Expr,
    bias: relax.Expr | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> relax.Expr:
    n = len(shape_of(x)) - 2
    if n not in _CONVOLUTIONS:
        raise ModelError(f"the input has {n + 2} axes, not 3 to 5")
    if not isinstance(groups, int):
        raise ModelError(f"groups is {groups}, a free size: export it with a fixed one")
    attributes: dict[str, Any] = {
        "strides": _for_axes(stride, n),
        "padding": _for_axes(padding, n),
        "dilation": _for_axes(dilation, n),
        "groups": groups,
    }
    operator, beyond = _CONVOLUTIONS[n], [0] * n
    free: list[int] = []
    if transposed:
        operator = _TRANSPOSED[n]
        attributes["output_padding"], free = _most(output_padding, attributes, n)
        beyond = _beyond(attributes)
    lowered = n <= 2 and (transposed or attributes["strides"] == [1, 1])
    ours = lowered and value_of(weight) is not None
    out_dtype = t.dtype if ours else working_dtype(t.dtype)
    y = t.cast(t.emit(operator(x, weight, **attributes, out_dtype=out_dtype)), t.dtype)
    if any(beyond):
        y = t.emit(op.nn.pad(y, [0, 0, 0, 0, *(w for extra in beyond for w in (0, extra))]))
    if bias is not None:
        y = t.emit(op.add(y, t.reshape(bias, [1, shape_of(bias)[0], *[1] * n])))
    for axis in free:  # the recorded size says how much of it is there
        y = sliced(t, y, axis + 2, 0, t.shape[axis + 2], 1)
    return y


def _most(
    output_padding: Sequence[Any], attributes: dict[str, Any], n: int
) -> tuple[list[int], list[int]]:
    """Output padding for each axis, and the axes where it is a formula in free sizes.

    There it is the most that it may be: a stride less one.
    """
    extra = list(output_padding) * (n if len(output_padding) == 1 else 1)
    free = [axis for axis, size in enumerate(extra) if not isinstance(size, int)]
    for axis in free:
        stride, dilation = attributes["strides"][axis], attributes["dilation"][axis]
        if dilation > stride:  # PyTorch takes up to a dilation then
            raise ModelError(
                f"output_padding is {extra[axis]} at free sizes, with dilation {dilation} and "
                f"stride {stride}: export it with a fixed one"
            )
        extra[axis] = stride - 1
    return [int(size) for size in extra], free


def _beyond(attributes: dict[str, Any]) -> list[int]:
    """Turn output padding of a stride or more, which TVM refuses, into less padding at the end.

    What is then left of it, beyond the last tap, is returned: zeros, for each axis.
    """
    extra, padding = attributes["output_padding"], attributes["padding"]
    if all(e < s for e, s in zip(extra, attributes["strides"], strict=True)):
        return [0] * len(extra)
    ends = [max(p - e, 0) for p, e in zip(padding, extra, strict=True)]
    left = [max(e - p, 0) for p, e in zip(padding, extra, strict=True)]
    attributes["padding"], attributes["output_padding"] = [*padding, *ends], [0] * len(extra)
    return left


def _for_axes(values: Sequence[int], n: int) -> list[int]:
    """One value for each axis; PyTorch takes one for all."""
    return [int(v) for v in values] * (n if len(values) == 1 else 1)


def matrix_product(t: Translation, a: relax.Expr, b: relax.Expr) -> relax.Expr:
    return t.cast(t.emit(op.matmul(a, b, out_dtype=working_dtype(t.dtype))), t.dtype)


def product_added(
    t: Translation, added: relax.Expr, a: relax.Expr, b: relax.Expr, beta: Any, alpha: Any
) -> relax.Expr:
    """beta * added + alpha * (a @ b)."""
    y = matrix_product(t, a, b)
    y = _scaled(t, y, alpha)
    if is_tensor(added) and beta != 0:
        y = t.emit(op.add(_scaled(t, added, beta), y))
    return y


def _scaled(t: Translation, x: relax.Expr, factor: Any) -> relax.Expr:
    if isinstance(factor, (int, float)) and factor == 1:
        return x
    return t.emit(op.multiply(x, t.scalar(factor, t.dtype)))
