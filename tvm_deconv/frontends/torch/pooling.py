"""Pooling over windows, in one to three dimensions.

TVM's operators serve where the windows lie as they expect. The others (``ceil_mode``, where
PyTorch leaves out windows that begin in the padding, and ``divisor_override``) are sums and maxima
over explicit index ranges. Adaptive windows are in ``adaptive.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.frontends import unpooling
from tvm_deconv.frontends.unpooling import places_of_maxima, unpooled

from .functions import working_dtype
from .places import extreme_of_nothing
from .sizes import integer
from .translation import Converter, Missing, Translation
from .values import shape_of

op = relax.op
MAX_POOLS = {1: op.nn.max_pool1d, 2: op.nn.max_pool2d, 3: op.nn.max_pool3d}
AVERAGE_POOLS = {1: op.nn.avg_pool1d, 2: op.nn.avg_pool2d, 3: op.nn.avg_pool3d}
INDICES = Missing("the places of the maxima are not computed: return_indices must be False")


@dataclass(frozen=True)
class Windows:
    """Window i of an axis covers stride*i - padding + k*dilation for k below kernel."""

    kernel: list[int]
    stride: list[int]
    padding: list[int]
    dilation: list[int]

    def begins(self, position: Sequence[Any]) -> list[Any]:
        return [i * s - p for i, s, p in zip(position, self.stride, self.padding, strict=True)]

    def places(self, position: Sequence[Any], taps: Sequence[Any]) -> list[Any]:
        begins = self.begins(position)
        return [b + k * d for b, k, d in zip(begins, taps, self.dilation, strict=True)]


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
            y = _explicit(t, x, out, windows, te.max)
        else:
            whole = t.reshape(x, batched(shape_of(x), n))
            attributes = (windows.kernel, windows.stride, windows.padding * 2, windows.dilation)
            y = t.reshape(t.emit(MAX_POOLS[n](whole, *attributes)), out)
        if not _is_read(t, 1):
            return [y, INDICES]
        is_inside = not ceil_mode and not any(windows.padding)
        numbers = windows.kernel, windows.stride, windows.padding, windows.dilation
        return [y, places_of_maxima(t.builder, x, y, unpooling.Windows(*numbers, is_inside))]

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
        whole = t.reshape(wide, batched(shape_of(x), n))
        y = AVERAGE_POOLS[n](
            whole,
            windows.kernel,
            windows.stride,
            windows.padding * 2,
            count_include_pad=count_include_pad,
        )
        return t.cast(t.reshape(t.emit(y), t.shape), t.dtype)

    return convert


def _windows(
    n: int,
    kernel: Sequence[int] | int,
    stride: Sequence[int] | int,
    padding: Sequence[int] | int,
    dilation: Sequence[int] | int,
) -> Windows:
    """One value for each axis: PyTorch takes one for all, and the kernel for an absent stride."""
    values = []
    for given in (kernel, stride or kernel, padding, dilation):
        one = [given] if isinstance(given, int) else list(given)
        values.append(one * (n if len(one) == 1 else 1))
    return Windows(*values)


def batched(shape: Sequence[Any], n: int) -> list[Any]:
    """The shape with a batch of 1 where there is none."""
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
            at = windows.places(index[-n:], taps)
            inside = [tirx.all(i >= 0, i < size) for i, size in zip(at, sizes, strict=True)]
            read = x(*index[:-n], *at)
            return combine(read_or_nothing(inside, read, x.dtype, combine), axis=taps)

        return te.compute((*x.shape[:-n], *out), value, name="pool")

    return t.te(pool, x, list(out[-n:]))


def _is_read(t: Translation, result: int) -> bool:
    """True if somebody reads this one of the node's results."""
    # An operator with one result has no getitem behind it.
    return isinstance(t.value, (list, tuple)) and any(
        user.args[1] == result and user.users for user in t.node.users
    )


def max_unpool(n: int) -> Converter:
    """The values at the places in their own maps that the indices name; zeros elsewhere."""

    def convert(
        t: Translation, x: relax.Expr, indices: relax.Expr, *_attributes: Any
    ) -> relax.Expr:
        sizes = [integer(size) for size in t.shape]
        return unpooled(t.builder, x, indices, sizes, n, through_all=False)

    return convert


def read_or_nothing(
    inside: Sequence[Any], read: Any, dtype: str, combine: Callable[..., Any]
) -> Any:
    """``read`` where all of ``inside`` holds, else what does not count in a sum or a maximum."""
    nothing = extreme_of_nothing(dtype, True) if combine is te.max else tirx.const(0, dtype)
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
