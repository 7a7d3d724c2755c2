"""The two rewrites: what a network does before, and the one operator that does the same."""

from __future__ import annotations

from .canvas import Canvas

_MARGIN, _GAP, _HEIGHT = 28, 26, 52
# Input, operator, what lies between the operators, operator, output.
_WIDTHS = (112, 130, 130, 130, 112)
_PLACES = [_MARGIN + sum(_WIDTHS[:i]) + i * _GAP for i in range(len(_WIDTHS))]


def rewrite() -> Canvas:
    canvas = Canvas(
        _PLACES[-1] + _WIDTHS[-1] + _MARGIN,
        374,
        "What the rewrite does",
        "A convolution followed by a pixel shuffle becomes one transposed convolution with the "
        "same weights in another order. A nearest resize followed by a convolution becomes one "
        "transposed convolution whose taps are sums of the original ones. In both cases the maps "
        "between the two operators are never written.",
    )
    _group(
        canvas,
        16,
        "Sub-pixel convolution, as in ESPCN",
        [
            ("x", "32 x 224 x 224"),
            ("conv 3x3", "32 -> 9"),
            ("9 x 224 x 224", "written, read again"),
            ("pixel shuffle", "by 3"),
            ("y", "1 x 672 x 672"),
        ],
        ("transposed conv 9x9, stride 3", "the same weights in another order, the same products"),
    )
    _group(
        canvas,
        192,
        "Nearest resize and convolution, as in many generators",
        [
            ("x", "64 x 128 x 128"),
            ("nearest resize", "by 2"),
            ("64 x 256 x 256", "written, read again"),
            ("conv 3x3", "64 -> 64"),
            ("y", "64 x 256 x 256"),
        ],
        ("transposed conv 4x4, stride 2", "taps that meet one pixel are one: 4/9 of the products"),
    )
    return canvas


def _group(
    canvas: Canvas, top: int, header: str, before: list[tuple[str, str]], after: tuple[str, str]
) -> None:
    canvas.text(_MARGIN, top + 16, header, bold=True, size=14)
    row = top + 30
    for i, words in enumerate(before):
        fill = "two-light" if i in (1, 2, 3) else "faint"
        canvas.label(_PLACES[i], row, _WIDTHS[i], _HEIGHT, *words, fill=fill)
        if i:
            _connect(canvas, _PLACES[i] - _GAP, row)
    row += _HEIGHT + 16
    middle = _PLACES[3] + _WIDTHS[3] - _PLACES[1]
    canvas.label(_PLACES[0], row, _WIDTHS[0], _HEIGHT, *before[0])
    canvas.label(_PLACES[1], row, middle, _HEIGHT, *after, fill="one-light")
    canvas.label(_PLACES[4], row, _WIDTHS[4], _HEIGHT, *before[4])
    for place in (_PLACES[1], _PLACES[4]):
        _connect(canvas, place - _GAP, row)


def _connect(canvas: Canvas, x: float, row: float) -> None:
    canvas.arrow(x + 2, row + _HEIGHT / 2, x + _GAP - 2, row + _HEIGHT / 2)
