"""Draw the pictures of README.md and docs/ again: docs/pictures/*.svg.

python scripts/draw_pictures.py
"""

from __future__ import annotations

from pictures import FOLDER, PICTURES


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(str(draw()), encoding="utf-8")


if __name__ == "__main__":
    main()
