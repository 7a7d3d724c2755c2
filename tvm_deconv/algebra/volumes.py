"""A layer over a volume as layers over pictures: slices below each other, taps as channels.

Along depth, a transposed convolution is its phases (``geometry``): output slice s*q + f is a sum
over the taps (k, offset) of phase f,

    y[o, s*q + f] = sum over taps: conv2d_transpose(x[:, q + offset], W[:, :, k])

which is one two-dimensional layer whose input channels are (tap, channel). The slices q of a phase
share their weights, so they are one picture, slice below slice:

    row q*(H + gap) + i of input channel (t, c)  =  x[c, q + offset_t, i];  0 in the gap, and where
                                                    there is no slice q + offset_t
    row q*(H + gap)*s_h + j of output channel o  =  y[o, s*q + f, j];  other rows are not wanted

The gap is as many rows of zeros as the kernel reaches beyond a slice: it is the lower border of
one and the upper border of the next. Nothing is computed twice or multiplied by an inserted zero,
but for the outputs of the gap's rows, 1/H of all for a kernel of 3. A stack is no copy: kernels
read and write at these places (``schedules.tir.stacks``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from tvm_deconv.errors import GeometryError

from .geometry import Axis, ConvTranspose2d
from .slices import Slices


@dataclass(frozen=True)
class ConvTranspose3d:
    """A three-dimensional transposed convolution without its sizes: NCDHW input, IODHW weights."""

    in_channels: int
    out_channels: int
    d: Axis
    h: Axis
    w: Axis
    groups: int = 1

    @property
    def group_outputs(self) -> int:
        """Output channels of a group."""
        return self.out_channels // self.groups

    @property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        return self.d, self.h, self.w

    @property
    def strides(self) -> tuple[int, ...]:
        return tuple(axis.stride for axis in self.axes)

    @property
    def padding(self) -> tuple[int, ...]:
        """(front, top, left, back, bottom, right), as ``relax.op.nn.conv3d_transpose`` has it."""
        return *(a.pad_begin for a in self.axes), *(a.pad_end for a in self.axes)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """IODHW: (in_channels, out_channels / groups, kernel_d, kernel_h, kernel_w)."""
        kernels = (axis.kernel for axis in self.axes)
        return (self.in_channels, self.group_outputs, *kernels)

    def output_shape(self, batch: Any, depth: Any, height: Any, width: Any) -> tuple[Any, ...]:
        """NCDHW output shape for an input of (batch, in_channels, depth, height, width)."""
        sizes = (self.d.output_size(depth), self.h.output_size(height), self.w.output_size(width))
        return (batch, self.out_channels, *sizes)

    def stacks(self) -> tuple[Stack, ...]:
        """A stack for each phase of the depth."""
        return tuple(Stack(self, phase) for phase in range(self.d.stride))


@lru_cache(maxsize=256)
def depth_axis(slices: Slices) -> Axis:
    """The depth as an axis of stride 1."""
    begin = slices.first + slices.taps - 1
    end = slices.depth + slices.taps - 1 - begin - slices.count
    return Axis(slices.taps, 1, begin, max(end, 0), max(-end, 0))


def stack_of(conv: ConvTranspose2d) -> Stack:
    """The stack of which ``conv``, which knows its slices, is the layer: of stride 1 along depth.

    Raises GeometryError where slices are not what a stack of this layer has.
    """
    slices = conv.slices
    assert slices is not None
    if min(slices.taps, slices.depth, slices.count, slices.height) < 1:
        raise GeometryError(f"no layer over volumes has {slices}")
    inputs, rest = divmod(conv.in_channels, slices.taps)
    # Known weights are the picture's; rows between slices are as many as if none were known.
    h, w = (replace(axis, zero_taps=frozenset(), equal_sums=False) for axis in (conv.h, conv.w))
    volume = ConvTranspose3d(inputs, conv.out_channels, depth_axis(slices), h, w, conv.groups)
    stack = Stack(volume, 0)
    if rest or stack.conv_of(slices.depth, slices.height).slices != slices:
        raise GeometryError(f"no layer over volumes has {slices}")
    return stack


@dataclass(frozen=True)
class Stack:
    """The picture that one phase of the depth reads, and the one that it writes."""

    volume: ConvTranspose3d
    phase: int

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Which slice each tap reads, seen from q: evenly spaced. (0,) if the phase has no tap."""
        return tuple(tap.offset for tap in self.volume.d.taps(self.phase)) or (0,)

    @cached_property
    def conv(self) -> ConvTranspose2d:
        """The layer over the stack."""
        v = self.volume
        return ConvTranspose2d(
            v.in_channels * len(self.offsets), v.out_channels, v.h, v.w, v.groups
        )

    def conv_of(self, depth: Any, height: Any) -> ConvTranspose2d:
        """``conv`` over a volume of that size, which knows its slices if they are numbers.

        And if there is more than one tap, which read slices side by side, not all of them before
        the volume.
        """
        taps, first = len(self.offsets), self.offsets[0]
        known = isinstance(depth, int) and isinstance(height, int)
        if not known or taps == 1 or self.offsets[1] - first != 1 or first + taps < 1:
            return self.conv
        count, pitch = self.slices(depth), height + self.gap
        return replace(self.conv, slices=Slices(taps, first, depth, count, height, pitch))

    def weights(self, weight: np.ndarray) -> np.ndarray:
        """IOHW weights of ``conv`` from IODHW ones; input channels are (group, tap, channel)."""
        v = self.volume
        kernels = [tap.k for tap in v.d.taps(self.phase)]
        taps = weight[:, :, kernels] if kernels else np.zeros_like(weight[:, :, :1])
        _, outputs, count, kh, kw = taps.shape
        parts = taps.reshape(v.groups, -1, outputs, count, kh, kw).transpose(0, 3, 1, 2, 4, 5)
        return np.ascontiguousarray(parts.reshape(-1, outputs, kh, kw))

    @cached_property
    def gap(self) -> int:
        """Rows of zeros between two slices."""
        h = self.volume.h
        before, after = h.halo
        # Blocks of rows that a slice's output has beyond its input.
        more = int(h.blocks(0))
        return max(0, -before, more + after, more)

    def slices(self, depth: Any) -> Any:
        """How many output slices the phase has, for an input of ``depth`` slices."""
        d = self.volume.d
        return (d.output_size(depth) - self.phase + (d.stride - 1)) // d.stride

    def height(self, depth: Any, height: Any) -> Any:
        """Rows of the stack, without a gap behind the last slice."""
        return self.slices(depth) * (height + self.gap) - self.gap

    def source(self, channel: Any, row: Any, height: Any) -> tuple[Any, Any, Any]:
        """(channel, slice, row) of the volume that the stack has at (channel, row).

        There is nothing, that is zeros, if that slice or row does not exist.
        """
        v, taps, pitch = self.volume, len(self.offsets), height + self.gap
        inputs = v.in_channels // v.groups
        tap = channel // inputs
        c = channel % inputs
        if v.groups > 1:
            c = tap // taps * inputs + c
            tap = tap % taps
        first, step = self.offsets[0], self.offsets[1] - self.offsets[0] if taps > 1 else 0
        return c, row // pitch + (tap * step + first), row % pitch

    def target(self, row: Any, height: Any) -> tuple[Any, Any]:
        """(slice, row) of the output volume where row ``row`` of the output stack belongs.

        It is not wanted if that row does not exist.
        """
        pitch = (height + self.gap) * self.volume.h.stride
        return row // pitch * self.volume.d.stride + self.phase, row % pitch
