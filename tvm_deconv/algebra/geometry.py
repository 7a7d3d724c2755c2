"""Index arithmetic of a transposed convolution: phases, taps, offsets, halo and paddings.

Every other module asks this one; nothing else in the project computes such a number.

Along one axis, a transposed convolution with stride ``s``, kernel ``K``, dilation ``d`` and begin
padding ``p`` sends input sample ``i`` through tap ``k`` to output sample ``o = s*i + d*k - p``.
Read from the output side, output sample ``o = s*y + f`` (block ``y``, phase ``f``) gathers

    i = y + (f + p - d*k) / s        for every tap k that makes this an integer.

The taps of a phase therefore form an arithmetic progression, and each of the ``s`` phases is an
ordinary stride-1 convolution over the same input. A stride-1 convolution is the case ``s = 1``
with a flipped kernel. Derivation: Colbert, Kreutz-Delgado, Das, IEEE Access 2021
(arXiv 2107.07647), sections III-IV.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import gcd
from typing import NamedTuple

from tvm_deconv.errors import GeometryError

from .slices import Slices


class Tap(NamedTuple):
    """One term of a phase's sum: kernel index ``k`` reads input sample ``y + offset``."""

    k: int
    offset: int


@dataclass(frozen=True)
class Axis:
    """One spatial axis of a transposed convolution.

    ``pad_begin`` and ``pad_end`` crop the full output, as in ONNX ConvTranspose; they are never
    negative. ``output_padding`` samples are appended to the output end. ``zero_taps`` lists kernel
    indices whose weights are known to be all zero (a dilated kernel written out densely), and
    ``equal_sums`` says that the weights of each phase are known to have the same sum (a folded
    resize, where each phase adds up the whole kernel).
    """

    kernel: int
    stride: int = 1
    pad_begin: int = 0
    pad_end: int = 0
    output_padding: int = 0
    dilation: int = 1
    zero_taps: frozenset[int] = frozenset()
    equal_sums: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            if getattr(self, name) < 1:
                raise GeometryError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("pad_begin", "pad_end", "output_padding"):
            if getattr(self, name) < 0:
                raise GeometryError(f"{name} must not be negative, got {getattr(self, name)}")

    @property
    def extent(self) -> int:
        """Input-to-output span of the dilated kernel, in output samples."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size):
        """Output length for an input of ``size`` samples (an int or a symbolic expression)."""
        crop = self.pad_begin + self.pad_end
        return (size - 1) * self.stride + (self.extent - crop + self.output_padding)

    def blocks(self, size):
        """Number of output blocks of ``stride`` samples that cover the output."""
        spill = self.extent - self.pad_begin - self.pad_end + self.output_padding - self.stride
        return size + -(-spill // self.stride)

    def taps(self, phase: int) -> tuple[Tap, ...]:
        """Taps of a phase in order of rising input offset, evenly spaced.

        ``zero_taps`` are left out, unless what remains would be unevenly spaced.
        """
        return self._taps[phase]

    @cached_property
    def _taps(self) -> tuple[tuple[Tap, ...], ...]:
        sparse = [self._find_taps(f, self.zero_taps) for f in range(self.stride)]
        if len(_spacings(sparse)) <= 1:
            return tuple(sparse)
        return tuple(self._find_taps(f, frozenset()) for f in range(self.stride))

    def _find_taps(self, phase: int, left_out: frozenset[int]) -> tuple[Tap, ...]:
        found = []
        for k in range(self.kernel):
            offset, rest = divmod(phase + self.pad_begin - self.dilation * k, self.stride)
            if rest == 0 and k not in left_out:
                found.append(Tap(k, offset))
        return tuple(reversed(found))

    @cached_property
    def max_taps(self) -> int:
        """Taps of the longest phase."""
        return max(len(self.taps(f)) for f in range(self.stride))

    @cached_property
    def tap_step(self) -> int:
        """Distance, in input samples, between neighbouring taps of every phase."""
        spacings = _spacings([self.taps(f) for f in range(self.stride)])
        return spacings.pop() if spacings else self.dilation // gcd(self.dilation, self.stride)

    @cached_property
    def first_offsets(self) -> tuple[int, ...]:
        """For each phase, the input offset of its first tap; the halo's for one without taps."""
        return tuple(taps[0].offset if taps else self.halo[0] for taps in self._taps)

    def first_offset(self, phase: int) -> int:
        """``first_offsets`` of one phase."""
        return self.first_offsets[phase]

    @cached_property
    def shifts(self) -> tuple[int, ...]:
        """For each phase, how many input samples after the earliest phase its first tap reads."""
        return tuple(offset - min(self.first_offsets) for offset in self.first_offsets)

    @cached_property
    def halo(self) -> tuple[int, int]:
        """Smallest and largest input offset that any phase reads; (0, 0) where none reads.

        A crop beyond the kernel's reach leaves 0 outside: every output reads later input.
        """
        offsets = [tap.offset for taps in self._taps for tap in taps] or [0]
        return min(offsets), max(offsets)

    @property
    def halo_extent(self) -> int:
        """Input samples that a block reads beyond its own."""
        low, high = self.halo
        return high - low

    @property
    def uniform_extent(self) -> int:
        """``halo_extent`` if every phase had ``max_taps`` taps: what a loop over taps may touch."""
        last = max(self.first_offsets)
        last += self.tap_step * (self.max_taps - 1)
        return max(last - self.halo[0], self.halo_extent)

    @property
    def is_uneven(self) -> bool:
        """Whether some phases have fewer taps than others."""
        return len({len(self.taps(f)) for f in range(self.stride)}) > 1

    @cached_property
    def useful_taps(self) -> int:
        """Multiply-adds per input sample: the taps of all phases together."""
        return sum(len(self.taps(f)) for f in range(self.stride))


@dataclass(frozen=True)
class ConvTranspose2d:
    """A two-dimensional transposed convolution without its sizes: NCHW input, IOHW weights.

    A convolution with strides is one of stride 1 of which every ``step``-th output is computed,
    along height and width. A picture that is a stack of slices of known size has ``slices``.
    """

    in_channels: int
    out_channels: int
    h: Axis
    w: Axis
    groups: int = 1
    step: tuple[int, int] = (1, 1)
    slices: Slices | None = None

    def __post_init__(self) -> None:
        strides = self.h.stride, self.w.stride
        if min(self.step) < 1 or any(
            a > 1 and b > 1 for a, b in zip(self.step, strides, strict=True)
        ):
            raise GeometryError(f"a step of {self.step} needs strides of 1, got {strides}")
        for name in ("in_channels", "out_channels"):
            channels = getattr(self, name)
            if channels < 1 or channels % self.groups:
                raise GeometryError(
                    f"{name} must be a positive multiple of groups={self.groups}, got {channels}"
                )

    @property
    def group_inputs(self) -> int:
        """Input channels that each output channel reads."""
        return self.in_channels // self.groups

    @property
    def group_outputs(self) -> int:
        """Output channels of a group."""
        return self.out_channels // self.groups

    @property
    def axes(self) -> tuple[Axis, Axis]:
        return self.h, self.w

    @property
    def strides(self) -> tuple[int, int]:
        return self.h.stride, self.w.stride

    @property
    def padding(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right), the order of ``relax.op.nn.conv2d_transpose``."""
        return self.h.pad_begin, self.w.pad_begin, self.h.pad_end, self.w.pad_end

    @property
    def output_padding(self) -> tuple[int, int]:
        return self.h.output_padding, self.w.output_padding

    @property
    def dilation(self) -> tuple[int, int]:
        return self.h.dilation, self.w.dilation

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """IOHW: (in_channels, out_channels / groups, kernel_h, kernel_w)."""
        return (
            self.in_channels,
            self.group_outputs,
            self.h.kernel,
            self.w.kernel,
        )

    def output_shape(self, batch, height, width):
        """NCHW output shape for an input of (batch, in_channels, height, width)."""
        return (
            batch,
            self.out_channels,
            stepped(self.h.output_size(height), self.step[0]),
            stepped(self.w.output_size(width), self.step[1]),
        )

    def multiply_adds(self, batch: int, height: int, width: int) -> int:
        """Multiply-adds of the full output, borders counted as if fully inside the input."""
        taps = self.h.useful_taps * self.w.useful_taps
        places = -(-height // self.step[0]) * -(-width // self.step[1])
        return batch * places * self.out_channels * self.group_inputs * taps


def stepped(size, step: int):
    """How many of ``size`` samples are computed if every ``step``-th is, from the first on."""
    return size if step == 1 else (size - 1) // step + 1


@dataclass(frozen=True)
class ConvAxis:
    """One axis of the stride-1 convolution inside an upsampling pattern (correlation, as ONNX)."""

    kernel: int
    pad_begin: int = 0
    pad_end: int = 0
    dilation: int = 1

    @property
    def extent(self) -> int:
        return self.dilation * (self.kernel - 1) + 1


def axis_of_convolution(conv: ConvAxis) -> Axis:
    """Convolution of stride 1: stride 1, the kernel flipped and not written out, padding E-1-P."""
    reach = conv.extent - 1
    begin = _crop("begin", reach - conv.pad_begin, conv.pad_begin, reach)
    end = _crop("end", reach - conv.pad_end, conv.pad_end, reach)
    return Axis(conv.kernel, 1, begin, end, dilation=conv.dilation)


def axis_of_subpixel(conv: ConvAxis, factor: int) -> Axis:
    """Convolution then pixel shuffle by ``factor`` ("D-SP"): kernel rK, padding r(K-1-P).

    A dilated kernel is written out densely; its empty taps are listed in ``zero_taps``.
    """
    flipped, reach = axis_of_convolution(conv), conv.extent - 1
    first = (reach - conv.dilation * k for k in range(conv.kernel))
    live = {k * factor + f for k in first for f in range(factor)}
    return Axis(
        kernel=conv.extent * factor,
        stride=factor,
        pad_begin=factor * flipped.pad_begin,
        pad_end=factor * flipped.pad_end,
        zero_taps=frozenset(range(conv.extent * factor)) - live,
    )


def axis_of_resize(conv: ConvAxis, factor: int, edge: tuple[int, int] = (0, 0)) -> Axis:
    """Nearest resize by ``factor`` then convolution ("D-NN"): kernel K+r-1, padding K-1-P.

    ``edge`` is the (begin, end) width, in input samples, of an edge padding put *before* the
    transposed convolution; its ``factor * edge`` output samples are cropped again, less what the
    original padding between resize and convolution asked for (``conv.pad_begin``/``pad_end``).
    """
    reach = conv.extent - 1
    pads = (conv.pad_begin - factor * edge[0], conv.pad_end - factor * edge[1])
    live = {reach - conv.dilation * k + f for k in range(conv.kernel) for f in range(factor)}
    kernel = conv.extent + factor - 1
    return Axis(
        kernel=kernel,
        stride=factor,
        pad_begin=_crop("begin", reach - pads[0], pads[0], reach),
        pad_end=_crop("end", reach - pads[1], pads[1], reach),
        zero_taps=frozenset(range(kernel)) - live,
        equal_sums=factor > 1,
    )


def _spacings(phases: Iterable[tuple[Tap, ...]]) -> set[int]:
    return {b.offset - a.offset for taps in phases for a, b in pairwise(taps)}


def _crop(side: str, crop: int, pad: int, reach: int) -> int:
    if crop < 0:
        raise GeometryError(f"{side} padding {pad} is larger than the reach {reach} of the kernel")
    return crop
