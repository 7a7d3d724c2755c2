"""A linear resize (half_pixel) by whole factors, as one function for each axis.

Sample j of an axis of n samples lies at (j + 1/2)/r - 1/2 of it, and beyond its ends the axis goes
on with its edge (``algebra.bilinear``). Width comes first, while there are fewer rows: along it
single elements are gathered, along height whole vectors.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.annotations import INTERPOLATED, RESAMPLED
from tvm_deconv.schedules.algorithms.interpolation import interpolated

WORDS = "linear resampling of axes 2, 3"


def emit_linear(builder: relax.BlockBuilder, x: relax.Expr, factor: tuple[int, int]) -> relax.Expr:
    """``x`` (N, C, H, W) enlarged by ``factor``, in sums of float32; of the dtype of ``x``."""
    dtype, y = str(x.ty.dtype), x
    axes = [(axis, r) for axis, r in ((3, factor[1]), (2, factor[0])) if r > 1]
    for axis, r in axes:
        attrs = {INTERPOLATED: f"{axis} {r}"}
        if axis == axes[-1][0]:
            attrs[RESAMPLED] = WORDS
        y = builder.emit_te(
            partial(enlarged, axis=axis, factor=r),
            y,
            primfunc_name_hint="enlarge",
            primfunc_attrs=attrs,
        )
    return y if str(y.ty.dtype) == dtype else builder.emit(relax.op.astype(y, dtype))


def enlarged(x: te.Tensor, axis: int, factor: int) -> te.Tensor:
    """``x`` enlarged along one axis, in float32."""
    size = x.shape[axis]
    shape = [*x.shape[:axis], size * factor, *x.shape[axis + 1 :]]

    def value(*at: Any) -> Any:
        def sample(place: Any) -> Any:
            inside = tirx.max(tirx.min(place, size - 1), 0)
            return x(*at[:axis], inside, *at[axis + 1 :]).astype("float32")

        return interpolated(sample, at[axis], factor)

    return te.compute(shape, value, name="enlarge")
