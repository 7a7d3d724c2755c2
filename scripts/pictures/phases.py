"""The phases of a transposed convolution along one axis, from the package's own geometry."""

from __future__ import annotations

from tvm_deconv.algebra.geometry import Axis, ConvAxis, axis_of_resize

from .canvas import Canvas

# Nearest resize by 2 and a convolution of 3 taps with padding 1.
FACTOR, KERNEL = 2, 3
_INPUTS = 6
_KINDS = ("one", "two")
_MARGIN, _CELL = 40, 46


def taps_of_resize() -> list[str]:
    """Each tap of the transposed convolution as the sum of original taps that it is."""
    # Copy f of a sample lies under tap k of the flipped kernel at k + f.
    sums: list[list[int]] = [[] for _ in range(KERNEL + FACTOR - 1)]
    for k in range(KERNEL):
        for copy in range(FACTOR):
            sums[KERNEL - 1 - k + copy].append(k)
    return [" + ".join(f"w{k}" for k in sorted(found)) for found in sums]


def phases() -> Canvas:
    axis = axis_of_resize(ConvAxis(KERNEL, 1, 1), FACTOR)
    width = 2 * _MARGIN + 2 * _CELL * _INPUTS
    canvas = Canvas(
        width,
        404,
        "Phases of a transposed convolution",
        "Along one axis, a nearest resize by 2 and a convolution of 3 taps are a transposed "
        "convolution of 4 taps and stride 2. Even outputs use taps 1 and 3, odd outputs taps 0 "
        "and 2: each phase is a convolution of 2 taps over the same inputs.",
    )
    _kernel(canvas, axis)
    _maps(canvas, axis)
    return canvas


def _phase_of(axis: Axis, tap: int) -> int:
    (phase,) = [f for f in range(FACTOR) if tap in {t.k for t in axis.taps(f)}]
    return phase


def _kernel(canvas: Canvas, axis: Axis) -> None:
    words = taps_of_resize()
    canvas.text(_MARGIN, 34, "kernel: w convolved with (1, 1)", bold=True)
    cell = 2 * _CELL * _INPUTS / len(words)
    for k, word in enumerate(words):
        kind = _KINDS[_phase_of(axis, k)]
        x = _MARGIN + k * cell
        canvas.label(x + 3, 46, cell - 6, 48, f"tap {k}", word, fill=f"{kind}-light")
    for phase, kind in enumerate(_KINDS):
        used = " and ".join(str(k) for k in sorted(tap.k for tap in axis.taps(phase)))
        name = ("even", "odd")[phase]
        x = _MARGIN if phase == 0 else _MARGIN + _CELL * _INPUTS
        canvas.text(x, 120, f"phase {phase}, {name} outputs: taps {used}", kind=kind, bold=True)


def _maps(canvas: Canvas, axis: Axis) -> None:
    top, bottom, height = 176, 300, 34
    canvas.text(_MARGIN, top - 12, "inputs", bold=True)
    for i in range(_INPUTS):
        x = _MARGIN + 2 * _CELL * i + _CELL / 2
        canvas.box(x, top, _CELL, height)
        canvas.text(x + _CELL / 2, top + 22, f"x{i}", anchor="middle")
    for block in range(axis.blocks(_INPUTS)):
        for phase, kind in enumerate(_KINDS):
            x = _MARGIN + _CELL * (FACTOR * block + phase)
            for tap in axis.taps(phase):
                source = block + tap.offset
                if 0 <= source < _INPUTS:
                    begin = _MARGIN + 2 * _CELL * source + _CELL
                    canvas.line(begin, top + height, x + _CELL / 2, bottom, kind)
            canvas.box(x + 2, bottom, _CELL - 4, height, fill=f"{kind}-light")
            name = f"y{FACTOR * block + phase}"
            canvas.text(x + _CELL / 2, bottom + 22, name, anchor="middle")
    canvas.text(_MARGIN, bottom + height + 22, "outputs", bold=True)
    canvas.text(
        _MARGIN,
        bottom + height + 44,
        "Each colour is a convolution of two taps over the same inputs. No product has a zero.",
        kind="muted",
        size=12,
    )
