"""A picture as SVG: boxes, lines, arrows and text, in colours for light and for dark pages.

Every picture brings its own background, so that it can be read whatever the page behind it is; the
viewer's setting (`prefers-color-scheme`) turns both at once. Coordinates are pixels.
"""

from __future__ import annotations

from html import escape
from math import hypot

# Colours of a kind on light and on dark pages. `one` and `two` tell phases, or ours and a peer,
# apart; the others of a pair are what they are written on.
_COLOURS = {
    "paper": ("#ffffff", "#0d1117"),
    "ink": ("#1f2933", "#e6edf3"),
    "muted": ("#5b6673", "#9da7b3"),
    "line": ("#98a3b0", "#6e7681"),
    "faint": ("#eef1f4", "#21262d"),
    "one": ("#1f6f8b", "#6cc0de"),
    "one-light": ("#d3e9f1", "#12394a"),
    "two": ("#b3452f", "#f29a84"),
    "two-light": ("#f8ddd6", "#4d2119"),
}
_HEAD = 7.0


class Canvas:
    """Shapes in the order in which they are drawn; ``str`` is the SVG file."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self.width, self.height = width, height
        self._title, self._description = title, description
        self._shapes: list[str] = []
        self._used: set[tuple[str, str]] = set()
        self.box(0, 0, width, height, fill="paper", line=None, round_=8)

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str | None = "faint",
        line: str | None = "line",
        round_: float = 4,
    ) -> None:
        """A rectangle; ``fill`` and ``line`` are kinds of colour, or None for none."""
        self._shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{round_:g}" '
            f"{self._paint(fill, line)}/>"
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, kind: str = "line", dashed: bool = False
    ) -> None:
        """A straight line."""
        self._shapes.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" '
            f"{self._paint(None, kind, dashed)}/>"
        )

    def arrow(
        self, x1: float, y1: float, x2: float, y2: float, kind: str = "ink", dashed: bool = False
    ) -> None:
        """A straight line with a head at its end."""
        length = hypot(x2 - x1, y2 - y1)
        ux, uy = (x2 - x1) / length, (y2 - y1) / length
        neck_x, neck_y = x2 - _HEAD * ux, y2 - _HEAD * uy
        self.line(x1, y1, round(neck_x, 1), round(neck_y, 1), kind, dashed)
        wing = _HEAD / 2
        corners = [(x2, y2), (neck_x - wing * uy, neck_y + wing * ux)]
        corners.append((neck_x + wing * uy, neck_y - wing * ux))
        points = " ".join(f"{round(x, 1):g},{round(y, 1):g}" for x, y in corners)
        self._shapes.append(f'<polygon points="{points}" {self._paint(kind, None)}/>')

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 13,
        anchor: str = "start",
        kind: str = "ink",
        bold: bool = False,
    ) -> None:
        """A line of text; ``y`` is its baseline, ``anchor`` is start, middle or end."""
        weight = ' font-weight="bold"' if bold else ""
        self._shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" text-anchor="{anchor}"{weight} '
            f"{self._paint(kind, None)}>{escape(words, quote=False)}</text>"
        )

    def label(
        self, x: float, y: float, width: float, height: float, *words: str, fill: str = "faint"
    ) -> None:
        """A box with lines of text in its middle, the first of them bold."""
        self.box(x, y, width, height, fill=fill)
        first = y + height / 2 + 5 - 8 * (len(words) - 1)
        for row, line in enumerate(words):
            size, kind = (13, "ink") if row == 0 else (11.5, "muted")
            self.text(
                x + width / 2,
                first + 16 * row,
                line,
                size=size,
                anchor="middle",
                kind=kind,
                bold=row == 0,
            )

    def _paint(self, fill: str | None, line: str | None, dashed: bool = False) -> str:
        """Attributes of a shape's colours."""
        classes = []
        for letter, kind in (("f", fill), ("s", line)):
            if kind is not None:
                self._used.add((letter, kind))
                classes.append(f"{letter}-{kind}")
        words = [f'class="{" ".join(classes)}"']
        if fill is None:
            words.append('fill="none"')
        if dashed:
            words.append('stroke-dasharray="4 3"')
        return " ".join(words)

    def _style(self, column: int) -> str:
        names = {"f": "fill", "s": "stroke"}
        return "".join(
            f".{letter}-{kind}{{{names[letter]}:{_COLOURS[kind][column]}}}"
            for letter, kind in sorted(self._used)
        )

    def __str__(self) -> str:
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" '
                f'height="{self.height}" viewBox="0 0 {self.width} {self.height}" role="img" '
                'aria-labelledby="title desc">',
                f'<title id="title">{escape(self._title, quote=False)}</title>',
                f'<desc id="desc">{escape(self._description, quote=False)}</desc>',
                "<style>text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif}",
                self._style(0),
                f"@media (prefers-color-scheme:dark){{{self._style(1)}}}</style>",
                *self._shapes,
                "</svg>\n",
            ]
        )
