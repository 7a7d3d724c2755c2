"""Pooling over windows, in one to three dimensions.

TVM's operators serve where the windows lie as they expect. The others (``ceil_mode``, where
PyTorch leaves out windows that begin in the padding, ``divisor_override``, adaptive windows) are
sums and maxima over explicit index ranges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tvm import relax, te, tirx

from .functions import working_dtype
from .translation import Converter, Missing, Translation
from .values import shape_of

op = relax.op
_MAX = {2: op.nn.max_pool2d, 3: op.nn.max_pool3d}
_AVERAGE = {1: op.nn.avg_pool1d, 2: op.nn.avg_pool2d, 3: op.nn.avg_pool3d}
_INDICES = Missing("the indices of the maxima are not computed: return_indices must be False")


@dataclass(frozen=True)
class Windows:
    """Window i of an axis covers stride*i - padding + k*dilation for k below kernel."""

    kernel: list[int]
    stride: list[int]
    padding: list[int]
    dilation: list[int]

    def begins(self, position: Sequence[Any]) -> list[Any]:
        return [i * s - p for i, s, p in zip(position, self.stride, self.padding, strict=True)]


def max_pool(n: int) -> Converter:
    def convert(
        t: Translation,
        x: relax.Expr,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        ceil_mode: bool,
    ) -> list[Any]:
        windows = _windows(n, kernel, stride, padding, dilation)
        out = t.shape
        if ceil_mode:
            return [_explicit(t, x, out, windows, te.max), _INDICES]
        batched = t.reshape(x, _batched(shape_of(x), n))
        attributes = (windows.kernel, windows.stride, windows.padding * 2, windows.dilation)
        return [t.reshape(t.emit(_MAX[n](batched, *attributes)), out), _INDICES]

    return convert


def average_pool(n: int) -> Converter:
    def convert(
        t: Translation,
        x: relax.Expr,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Sequence[int],
        ceil_mode: bool,
        count_include_pad: bool,
        divisor: int | None = None,
    ) -> relax.Expr:
        windows = _windows(n, kernel, stride, padding, [1])
        wide = t.cast(x, working_dtype(t.dtype))
        if ceil_mode or divisor is not None:
            total = _explicit(t, wide, t.shape, windows, te.sum)

            def mean(total: te.Tensor, *sizes: Any) -> te.Tensor:
                def value(*index: Any) -> Any:
                    count = divisor or _count(windows, sizes, index[-n:], count_include_pad)
                    return total[index] / tirx.Cast(total.dtype, count)

                return te.compute(total.shape, value, name="mean")

            return t.cast(t.te(mean, total, *shape_of(x)[-n:]), t.dtype)
        batched = t.reshape(wide, _batched(shape_of(x), n))
        y = _AVERAGE[n](
            batched,
            windows.kernel,
            windows.stride,
            windows.padding * 2,
            count_include_pad=count_include_pad,
        )
        return t.cast(t.reshape(t.emit(y), t.shape), t.dtype)

    return convert


def adaptive_average_pool(n: int) -> Converter:
    """Window i of ``out`` covers floor(i*size/out) up to ceil((i+1)*size/out)."""

    def convert(t: Translation, x: relax.Expr, _output_size: Sequence[Any]) -> relax.Expr:
        wide = t.cast(x, working_dtype(t.dtype))
        sizes, out = shape_of(x)[-n:], t.shape[-n:]
        if all(isinstance(o, int) and o == 1 for o in out):
            axes = list(range(len(t.shape) - n, len(t.shape)))
            return t.cast(t.emit(op.mean(wide, axes, True)), t.dtype)
        total = _adaptive(t, wide, te.sum)

        def mean(total: te.Tensor, sizes: Sequence[Any], out: Sequence[Any]) -> te.Tensor:
            def value(*index: Any) -> Any:
                ends = _ends(index[-n:], sizes, out)
                count = reduce(lambda a, b: a * b, [end - begin for begin, end in ends])
                return total[index] / tirx.Cast(total.dtype, count)

            return te.compute(total.shape, value, name="mean")

        return t.cast(t.te(mean, total, sizes, out), t.dtype)

    return convert


def adaptive_max_pool(n: int) -> Converter:
    def convert(t: Translation, x: relax.Expr, _output_size: Sequence[Any]) -> list[Any]:
        return [_adaptive(t, x, te.max), _INDICES]

    return convert


def _windows(
    n: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> Windows:
    """One value for each axis: PyTorch takes one for all, and the kernel for an absent stride."""
    values = [
        list(v) * (n if len(v) == 1 else 1) for v in (kernel, stride or kernel, padding, dilation)
    ]
    return Windows(*values)


def _batched(shape: Sequence[Any], n: int) -> list[Any]:
    return list(shape) if len(shape) == n + 2 else [1, *shape]


def _explicit(
    t: Translation,
    x: relax.Expr,
    out: Sequence[Any],
    windows: Windows,
    combine: Callable[..., Any],
) -> relax.Expr:
    """``combine`` over windows of which parts may lie outside of ``x``, to the shape ``out``."""
    n = len(windows.kernel)

    def pool(x: te.Tensor, out: Sequence[Any]) -> te.Tensor:
        taps = [te.reduce_axis((0, k), name=f"k{d}") for d, k in enumerate(windows.kernel)]
        sizes = x.shape[-n:]

        def value(*index: Any) -> Any:
            at = [
                begin + k * d
                for begin, k, d in zip(
                    windows.begins(index[-n:]), taps, windows.dilation, strict=True
                )
            ]
            inside = [tirx.all(i >= 0, i < size) for i, size in zip(at, sizes, strict=True)]
            read = x(*index[:-n], *at)
            return combine(_where(inside, read, x.dtype, combine), axis=taps)

        return te.compute((*x.shape[:-n], *out), value, name="pool")

    return t.te(pool, x, list(out[-n:]))


def _adaptive(t: Translation, x: relax.Expr, combine: Callable[..., Any]) -> relax.Expr:
    n = len(t.node.args[1])
    out = t.shape[-n:]

    def pool(x: te.Tensor, out: Sequence[Any]) -> te.Tensor:
        sizes = x.shape[-n:]
        # No window is longer than this; the taps beyond its own end are left out.
        taps = [
            te.reduce_axis((0, tirx.floordiv(size + o - 1, o) + 1), name=f"k{d}")
            for d, (size, o) in enumerate(zip(sizes, out, strict=True))
        ]

        def value(*index: Any) -> Any:
            ends = _ends(index[-n:], sizes, out)
            at = [begin + k for (begin, _), k in zip(ends, taps, strict=True)]
            inside = [i < end for i, (_, end) in zip(at, ends, strict=True)]
            return combine(_where(inside, x(*index[:-n], *at), x.dtype, combine), axis=taps)

        return te.compute((*x.shape[:-n], *out), value, name="pool")

    return t.te(pool, x, out)


def _ends(index: Sequence[Any], sizes: Sequence[Any], out: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Begin and end of the adaptive window along each axis."""
    return [
        (tirx.floordiv(i * size, o), tirx.floordiv((i + 1) * size + o - 1, o))
        for i, size, o in zip(index, sizes, out, strict=True)
    ]


def _where(inside: Sequence[Any], read: Any, dtype: str, combine: Callable[..., Any]) -> Any:
    nothing = tirx.min_value(dtype) if combine is te.max else tirx.const(0, dtype)
    return tirx.if_then_else(tirx.all(*inside), read, nothing)


def _count(windows: Windows, sizes: Sequence[Any], index: Sequence[Any], padding: bool) -> Any:
    """How many elements PyTorch divides by: those of the tensor, or of its padding, too."""
    counts = []
    for begin, k, p, size in zip(
        windows.begins(index), windows.kernel, windows.padding, sizes, strict=True
    ):
        end = tirx.min(begin + k, size + p)
        counts.append(end - begin if padding else tirx.min(end, size) - tirx.max(begin, 0))
    return reduce(lambda a, b: a * b, counts)
