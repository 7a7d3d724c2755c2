"""The way of a model through the package, and who measures what it is tuned by."""

from __future__ import annotations

from .canvas import Canvas

_MARGIN, _WIDTH, _HEIGHT, _GAP = 18, 128, 66, 26
_STEPS = (
    ("read", "frontends", "one graph"),
    ("rewrite", "patterns", "layers or reasons"),
    ("lower", "transform/lower", "scheduled kernels"),
    ("build", "compiler, backends", "library"),
    ("run", "runner", "image"),
)


def flow() -> Canvas:
    width = 2 * _MARGIN + len(_STEPS) * _WIDTH + (len(_STEPS) - 1) * _GAP
    canvas = Canvas(
        width,
        312,
        "From a model to a running library",
        "A model is read into one Relax graph, its upsampling layers are rewritten, convolutions "
        "are lowered to scheduled kernels, the library is built and run. The choice of a kernel "
        "asks the tuning logs first and the machine model otherwise. Tuning measures candidates "
        "on a device and writes the logs.",
    )
    top = 18
    for place, words in enumerate(_STEPS):
        x = _place(place)
        canvas.label(x, top, _WIDTH, _HEIGHT, *words, fill="one-light")
        if place:
            canvas.arrow(x - _GAP + 2, top + _HEIGHT / 2, x - 2, top + _HEIGHT / 2)
    choice, below = top + _HEIGHT + 34, _HEIGHT + 34
    middle = _place(2)
    canvas.label(middle, choice, _WIDTH, _HEIGHT, "choose", "schedules/choice", "variant, numbers")
    canvas.arrow(middle + _WIDTH / 2, choice - 2, middle + _WIDTH / 2, top + _HEIGHT + 2)
    canvas.label(_place(1), choice, _WIDTH, _HEIGHT, "tuning logs", "logs", "what was measured")
    canvas.arrow(_place(1) + _WIDTH + 2, choice + _HEIGHT / 2, middle - 2, choice + _HEIGHT / 2)
    canvas.label(_place(3), choice, _WIDTH, _HEIGHT, "machine model", "schedules", "cycles")
    canvas.arrow(_place(3) - 2, choice + _HEIGHT / 2, middle + _WIDTH + 2, choice + _HEIGHT / 2)
    tune = choice + below
    canvas.label(_place(1), tune, _WIDTH, _HEIGHT, "tune", "tuning", "search, build, check")
    canvas.arrow(_place(1) + _WIDTH / 2, tune - 2, _place(1) + _WIDTH / 2, choice + _HEIGHT + 2)
    canvas.label(middle, tune, _WIDTH, _HEIGHT, "device", "RPC server", "here, or a board")
    canvas.arrow(_place(1) + _WIDTH + 2, tune + 24, middle - 2, tune + 24)
    canvas.arrow(middle - 2, tune + 44, _place(1) + _WIDTH + 2, tune + 44)
    canvas.text(middle + _WIDTH + 14, tune + 28, "kernels go there,", size=12, kind="muted")
    canvas.text(middle + _WIDTH + 14, tune + 46, "checked times come back", size=12, kind="muted")
    return canvas


def _place(step: int) -> float:
    return _MARGIN + step * (_WIDTH + _GAP)
