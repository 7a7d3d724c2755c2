"""Reading the convolution over a volume that a transposed convolution is to replace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tvm_deconv.algebra.geometry import ConvAxis
from tvm_deconv.errors import GeometryError

from .convolution import FLOATS
from .graph import Graph, Refused, Tensor
from .layouts import VOLUME, begins_and_ends
from .operators import CONV_3D

_KERNEL = "OIDHW"


@dataclass(frozen=True)
class VolumeConv:
    """A convolution of stride 1 in NCDHW with constant weights, as OIDHW."""

    var: Tensor
    data: Tensor
    weight: np.ndarray
    axes: tuple[ConvAxis, ConvAxis, ConvAxis]
    groups: int
    dtype: str

    @property
    def in_channels(self) -> int:
        return self.weight.shape[1] * self.groups

    @property
    def dilation(self) -> tuple[int, ...]:
        return tuple(axis.dilation for axis in self.axes)


def read_volume_conv(graph: Graph, var: Tensor) -> VolumeConv | Refused | None:
    """The convolution that computes ``var``; None if it is none, Refused if not a usable one."""
    call = graph.call(var)
    if call is None or call.op != CONV_3D:
        return None
    name, attrs, (data, kernel) = graph.describe(var), call.attrs, call.args
    if [int(s) for s in attrs.strides] != [1, 1, 1]:
        return Refused(f"stride of {name} is {[int(s) for s in attrs.strides]}, not 1")
    layouts = {str(attrs.data_layout), str(attrs.out_layout or VOLUME)}
    if layouts != {VOLUME} or sorted(attrs.kernel_layout) != sorted(_KERNEL):
        return Refused(f"{name} has layouts {attrs.data_layout} and {attrs.kernel_layout}")
    dtypes = {graph.dtype(tensor) for tensor in (data, kernel, var)}
    if len(dtypes) > 1 or not dtypes <= set(FLOATS):
        return Refused(f"{name} computes {', '.join(sorted(dtypes))}, not {' or '.join(FLOATS)}")
    weight = graph.constant(kernel)
    if weight is None:
        return Refused(
            f"weights of {name} are not constant: {graph.describe(kernel)} "
            f"(bind parameters first: {graph.bind_parameters})"
        )
    weight = weight.transpose([attrs.kernel_layout.index(letter) for letter in _KERNEL])
    dilation = (int(n) for n in attrs.dilation)
    sides = zip(weight.shape[2:], *begins_and_ends(attrs.padding, 3), dilation, strict=True)
    try:
        d, h, w = (ConvAxis(*side) for side in sides)
    except GeometryError as error:
        return Refused(f"{name}: {error}")
    return VolumeConv(var, data, weight, (d, h, w), int(attrs.groups), *dtypes)


def times(sizes: Iterable[int]) -> str:
    """``2x3x3``."""
    return "x".join(map(str, sizes))
