"""Interpolation, sampling and shuffles of torch.export programs are what eager PyTorch computes."""

from __future__ import annotations

import pytest
from torch_rows import Table, floats, row

LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
SHAPES = {3: (2, 3, 7), 4: (2, 3, 7, 10), 5: (1, 2, 3, 4, 5)}
FREE = {3: ("n", 3, "w"), 4: ("n", 3, "h", "w"), 5: (1, 2, 3, "h", "w")}


def interpolate(x, options, dtype="float32"):
    return row(f"F.interpolate(x, {options})", x, dtype=dtype)


NEAREST = [
    interpolate(SHAPES[rank], f"{size}, mode={mode!r}")
    for mode in ("nearest", "nearest-exact")
    for rank, size in [
        (3, "scale_factor=2"),
        (4, "scale_factor=2"),
        (4, "scale_factor=(3, 2)"),
        (4, "scale_factor=0.75"),
        (4, "scale_factor=1.3"),
        (4, "scale_factor=1.3, recompute_scale_factor=True"),
        (4, "scale_factor=(0.6, 2.5)"),
        (4, "size=(12, 5)"),
        (4, "size=(1, 20)"),
        (5, "scale_factor=2"),
        (5, "size=(2, 7, 9)"),
    ]
]
BETWEEN = [
    interpolate(SHAPES[rank], f"{size}, mode={mode!r}, align_corners={corners}")
    for rank, size in [
        (3, "scale_factor=0.7"),
        (4, "scale_factor=(1.5, 0.6)"),
        (4, "scale_factor=1.3, recompute_scale_factor=True"),
        (4, "size=(13, 4)"),
        (4, "size=(1, 10)"),
        (5, "scale_factor=1.5"),
        (5, "size=(5, 3, 5)"),
    ]
    for mode in (LINEAR[rank], *(["bicubic"] if rank == 4 else []))
    for corners in (False, True)
]
ANTIALIASED = [
    interpolate(SHAPES[4], f"{size}, mode={mode!r}, align_corners={corners}, antialias=True")
    for mode in ("bilinear", "bicubic")
    for size, corners in [
        ("scale_factor=0.4", False),
        ("scale_factor=2", False),
        ("size=(3, 25)", False),
        ("size=(3, 25)", True),
        ("size=(1, 4)", True),
    ]
]
OTHERS = [
    # An axis that keeps its size is copied.
    *(
        interpolate((1, 2, 2, 3), f"scale_factor={scales}, mode={mode!r}, antialias=True")
        for mode in ("bilinear", "bicubic")
        for scales in ((1.3, 1.5), (1.2, 1.2))
    ),
    interpolate((1, 2, 1, 6), "scale_factor=2, mode='bicubic'"),
    interpolate((1, 2, 1, 1), "size=(3, 3), mode='bicubic', align_corners=True"),
    interpolate((1, 2, 6, 1), "scale_factor=1.5, mode='bilinear'"),
    interpolate((2, 3, 8, 12), "scale_factor=0.5, mode='area'"),
    interpolate((2, 3, 7, 10), "size=(3, 4), mode='area'"),
    interpolate((2, 3, 7), "size=4, mode='area'"),
    interpolate((1, 2, 3, 4, 5), "size=2, mode='area'"),
    # PyTorch computes nearest along channels_last by another kernel, with other places on ties.
    row(
        "F.interpolate(x.to(memory_format=torch.channels_last), scale_factor=1.3)",
        (1, 8, 7, 10),
    ),
    # ... and small maps by another than large ones.
    interpolate((1, 2, 70, 90), "scale_factor=1.3"),
    interpolate((1, 2, 70, 90), "scale_factor=0.7, mode='nearest-exact'"),
    row("F.interpolate(x, scale_factor=2)", floats(1, 2, 5, 4).mul(50).byte()),
    row("nn.Upsample(scale_factor=3, mode='nearest')", (2, 3, 7, 10)),
    row("nn.UpsamplingBilinear2d(size=(9, 9))", (2, 3, 7, 10)),
    *[
        interpolate((2, 3, 7, 10), options, dtype)
        for dtype in ("float16", "float64")
        for options in [
            "scale_factor=1.3",
            "scale_factor=1.3, mode='nearest-exact'",
            "size=(12, 9), mode='bilinear'",
            "scale_factor=1.5, mode='bicubic'",
            "scale_factor=0.5, mode='bilinear', antialias=True",
        ]
        if dtype == "float64" or "antialias" not in options
    ],
]
FREE_SIZES = [
    *[
        interpolate(FREE[rank], options)
        for rank, options in [
            (3, "scale_factor=2"),
            (4, "scale_factor=2"),
            (4, "scale_factor=1.5"),
            (4, "scale_factor=0.5, mode='nearest-exact'"),
            (4, "size=(12, 5)"),
            (4, "size=(12, 5), mode='bilinear'"),
            (4, "scale_factor=0.5, mode='bilinear'"),
            (4, "scale_factor=1.3, mode='bilinear', align_corners=True"),
            (4, "scale_factor=1.3, mode='bilinear', recompute_scale_factor=True"),
            (4, "scale_factor=1.3, mode='bicubic', align_corners=True"),
            (4, "scale_factor=0.5, mode='bilinear', antialias=True"),
            (5, "scale_factor=2"),
            (5, "scale_factor=1.5, mode='trilinear'"),
        ]
    ],
    interpolate((2, 3, "h", 5), "size=(12, 5), mode='area'"),
    row("F.interpolate(x, size=y.shape[2:])", (1, 3, 4, 5), (1, 2, "h", "w")),
    row("F.interpolate(x, size=y.shape[2:], mode='bilinear')", ("n", 3, 4, 5), ("n", 2, "h", "w")),
    row("F.interpolate(x, size=(x.shape[2] * 2 - 1, x.shape[3] + 3))", FREE[4]),
]

PLACES = [
    row(
        f"F.grid_sample(x, y, mode={mode!r}, padding_mode={padding!r}, align_corners={corners})",
        floats(2, 3, 5, 6),
        floats(2, 3, 4, 2) * 1.5,
    )
    for padding, corners in [
        ("zeros", False),
        ("border", True),
        ("reflection", False),
        ("reflection", True),
    ]
    for mode in ("bilinear", "nearest", "bicubic")
]
SAMPLED = [
    *PLACES,
    row("F.grid_sample(x, y, align_corners=False)", floats(1, 2, 5, 6), floats(1, 3, 3, 2)),
    row("F.grid_sample(x, y, align_corners=True)", floats(1, 2, 1, 1), floats(1, 1, 7, 2)),
    row(
        "F.grid_sample(x, y, padding_mode='reflection', align_corners=True)",
        floats(1, 2, 1, 4),
        floats(1, 1, 7, 2),
    ),
    *[
        row(
            f"F.grid_sample(x, y, {options}, align_corners=False)",
            floats(1, 2, 3, 4, 5),
            floats(1, 2, 3, 2, 3),
        )
        for options in ("padding_mode='reflection'", "mode='nearest', padding_mode='border'")
    ],
    row(
        "F.grid_sample(x, y, align_corners=False)",
        floats(1, 2, 5, 6, dtype="float64"),
        floats(1, 3, 4, 2, dtype="float64"),
    ),
    row("F.affine_grid(x, (2, 3, 4, 5), align_corners=False)", (2, 2, 3)),
    row("F.affine_grid(x, (2, 3, 4, 5), align_corners=True)", (2, 2, 3)),
    row("F.affine_grid(x, (1, 3, 2, 4, 5), align_corners=False)", (1, 3, 4)),
    row(
        "F.grid_sample(x, F.affine_grid(y, x.shape, align_corners=False), align_corners=False)",
        (1, 3, 6, 5),
        (1, 2, 3),
    ),
    row("F.grid_sample(x, y, align_corners=False)", (2, 3, "h", "w"), (2, 4, 5, 2)),
    row("F.grid_sample(x, y, align_corners=True)", (2, 3, "h", "w"), (2, "h", 5, 2)),
]
SHUFFLES = [
    row("F.pixel_shuffle(x, 2)", (2, 8, 3, 4)),
    row("F.pixel_shuffle(x, 3)", (9, 3, 4)),
    row("F.pixel_shuffle(x, 1)", (2, 3, 3, 4)),
    row("F.pixel_shuffle(x, 2)", (2, 3, 4, 2, 2)),
    row("F.pixel_unshuffle(x, 2)", (2, 3, 4, 6)),
    row("F.pixel_unshuffle(x, 3)", (1, 6, 9)),
    row("F.channel_shuffle(x, 3)", (2, 6, 3, 4)),
    row("nn.ChannelShuffle(2)", (2, 6, 3, 4)),
    row("F.pixel_shuffle(x, 2)", ("n", 8, "h", "w")),
    row("F.pixel_unshuffle(x, 2)", ("n", 3, "2*h", "2*w")),
    row("F.channel_shuffle(x, 3)", ("n", 6, "h", "w")),
]
ROWS = [*NEAREST, *BETWEEN, *ANTIALIASED, *OTHERS, *FREE_SIZES, *SHUFFLES]
TABLE = Table(ROWS)
# Places that depend on data: nothing else asks as much of the schedules.
SAMPLED_TABLE = Table(SAMPLED, scheduled=True)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_it_is_what_eager_pytorch_computes(one):
    TABLE.check(one)


@pytest.mark.parametrize("one", SAMPLED, ids=str)
def test_a_grid_is_sampled_as_by_eager_pytorch(one):
    SAMPLED_TABLE.check(one)
