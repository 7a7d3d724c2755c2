"""Convolutions, pools, pads and shuffles of ONNX, attribute by attribute: computed or refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx_rows import Table, c, check_refused, floats, ints, row

X = floats(2, 4, 6, 7)
IMAGE = (2, 3)
W, B = c(floats(4, 4, 3, 3)), c(floats(4))
T = c(floats(4, 3, 3, 3))

CONVOLUTIONS = [
    *(
        row("Conv", X, W, B, opset=opset, free=free, **attributes)
        for attributes in (
            {},
            {"pads": [1, 0, 2, 1], "kernel_shape": [3, 3]},
            {"strides": [2, 3]},
            {"dilations": [2, 1]},
            {"auto_pad": "VALID"},
            {"auto_pad": "SAME_UPPER"},
            {"auto_pad": "SAME_LOWER"},
            {"auto_pad": "SAME_UPPER", "strides": [2, 3]},
            {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        )
        for opset, free in ((7, ()), (11, ()), (13, IMAGE))
    ),
    # ONNX Runtime refuses it; the standard's formula has the dilation.
    row("Conv", X, W, auto_pad="SAME_LOWER", dilations=[2, 1], strides=[2, 2], judge="standard"),
    row("Conv", X, c(floats(4, 2, 3, 2)), group=2, auto_pad="SAME_LOWER", strides=[2, 2]),
    row("Conv", floats(2, 4, 9), c(floats(3, 4, 3)), auto_pad="SAME_LOWER", strides=[2]),
    row("Conv", floats(2, 4, 9), c(floats(3, 4, 3)), pads=[1, 2], dilations=[2]),
    row("Conv", floats(1, 2, 5, 6, 4), c(floats(3, 2, 3, 2, 2)), auto_pad="SAME_UPPER"),
    row("Conv", X.astype("float16"), c(W.array, "float16"), c(B.array, "float16")),
    *(
        row("ConvTranspose", X, T, opset=11, **attributes)
        for attributes in (
            {},
            {"pads": [1, 0, 2, 1], "strides": [2, 3], "output_padding": [1, 2]},
            {"dilations": [2, 1]},
            {"strides": [2, 2], "output_shape": [13, 14]},
            {"strides": [2, 2], "output_shape": [14, 16]},
            {"strides": [2, 2], "output_shape": [12, 13], "auto_pad": "SAME_UPPER"},
            {"strides": [2, 2], "output_shape": [12, 13], "auto_pad": "SAME_LOWER"},
            {"strides": [2, 2], "output_shape": [12, 14], "pads": [0, 1, 0, 1]},
            {"strides": [2, 2], "output_shape": [13, 15], "output_padding": [1, 1]},
        )
    ),
    *(
        row("ConvTranspose", X, T, free=free, **attributes)
        for attributes in (
            {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
            {"auto_pad": "SAME_LOWER", "strides": [2, 2], "output_padding": [1, 1]},
            {"auto_pad": "SAME_UPPER", "strides": [2, 2], "dilations": [2, 2]},
            {"auto_pad": "SAME_UPPER", "strides": [4, 4]},
            {"auto_pad": "VALID", "strides": [2, 2]},
        )
        for free in ((), IMAGE)
    ),
    row("ConvTranspose", X, T, group=2, strides=[2, 2], output_shape=[13, 14]),
    row("ConvTranspose", floats(2, 4, 9), c(floats(4, 3, 4)), strides=[3], output_padding=[1]),
    row("ConvTranspose", floats(2, 4, 9), c(floats(4, 3, 4)), strides=[2], auto_pad="SAME_LOWER"),
]

_POOLS = (
    {"kernel_shape": [3, 2]},
    {"kernel_shape": [3, 3], "pads": [1, 0, 2, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "VALID"},
)
POOLS = [
    *(row("MaxPool", X, opset=12, **a) for a in _POOLS),
    *(row("MaxPool", X, free=IMAGE, **a) for a in _POOLS),
    *(
        row("AveragePool", X, opset=11, count_include_pad=includes, **a)
        for a in _POOLS
        for includes in (0, 1)
    ),
    *(row("AveragePool", X, free=IMAGE, **a) for a in _POOLS),
    *(
        row(operator, x, free=axes, kernel_shape=kernel, strides=strides, auto_pad=pad, **a)
        for x, axes, kernel, strides in (
            (floats(2, 3, 11, 8), IMAGE, [4, 3], [3, 2]),
            (floats(2, 3, 7), (2,), [3], [2]),
            # A stride over the window, and no sample is left over.
            (floats(2, 3, 11, 7), IMAGE, [2, 1], [5, 3]),
        )
        for pad in ("SAME_UPPER", "SAME_LOWER")
        for operator, a in (
            ("AveragePool", {"count_include_pad": 1}),
            ("AveragePool", {}),
            ("MaxPool", {}),
        )
    ),
    row(
        "AveragePool",
        X[:1],
        kernel_shape=[1, 3],
        strides=[1, 2],
        auto_pad="SAME_UPPER",
        free=(0, 3),
    ),
    row(
        "LpPool",
        X,
        opset=11,
        kernel_shape=[3, 3],
        strides=[2, 2],
        auto_pad="SAME_LOWER",
        free=IMAGE,
    ),
    # A stride over the window that leaves -1, -2 or -3 samples to pad, the last two by free sizes.
    *(
        row(operator, x, opset=19, free=free, kernel_shape=[2, 1], strides=[5, 3], auto_pad=pad)
        for x, free in ((floats(2, 3, 10, 8), ()), (floats(2, 3, 9, 9), IMAGE), (X, IMAGE))
        for pad in ("SAME_UPPER", "SAME_LOWER")
        for operator in ("AveragePool", "LpPool")
    ),
    # ONNX Runtime refuses it; the standard's reference is right where the padding is even.
    *(
        row(
            "MaxPool",
            floats(2, 3, 9, 12),
            kernel_shape=[2, 2],
            strides=[5, 4],
            auto_pad="SAME_UPPER",
            free=free,
            judge="standard",
        )
        for free in ((), IMAGE)
    ),
    row("AveragePool", X, opset=19, kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1]),
    row("MaxPool", X, kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 1, 1, 1], ceil_mode=1),
    # ONNX Runtime forgets the dilation in its padding.
    row(
        "MaxPool", X, kernel_shape=[2, 2], dilations=[2, 3], auto_pad="SAME_UPPER", judge="standard"
    ),
    row("MaxPool", (X[:, :, :4] * 9).astype("int8"), kernel_shape=[2, 2], pads=[1, 1, 1, 1]),
    row("MaxPool", floats(1, 2, 9), kernel_shape=[3], strides=[2], ceil_mode=1),
    row("AveragePool", floats(1, 2, 5, 6, 7), kernel_shape=[3, 3, 2], strides=[2, 2, 2]),
    row("LpPool", X, kernel_shape=[2, 2], p=3),
    row("LpPool", X, kernel_shape=[2, 2], pads=[1, 1, 1, 1], opset=11),
    row("GlobalAveragePool", X),
    row("GlobalMaxPool", floats(2, 3, 4)),
    row("GlobalLpPool", X, p=3),
]

_WIDTHS = ((0, 0, 1, 2, 0, 0, 2, 1), (0, 0, -1, 1, 0, 0, 1, -2))
PADS = [
    *(
        entry
        for mode in ("constant", "edge", "reflect")
        for widths in _WIDTHS
        for entry in (
            row("Pad", X, opset=9, pads=list(widths), mode=mode),
            row("Pad", X, ints(*widths), mode=mode, free=IMAGE),
            row("Pad", X, ints(1, 2, 2, -1), None, ints(-2, 3), opset=18, mode=mode),
        )
    ),
    *(
        row("Pad", X, ints(*widths), opset=19, mode="wrap", free=free)
        for widths in (*_WIDTHS, (0, 0, -2, 3, 0, 0, 4, -1), (0, 0, 13, 7, 0, 0, 6, 15))
        for free in ((), IMAGE)
    ),
    row("Pad", X, ints(0, 0, 1, 2, 0, 0, 2, 1), c(3.5, "float32")),
    row("Pad", X, opset=9, pads=[0, 0, 1, 2, 0, 0, 2, 1], value=2.5),
    row("Pad", np.arange(6).reshape(2, 3), ints(1, 0, 0, 2), c(7)),
    row("Pad", floats(2, 3, dtype="float16"), ints(1, 0, 0, 2), c(7, "float16")),
    row("Pad", np.array([[True, False]]), ints(0, 1, 0, 1)),
    # Cropped where no sample is left.
    row("Pad", floats(1, 2, 1, 3), ints(0, 0, 2, 0, 0, 0, -2, 0), c(3.5, "float32")),
    row("Pad", floats(1, 2, 1, 3), ints(0, 0, 2, -1, 0, 0, -1, 0), free=IMAGE),
    row("Pad", floats(1, 2, 2, 3), ints(0, 0, -3, 0, 0, 0, 3, 1), free=IMAGE),
    row("Pad", floats(1, 2, 3), ints(0, 0, 1, 0, 0, 1), c(-np.inf, "float32")),
    *(
        row("DepthToSpace", floats(1, 16, 2, 3), blocksize=block, free=free, **mode)
        for mode in ({}, {"mode": "DCR"}, {"mode": "CRD"})
        for block, free in ((2, ()), (4, (0, 2, 3)))
    ),
    row("SpaceToDepth", floats(1, 3, 4, 6), blocksize=2),
    row("SpaceToDepth", floats(1, 3, 4, 6), blocksize=2, free=IMAGE),
]

COL2IM = [
    row("Col2Im", floats(2, 3 * 9, 20), ints(9, 8), ints(3, 3), pads=[1] * 4, strides=[2, 2]),
    row(
        "Col2Im",
        floats(2, 3 * 9, 20),
        ints(9, 8),
        ints(3, 3),
        pads=[1] * 4,
        strides=[2, 2],
        free=(0, 2),
    ),
    row("Col2Im", floats(1, 4 * 16, 6), ints(12, 8), ints(4, 4), strides=[4, 4]),
    row("Col2Im", floats(1, 6, 54), ints(10, 7), ints(2, 3), pads=[1, 0, 0, 1], dilations=[2, 1]),
    row(
        "Col2Im",
        floats(1, 12, 12),
        ints(12, 8),
        ints(3, 2),
        pads=[1, 2, 0, 1],
        strides=[3, 2],
        dilations=[2, 3],
    ),
    row("Col2Im", floats(2, 6, 4), ints(9), ints(3), strides=[2]),
    row(
        "Col2Im", floats(2, 6, 4).astype("float16"), ints(9), ints(3), strides=[2], judge="standard"
    ),
]
TABLE = Table([*CONVOLUTIONS, *POOLS, *PADS, *(replace(one, opset=18) for one in COL2IM)])


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_an_attribute_is_computed_as_onnx_runtime_does(one):
    TABLE.check(one)


def conv(**attributes):
    return row("Conv", X, W, **attributes)


def deconv(**attributes):
    return row("ConvTranspose", X, T, **attributes)


def pool(**attributes):
    return row("MaxPool", X, opset=12, **attributes)


REFUSED = [
    (
        row("Col2Im", floats(2, 9, 20), ints(9, 8), ints(3, 3), opset=18),
        r"has \[20\] windows, \[7, 6\] are in \[9, 8\]",
    ),
    (
        row("Col2Im", floats(2, 10, 42), ints(9, 8), ints(3, 3), opset=18),
        r"its input has the shape \[2, 10, 42\], not \[N, C \* 9, L\]",
    ),
    (conv(kernel_shape=[5, 5]), r"kernel_shape is \[5, 5\], but its weights are \[3, 3\]"),
    (conv(kernel_shape=[3]), r"kernel_shape is \[3\], but its weights are \[3, 3\]"),
    (conv(pads=[1, 1]), "pads has 2 numbers, 4 are needed"),
    (conv(pads=[-1, 0, 0, 0]), r"pads is \[-1, 0, 0, 0\]: each must be at least 0"),
    (conv(dilations=[-1, 1]), r"dilations is \[-1, 1\]: each must be at least 1"),
    (conv(strides=[0, 1]), r"strides is \[0, 1\]: each must be at least 1"),
    (conv(strides=[2]), "strides has 1 numbers, 2 are needed"),
    (conv(auto_pad="FOO"), "auto_pad is 'FOO': give one of NOTSET, SAME_UPPER"),
    (conv(auto_pad="VALID", pads=[0, 0, 0, 0]), "has pads and auto_pad VALID: give one of them"),
    (conv(group=3), "its input has 4 channels, its weights are for 12"),
    (conv(group=0), "group is 0: give a positive number"),
    (row("Conv", X, c(floats(3, 2, 3, 3)), group=2), "group 2 does not divide the 3 channels"),
    (row("Conv", X, c(floats(4, 4, 0, 3))), r"its weights have the shape \[4, 4, 0, 3\]"),
    (row("Conv", X, c(floats(0, 4, 3, 3))), r"its weights have the shape \[0, 4, 3, 3\]"),
    (row("Conv", X, W, c(floats(3))), r"its bias has the shape \[3\], not \[4\]"),
    (
        row("Conv", X, c(floats(4, 4, 9, 9))),
        r"would have the shape \[2, 4, -2, -1\]: there is nothing",
    ),
    (deconv(output_padding=[-1, 0]), r"output_padding is \[-1, 0\]: each must be at least 0"),
    (deconv(output_padding=[2, 0]), r"output_padding \[2, 0\] must be less than the stride, 1"),
    (deconv(output_padding=[1]), "output_padding has 1 numbers, 2 are needed"),
    (deconv(output_shape=[20, 20]), r"output_shape \[20, 20\] is larger than its kernel reaches"),
    (deconv(output_shape=[9, 9], free=IMAGE), "output_shape is computed for fixed sizes"),
    (deconv(pads=[5, 5, 5, 5]), r"would have the shape \[2, 3, -2, -1\]: there is nothing"),
    (deconv(dilations=[0, 1]), r"dilations is \[0, 1\]: each must be at least 1"),
    (pool(kernel_shape=[3, 3], pads=[3, 3, 3, 3]), "must be less than its window"),
    (pool(kernel_shape=[0, 3]), r"kernel_shape is \[0, 3\]: each must be at least 1"),
    (pool(kernel_shape=[9, 9]), "its window spans 9 samples, its input with padding 6"),
    (pool(kernel_shape=[3, 3], strides=[2, 1], auto_pad="VALID", ceil_mode=1), "is not agreed on"),
    (
        pool(kernel_shape=[3, 3], strides=[2, 1], auto_pad="VALID", ceil_mode=1, free=IMAGE),
        "is not agreed on; give pads",
    ),
    (
        row(
            "MaxPool",
            floats(2, 3, 10, 8),
            kernel_shape=[2, 2],
            strides=[5, 3],
            auto_pad="SAME_UPPER",
            outputs=2,
        ),
        r"its indices count through what its strides \[5, 3\] leave over",
    ),
    (row("LpPool", X, kernel_shape=[2, 2], ceil_mode=1, opset=18), "ceil_mode is 1"),
    (row("Pad", X, ints(1, 1)), "Pads has incorrect number of values"),
    (row("Pad", X, ints(0, 0, -3, 0, 0, 0, -3, 0)), "crops 6 samples off axis 2, which has 6"),
    (row("Pad", X, ints(0, 0, 6, 0, 0, 0, 0, 0), mode="reflect"), "pads 6 reflected samples to"),
    (row("Pad", X, ints(0, 0, 1, 0, 0, 0, 0, 0), mode="wrap"), "mode is 'wrap': give one of const"),
    (row("Pad", X, np.zeros(8, "int64")), "its pads are computed at run time"),
    (row("Pad", X, ints(1, 1), None, ints(5), opset=18), "axes: 5|axis"),
    (row("DepthToSpace", X, blocksize=4), "blocksize 4 needs a multiple of 16 channels, its input"),
    (row("DepthToSpace", X, blocksize=2, mode="RCD"), "mode is 'RCD': give one of DCR, CRD"),
    (row("SpaceToDepth", X, blocksize=4), "blocksize 4 does not divide the size 6"),
]


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_not_computed_is_refused_in_words(one, reason):
    check_refused(one, reason)
