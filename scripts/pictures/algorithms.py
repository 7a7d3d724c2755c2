"""Six ways to compute one transposed convolution, along one axis: where sums are and what is read.

The layer is that of ``phases``: 4 taps, stride 2, so that an output has two terms.
"""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Canvas

_WIDTH, _HEIGHT, _MARGIN = 366, 232, 16
_CELL, _OUTPUTS = 30, 10
_LEFT = 33
# Rows of a panel: inputs, what lies between, outputs.
_TOP, _MIDDLE, _BOTTOM, _THICK = 44, 94, 146, 22


def algorithms() -> Canvas:
    canvas = Canvas(
        2 * _WIDTH + 3 * _MARGIN,
        3 * _HEIGHT + 4 * _MARGIN,
        "Six algorithms for one transposed convolution",
        "STRD inserts zeros and convolves. STDD scatters every input to overlapping sums in "
        "memory. REVD takes one tap after the other and asks by a modulo which outputs it "
        "reaches. TDC computes a plane for each phase and interleaves the planes. REVD2 keeps all "
        "phases of some columns in registers and writes each output once. Winograd transforms a "
        "tile of inputs once for all phases and computes fewer products.",
    )
    panels = (_strd, _stdd, _revd, _tdc, _revd2, _winograd)
    for place, panel in enumerate(panels):
        x = _MARGIN + place % 2 * (_WIDTH + _MARGIN)
        y = _MARGIN + place // 2 * (_HEIGHT + _MARGIN)
        panel(_Panel(canvas, x, y))
    return canvas


class _Panel:
    """One algorithm: a frame with a name, rows of cells, and two lines of words below."""

    def __init__(self, canvas: Canvas, x: float, y: float) -> None:
        self.canvas, self.x, self.y = canvas, x, y
        canvas.box(x, y, _WIDTH, _HEIGHT, fill=None, round_=6)

    def words(self, name: str, first: str, second: str) -> None:
        self.canvas.text(self.x + 14, self.y + 25, name, bold=True, size=14)
        for row, line in enumerate((first, second)):
            self.canvas.text(self.x + 14, self.y + 198 + 18 * row, line, size=11.5, kind="muted")

    def column(self, output: float) -> float:
        """The middle of an output's cell."""
        return self.x + _LEFT + _CELL * (output + 0.5)

    def cell(self, output: float, row: float, fill: str, text: str = "", cells: float = 1) -> None:
        """A cell whose middle is that of ``output``, ``cells`` wide."""
        width = _CELL * cells
        left = self.column(output) - width / 2
        self.canvas.box(left + 1, self.y + row, width - 2, _THICK, fill=fill, round_=3)
        if text:
            middle = self.column(output)
            self.canvas.text(middle, self.y + row + 15, text, size=11, anchor="middle")

    def inputs(self, fill: Callable[[int], str] = lambda i: "faint") -> None:
        """Inputs, each above the two outputs of its block."""
        for i in range(_OUTPUTS // 2):
            self.cell(2 * i + 0.5, _TOP, fill(i), f"x{i}")

    def outputs(self, fill: Callable[[int], str]) -> None:
        for o in range(_OUTPUTS):
            self.cell(o, _BOTTOM, fill(o), f"y{o}")

    def arrow(
        self, start: float, row: float, end: float, to: float, kind: str, dashed: bool = False
    ) -> None:
        """From below the cell at ``start`` in one row to above the one at ``end`` in another."""
        x1, x2 = self.column(start), self.column(end)
        self.canvas.arrow(x1, self.y + row + _THICK + 1, x2, self.y + to - 2, kind, dashed)


def _phase(o: int) -> str:
    return "one-light" if o % 2 == 0 else "two-light"


def _strd(panel: _Panel) -> None:
    panel.words(
        "STRD: insert zeros, convolve",
        "Every output multiplies all 4 taps, here 2 of them",
        "with zeros: stride x stride times the work in two axes.",
    )
    for o in range(_OUTPUTS):
        text = f"x{o // 2}" if o % 2 == 0 else "0"
        panel.cell(o, _TOP, "faint" if o % 2 == 0 else "paper", text)
    panel.outputs(lambda o: "one-light" if o == 5 else "faint")
    for source in (3, 4, 5, 6):
        panel.arrow(source, _TOP, 5, _BOTTOM, "one" if source % 2 == 0 else "line", source % 2 == 1)


def _stdd(panel: _Panel) -> None:
    panel.words(
        "STDD: scatter every input",
        "Each input is read once and added to the 4 sums it",
        "reaches. They overlap, so sums are loaded and stored.",
    )
    panel.inputs(lambda i: {1: "one-light", 2: "two-light"}.get(i, "faint"))
    panel.outputs(lambda o: "faint")
    for i, kind in ((1, "one"), (2, "two")):
        for o in range(2 * i - 1, 2 * i + 3):
            panel.arrow(2 * i + 0.5, _TOP, o, _BOTTOM, kind)


def _revd(panel: _Panel) -> None:
    panel.words(
        "REVD: one tap at a time",
        "For each tap a pass over all outputs, with a modulo",
        "that says which it reaches (tap 2: the odd ones).",
    )
    panel.inputs()
    panel.outputs(lambda o: "two-light" if o % 2 else "faint")
    for o in range(_OUTPUTS):
        if o % 2:
            panel.arrow(o - 0.5, _TOP, o, _BOTTOM, "two")
        else:
            panel.arrow(o + 0.5, _TOP, o, _BOTTOM, "line", dashed=True)


def _tdc(panel: _Panel) -> None:
    panel.words(
        "TDC: a convolution for each phase",
        "Stride-1 convolutions of 2 taps, each to a plane in",
        "memory; then the planes are interleaved.",
    )
    panel.inputs()
    for i in range(_OUTPUTS // 2):
        panel.cell(i - 0.25, _MIDDLE, "one-light")
        panel.cell(i + 5.25, _MIDDLE, "two-light")
    for start, plane, kind in ((2.5, 1.75, "one"), (4.5, 1.75, "one")):
        panel.arrow(start, _TOP, plane, _MIDDLE, kind)
    for start, plane, kind in ((4.5, 7.25, "two"), (6.5, 7.25, "two")):
        panel.arrow(start, _TOP, plane, _MIDDLE, kind)
    panel.arrow(1.75, _MIDDLE, 4, _BOTTOM, "one")
    panel.arrow(7.25, _MIDDLE, 5, _BOTTOM, "two")
    panel.outputs(_phase)


def _revd2(panel: _Panel) -> None:
    panel.words(
        "REVD2: all phases in registers",
        "A vector of inputs is loaded once for every phase;",
        "sums stay in registers, each output is written once.",
    )
    panel.inputs(lambda i: "faint")
    panel.cell(2.5, _MIDDLE, "one-light", "sums of phase 0", cells=4.6)
    panel.cell(6.5 + 0.7, _MIDDLE, "two-light", "sums of phase 1", cells=4.6)
    for start in (2.5, 4.5, 6.5):
        panel.arrow(start, _TOP, 2.5 + (start - 4.5) * 0.4, _MIDDLE, "one")
        panel.arrow(start, _TOP, 7.2 + (start - 4.5) * 0.4, _MIDDLE, "two")
    panel.arrow(2.5, _MIDDLE, 4, _BOTTOM, "one")
    panel.arrow(7.2, _MIDDLE, 5, _BOTTOM, "two")
    panel.outputs(_phase)


def _winograd(panel: _Panel) -> None:
    panel.words(
        "Winograd: TDC with fewer products",
        "A tile of 5 inputs is transformed once for all phases;",
        "4 outputs of a phase then take 5 products, not 8.",
    )
    panel.inputs(lambda i: "one-light")
    for i in range(5):
        panel.arrow(2 * i + 0.5, _TOP, 4.5, _MIDDLE, "muted")
    panel.cell(4.5, _MIDDLE, "faint", "5 transformed values", cells=6)
    panel.arrow(3, _MIDDLE, 3, _BOTTOM, "one")
    panel.arrow(6, _MIDDLE, 6, _BOTTOM, "two")
    for o in range(1, 9):
        panel.cell(o, _BOTTOM, _phase(o), f"y{o}")
