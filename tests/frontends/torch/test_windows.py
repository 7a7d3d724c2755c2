"""Convolutions, pooling, unfold and padding of torch.export programs against eager PyTorch."""

from __future__ import annotations

import pytest
from torch_rows import Table, floats, integers, row

SHAPES = {1: (2, 4, 11), 2: (2, 4, 7, 9), 3: (1, 4, 4, 5, 6)}
FREE = {1: ("n", 4, "w"), 2: ("n", 4, "h", "w"), 3: (1, 4, 4, "h", "w")}

CONVOLUTIONS = [
    *[
        row(f"nn.Conv{k}d({arguments})", SHAPES[k])
        for k in (1, 2, 3)
        for arguments in [
            "4, 6, 3",
            "4, 6, 3, padding=1, bias=False",
            "4, 6, 3, stride=2, padding=1",
            "4, 6, 3, dilation=2, padding=2, groups=2",
            "4, 3, 2, padding='same'",
            "4, 3, 3, padding='same', dilation=2",
            "4, 3, 3, padding=1, padding_mode='circular'",
            "4, 3, 4, padding='same', padding_mode='reflect'",
        ]
    ],
    row("nn.Conv2d(4, 3, (1, 5), stride=(2, 1), padding=(0, 2))", SHAPES[2]),
    row("nn.Conv2d(4, 3, 3, padding=1, padding_mode='replicate')", SHAPES[2]),
    row("nn.Conv2d(4, 3, 3)", SHAPES[2][1:]),
    row("F.conv2d(x, y)", (1, 3, 6, 6), (2, 3, 3, 3)),
    row("F.conv_transpose2d(x, y, stride=2)", (1, 3, 4, 4), (3, 2, 3, 3)),
    *[
        row(f"nn.ConvTranspose{k}d({arguments})", SHAPES[k])
        for k in (1, 2, 3)
        for arguments in [
            "4, 6, 4, stride=2, padding=1",
            "4, 6, 3, stride=2, padding=1, output_padding=1, bias=False",
            "4, 6, 3, padding=2, groups=2",
            "4, 6, 3, stride=2, dilation=2, output_padding=1",
            "4, 4, 3, stride=3, groups=4",
        ]
    ],
    # Zeros behind the last tap, and a crop that they are taken from.
    row("nn.ConvTranspose2d(4, 3, 2, dilation=3, output_padding=2)", SHAPES[2]),
    row("nn.ConvTranspose2d(4, 3, 3, dilation=4, padding=1, output_padding=3)", SHAPES[2]),
    row("nn.ConvTranspose2d(4, 3, 2, stride=4, output_padding=3)", SHAPES[2]),
    row("nn.ConvTranspose2d(4, 3, (3, 1), stride=(2, 1), padding=(1, 0))", SHAPES[2][1:]),
    *[
        row(text, (2, 4, 7, 9), dtype=dtype)
        for dtype in ("float16", "float64")
        for text in [
            "nn.Conv2d(4, 6, 3, padding=1)",
            "nn.Conv2d(4, 6, 3, stride=2, bias=False)",
            "nn.ConvTranspose2d(4, 6, 4, stride=2, padding=1)",
        ]
    ],
    row("nn.Conv1d(4, 3, 3)", (2, 4, 9), dtype="float16"),
    row("nn.Conv1d(4, 3, 3, stride=2, padding=1)", FREE[1]),
    row("nn.Conv2d(4, 3, 3, stride=2, padding=1)", FREE[2]),
    row("nn.Conv2d(4, 3, 3, padding=1, padding_mode='circular')", FREE[2]),
    row("nn.Conv3d(4, 3, 3, padding=1)", FREE[3]),
    row("nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1)", FREE[2]),
    *[
        row(f"F.conv_transpose2d(x, y, stride=2, output_padding={extra})", FREE[2], (4, 3, 3, 3))
        for extra in ("(x.shape[2] % 2, x.shape[3] % 2)", "(x.shape[2] % 2, 0)")
    ],
]

POOLS = [
    *[
        row(f"nn.{name}Pool{k}d({arguments})", SHAPES[k])
        for k in (1, 2, 3)
        for name, arguments in [
            ("Max", "2"),
            ("Max", "3, stride=2, padding=1"),
            ("Max", "2, stride=3, ceil_mode=True"),
            ("Max", "3, stride=2, padding=1, ceil_mode=True"),
            ("Max", "2, stride=1, dilation=2"),
            ("Avg", "2"),
            ("Avg", "3, stride=2, padding=1"),
            ("Avg", "3, stride=2, padding=1, count_include_pad=False"),
            ("Avg", "2, stride=3, ceil_mode=True"),
            ("Avg", "3, stride=2, padding=1, ceil_mode=True, count_include_pad=False"),
        ]
    ],
    row("nn.AvgPool2d(2, divisor_override=3)", SHAPES[2]),
    row("nn.AvgPool3d(2, divisor_override=5)", SHAPES[3]),
    row("nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True)", SHAPES[2]),
    row("nn.AvgPool2d((3, 1), stride=(2, 3), padding=(1, 0))", SHAPES[2]),
    row("nn.MaxPool2d((1, 3), stride=(2, 1), dilation=(1, 2))", SHAPES[2]),
    row("nn.MaxPool2d(2)", SHAPES[2][1:]),
    row("nn.AvgPool2d(2)", SHAPES[2][1:]),
    row("nn.MaxPool1d(2)", SHAPES[1][1:]),
    row("nn.MaxPool2d(2, return_indices=True)", SHAPES[2]),
    row("nn.MaxPool1d(2, return_indices=True)", SHAPES[1]),
    row("F.max_pool2d(x, 3, 2, 1, return_indices=True)[1]", SHAPES[2]),
    row("F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)", (2, 3, 6, 8)),
    row("nn.MaxPool2d(3, 2, 1, ceil_mode=True, return_indices=True)", FREE[2]),
    row("nn.MaxPool2d(2, return_indices=True)", integers(1, 3, 6, 8, high=3) * 1.0),
    row("nn.MaxUnpool2d(2)", (2, 3, 2, 2), integers(2, 3, 2, 2, high=16)),
    row("F.max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2)", (1, 2, 4, 6, 4)),
    row("F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)", ("n", 3, 6, 8)),
    row("nn.LPPool2d(2, 3, stride=2)", SHAPES[2]),
    row("nn.MaxPool2d(2)", (2, 4, 7, 9), dtype="float16"),
    row("nn.AvgPool2d(3, padding=1)", (2, 4, 7, 9), dtype="float16"),
    row("nn.AvgPool2d(3, padding=1)", (2, 4, 7, 9), dtype="float64"),
    row("F.max_pool2d(x, 2)", integers(1, 2, 6, 6, low=-9)),
    row("F.max_pool2d(x, 3, 2, 1)", -1 - floats(1, 2, 6, 6).abs()),
    *[
        row(f"nn.Adaptive{name}Pool{k}d({size})", SHAPES[k])
        for name in ("Avg", "Max")
        for k, size in [(1, 4), (2, 1), (2, 3), (2, (None, 2)), (2, 12), (3, 2)]
    ],
    row("nn.AdaptiveAvgPool2d(2)", SHAPES[2][1:]),
    row("F.adaptive_avg_pool2d(x, (3, 2))", (2, 3, 6, 8)),
    row("F.adaptive_max_pool2d(x, (3, 2))", (2, 3, 6, 8)),
    row("F.adaptive_avg_pool2d(x, (3, 2))", (2, 3, 7, 8), dtype="float16"),
    *[
        row(text, FREE[2])
        for text in [
            "nn.MaxPool2d(3, stride=2, padding=1)",
            "nn.MaxPool2d(2, ceil_mode=True)",
            "nn.AvgPool2d(2, ceil_mode=True)",
            "nn.AvgPool2d(3, padding=1, count_include_pad=False)",
            "nn.AdaptiveAvgPool2d((3, 2))",
            "nn.AdaptiveMaxPool2d(3)",
            "nn.AdaptiveAvgPool2d((1, None))",
        ]
    ],
    row("nn.MaxPool3d(2)", FREE[3]),
]

PADS = [
    *[
        row(f"F.pad(x, {widths}, mode={mode!r})", shape)
        for mode in ("reflect", "replicate", "circular", "constant")
        for shape, widths in [
            ((2, 3, 7), (1, 2)),
            ((2, 3, 7, 5), (-1, 2, 3, -2)),
            ((2, 3, 7, 5), (-1, -1, -2, 0)),
            ((1, 2, 3, 4, 5), (1, 2, 2, 0, 1, 1)),
        ]
    ],
    # A cut behind a formula of a free size.
    *[
        row(
            "torch.relu(F.pad(F.interpolate(F.max_pool2d(x, 2, 3, 1), scale_factor=3.0), "
            f"(2, -1, 1, 2), mode={mode!r}))",
            FREE[2],
        )
        for mode in ("reflect", "replicate", "circular", "constant")
    ],
    row("F.pad(x, (4, 4), mode='reflect')", (3, 5)),
    row("F.pad(x, (1, 1, 2, 0), mode='replicate')", (3, 4, 5)),
    row("F.pad(x, (7, 7), mode='replicate')", (2, 3, 5)),
    row("F.pad(x, (5, 5), mode='circular')", (2, 3, 5)),
    row("F.pad(x, (3, -2), value=1.5)", (2, 3, 5)),
    row("F.pad(x, (-3, 2), value=-inf)", (2, 5)),
    row("F.pad(x, (1, 0, 0, 1, 2, 2, 1, 1))", (2, 3, 5, 1)),
    row("F.pad(x, (1, 2), value=7)", integers(2, 5)),
    row("F.pad(x, (1, 2), value=True)", integers(2, 5) > 4),
    row("F.pad(x, (1, 2), value=0.5)", (2, 5), dtype="float16"),
    row("F.pad(x, (1, 2), mode='reflect')", integers(2, 5)),
    row("nn.ZeroPad2d((1, 2, 2, -1))", (2, 3, 7, 5)),
    row("nn.ReflectionPad2d(2)", (3, 7, 5)),
    *[row(f"F.pad(x, (1, 2, 3, 0), mode={mode!r})", FREE[2]) for mode in ("replicate", "circular")],
    row("F.pad(x, (-1, 2, 3, -2), mode='circular')", FREE[2]),
    row("F.pad(x, (0, -x.shape[3] % 4, 0, -x.shape[2] % 4), mode='reflect')", FREE[2]),
    row("F.pad(x, (0, y.shape[3] - x.shape[3]))", (1, 2, 3, 4), (1, 2, 3, "w")),
]

WINDOWS = [
    row("F.unfold(x, 3)", (2, 3, 5, 6)),
    row("F.unfold(x, (2, 3), stride=2, padding=1, dilation=2)", (2, 3, 5, 6)),
    row("F.fold(x, (5, 6), 2)", (2, 12, 20)),
    row("F.fold(x, (5, 6), (2, 3), stride=2, padding=1)", (2, 18, 9)),
    row("x.unfold(2, 3, 2)", (2, 3, 8)),
    row("x.unfold(-1, 2, 1).mean(-1)", (2, 3, 8)),
    row("F.unfold(x, 3, padding=1)", FREE[2]),
    row("x.unfold(2, 2, 2).unfold(3, 2, 2)", FREE[2]),
]
ROWS = [*CONVOLUTIONS, *POOLS, *PADS, *WINDOWS]
TABLE = Table(ROWS)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_it_is_what_eager_pytorch_computes(one):
    TABLE.check(one)
