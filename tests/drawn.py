"""Layers of every kind as hypothesis draws them, and what they give in float64; for every TVM."""

from __future__ import annotations

import numpy as np
import reference
from hypothesis import strategies as st

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.algebra.known_weights import obeying
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.gpu.tile import COPY, READ, SHARED, GpuTile


@st.composite
def deconv_axes(draw):
    stride, dilation = draw(st.sampled_from([(1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (2, 3)]))
    kernel = draw(st.integers(1, 6))
    reach = dilation * (kernel - 1)
    # Also so much that no output sees the first or last input.
    pads = st.one_of(st.integers(0, min(3, reach)), st.integers(reach + 1, reach + 2 * stride + 1))
    return Axis(
        kernel,
        stride,
        draw(pads),
        draw(pads),
        draw(st.integers(0, stride - 1)),
        dilation,
    )


@st.composite
def upsampling_axes(draw):
    dilation, kernel = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    reach = dilation * (kernel - 1)
    conv = ConvAxis(kernel, draw(st.integers(0, reach)), draw(st.integers(0, reach)), dilation)
    origin = draw(st.sampled_from([axis_of_subpixel, axis_of_resize]))
    return origin(conv, draw(st.integers(1, 3)))


AXES = st.one_of(deconv_axes(), upsampling_axes())


@st.composite
def layers(draw, axes=AXES):
    """(layer, input size (n, h, w)); the output may be empty: see ``has_output``."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = st.sampled_from([1, 2, 3, 5, 7, 8, 13])
    conv = ConvTranspose2d(
        groups * draw(st.integers(1, 5)), groups * draw(channels), draw(axes), draw(axes), groups
    )
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 40)), draw(st.integers(1, 75))
    return conv, shape


def square(make, *arguments):
    """(axis, axis): the same axis twice."""
    return make(*arguments), make(*arguments)


def has_output(conv, shape):
    return min(conv.output_shape(*shape)) > 0


@st.composite
def tilings(draw, conv, variant):
    """Parameters as a tuner samples them: any that are valid."""
    lanes = draw(st.sampled_from([4, 8, 16]))
    # REVD's channels fill vectors and STDD has no tile of channels. No tile has more channels than
    # a group, but for what fills a vector.
    most = conv.group_outputs
    if variant == "revd":
        most, sizes = 1 << (most - 1).bit_length(), [1, 2, 4, lanes, 2 * lanes]
    else:
        sizes = [1] if variant == "stdd" else [1, 2, 3]
    channels = draw(st.sampled_from([n for n in sizes if n <= most]))
    tiles = -(-conv.group_outputs // channels)
    return Tiling(
        lanes=lanes,
        vectors=1 if variant in ("revd", "stdd") else draw(st.integers(1, 3)),
        channels=channels,
        rows=draw(st.integers(1, 5)),
        column_tiles=draw(st.integers(1, 3)),
        unroll_fh=conv.h.is_uneven,
        unroll_th=conv.h.is_uneven or draw(st.booleans()),
        channel_splits=draw(st.sampled_from([n for n in (1, 2, 3) if tiles % n == 0])),
        parallel=draw(st.booleans()),
    )


@st.composite
def gpu_tiles(draw, conv, lanes=(1, 2, 4)):
    """Parameters as a tuner samples them: any that are valid, small enough to compile quickly."""
    channels, channel_threads = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([1, 2]))
    if conv.groups > 1 and conv.group_outputs % (channels * channel_threads):
        channels = channel_threads = 1
    return GpuTile(
        channels=channels,
        rows=draw(st.sampled_from([1, 2])),
        lanes=draw(st.sampled_from(lanes)),
        channel_threads=channel_threads,
        row_threads=draw(st.sampled_from([1, 2, 3])),
        column_threads=draw(st.sampled_from([2, 5, 8])),
        reduction=draw(st.sampled_from([n for n in (1, 2, 3) if conv.group_inputs % n == 0])),
        stage_input=draw(st.sampled_from([READ, SHARED, COPY])),
        stage_weights=draw(st.sampled_from([0, 1])),
    )


CORNERS = {
    "kernel smaller than the stride": ConvTranspose2d(2, 3, Axis(2, 3), Axis(1, 4)),
    "kernel no multiple of the stride": ConvTranspose2d(3, 5, Axis(5, 2, 2, 2), Axis(7, 3, 2, 1)),
    "output padding": ConvTranspose2d(3, 2, Axis(3, 2, 1, 1, 1), Axis(4, 3, 1, 1, 2)),
    "stride 1": ConvTranspose2d(4, 3, Axis(3, 1, 1, 1), Axis(5, 1, 2, 0)),
    "groups": ConvTranspose2d(6, 9, *square(Axis, 4, 2, 1, 1), groups=3),
    "asymmetric padding": ConvTranspose2d(2, 4, Axis(4, 2, 0, 3), Axis(6, 3, 5, 1)),
    "crops beyond the kernel": ConvTranspose2d(4, 6, Axis(2, 2, 5, 4), Axis(3, 1, 4, 5), 2),
    "dilation": ConvTranspose2d(2, 3, Axis(3, 2, 1, 1, 0, 3), Axis(3, 3, 2, 0, 0, 2)),
    "taps known to be zero": ConvTranspose2d(
        2, 3, axis_of_subpixel(ConvAxis(3, 2, 2, 2), 2), axis_of_resize(ConvAxis(3, 2, 2, 2), 3)
    ),
}


def random(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def weights_of(conv, dtype):
    return obeying(conv, random(conv.weight_shape, dtype, 1))


def expected_output(conv, x, weight):
    """The scatter in float64."""
    return reference.conv2d_transpose(
        x.astype("float64"),
        weight.astype("float64"),
        conv.strides,
        conv.padding,
        conv.output_padding,
        conv.dilation,
        conv.groups,
    )
