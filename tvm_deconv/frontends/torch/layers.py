"""Layers as ``torch.export`` writes them, before any decomposition.

A program of nothing but these and of core operators need not be decomposed: retracing takes PyTorch
a tenth of a second for every layer of free size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError

from . import convolutions, functions, normalisation, pooling
from .padding import pad_constant
from .translation import Converter, Translation
from .values import constant, shape_of, value_of

op = relax.op


def convolution(n: int) -> Converter:
    """``padding`` is a number, one for each axis, ``same`` or ``valid``."""

    def convert(
        t: Translation,
        x: relax.Expr,
        weight: relax.Expr,
        bias: relax.Expr | None,
        stride: Sequence[int],
        padding: Sequence[int] | str,
        dilation: Sequence[int],
        groups: int,
    ) -> relax.Expr:
        x = t.reshape(x, pooling.batched(shape_of(x), n))
        zeros = [0] * n
        widths = zeros if isinstance(padding, str) else padding
        if padding == "same":
            x, widths = _padded_to_same(t, x, shape_of(weight)[2:], dilation)
        y = convolutions.convolution(
            t, x, weight, bias, stride, widths, dilation, False, zeros, groups
        )
        return t.reshape(t.emit(y), t.shape)

    return convert


def _padded_to_same(
    t: Translation, x: relax.Expr, kernel: Sequence[int], dilation: Sequence[int]
) -> tuple[relax.Expr, list[int]]:
    """The padding of a convolution that keeps the size: half of it, the odd one at the end."""
    spread = list(dilation) * (len(kernel) if len(dilation) == 1 else 1)
    totals = [(k - 1) * d for k, d in zip(kernel, spread, strict=True)]
    odd = [total % 2 for total in totals]
    if any(odd):
        x = t.emit(pad_constant(t, x, [w for o in reversed(odd) for w in (0, o)], 0))
    return x, [total // 2 for total in totals]


def transposed_convolution(n: int) -> Converter:
    def convert(
        t: Translation,
        x: relax.Expr,
        weight: relax.Expr,
        bias: relax.Expr | None,
        stride: Sequence[int],
        padding: Sequence[int],
        output_padding: Sequence[int],
        groups: int,
        dilation: Sequence[int],
    ) -> relax.Expr:
        x = t.reshape(x, pooling.batched(shape_of(x), n))
        y = convolutions.convolution(
            t, x, weight, bias, stride, padding, dilation, True, output_padding, groups
        )
        return t.reshape(t.emit(y), t.shape)

    return convert


def linear(
    t: Translation, x: relax.Expr, weight: relax.Expr, bias: relax.Expr | None
) -> relax.Expr:
    known = value_of(weight)
    transposed = t.emit(op.permute_dims(weight)) if known is None else constant(known.T)
    y = t.emit(convolutions.matrix_product(t, x, transposed))
    return y if bias is None else op.add(y, bias)


def first(of: Converter) -> Converter:
    """The first of several results: the one that the layer itself gives."""

    def convert(t: Translation, *arguments: Any) -> relax.Expr:
        return of(t, *arguments)[0]

    return convert


def batch_norm(
    t: Translation,
    x: relax.Expr,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    mean: relax.Expr | None,
    var: relax.Expr | None,
    training: bool,
    momentum: float,
    eps: float,
    _cudnn: bool,
) -> relax.Expr:
    if training and mean is not None:
        raise ModelError("training changes the running statistics: export after .eval()")
    if mean is None or var is None:
        return normalisation.batch_norm_of_batch(t, x, weight, bias, True, momentum, eps)[0]
    return normalisation.batch_norm(t, x, weight, bias, mean, var, momentum, eps)[0]


def group_norm(
    t: Translation,
    x: relax.Expr,
    groups: int,
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    eps: float,
    _cudnn: bool,
) -> relax.Expr:
    return normalisation.group_norm(t, x, weight, bias, None, None, None, groups, eps)[0]


def layer_norm(
    t: Translation,
    x: relax.Expr,
    shape: Sequence[int],
    weight: relax.Expr | None,
    bias: relax.Expr | None,
    eps: float,
    _cudnn: bool,
) -> relax.Expr:
    return normalisation.layer_norm(t, x, shape, weight, bias, eps)[0]


def softmax(of: Converter) -> Converter:
    def convert(t: Translation, x: relax.Expr, dim: int, _dtype: Any) -> relax.Expr:
        return of(t, t.cast(x, t.dtype), dim, False)

    return convert


def dropout(t: Translation, x: relax.Expr, p: float, train: bool) -> relax.Expr:
    if train and p:
        raise ModelError("training drops at random: export the module after .eval()")
    return x


def hard_sigmoid(x: relax.Expr) -> relax.Expr:
    """min(max(x + 3, 0), 6) / 6."""
    return op.divide(_up_to_six(x), functions.number(x, 6))


def hard_swish(x: relax.Expr) -> relax.Expr:
    return op.divide(op.multiply(x, _up_to_six(x)), functions.number(x, 6))


def _up_to_six(x: relax.Expr) -> relax.Expr:
    return op.clip(op.add(x, functions.number(x, 3)), 0, 6)


def relu6(t: Translation, x: relax.Expr) -> relax.Expr:
    return functions.hardtanh(t, x, 0, 6)


def celu(x: relax.Expr, alpha: float) -> relax.Expr:
    """x where it is positive, else alpha * (exp(x / alpha) - 1)."""
    return functions.elu(x, alpha, 1, 1 / alpha)


def selu(x: relax.Expr) -> relax.Expr:
    """Klambauer et al., "Self-Normalizing Neural Networks", 2017, with PyTorch's digits."""
    return functions.elu(x, 1.6732632423543772, 1.0507009873554805, 1)
