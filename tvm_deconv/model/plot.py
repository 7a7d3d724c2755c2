"""The plots of the model: a device's rooflines with each layer on them, and devices compared."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tvm_deconv.files import replacing
from tvm_deconv.plotting import check

from .devices import Device
from .network import ModelLayer
from .report import ModelReport, cost
from .roofline import attainable_flop_per_joule, attainable_flops, time_balance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BEFORE, _AFTER, _KEPT, _ROOF = "#c8553d", "#2a7f9e", "#9a9a9a", "#333333"
_POINTS = 60


def plot(report: ModelReport, path: str | os.PathLike) -> None:
    """Draw a report to ``path``; the ending says the format, such as .svg or .png.

    Of one device: its rooflines of time and, if it has coefficients, of energy, with every layer
    before and after the rewrite. Of several: their roofs, and the network's time and energy.

    Raises BenchError where matplotlib is missing or does not know the format, and OutputError
    where ``path`` cannot be written.
    """
    ending = check(path)
    import matplotlib
    from matplotlib.figure import Figure

    # No glyph outlines and no random names: the file stays small, and the same for the same data.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tvm-deconv"}):
        if len(report.devices) == 1:
            (device,) = report.devices
            panels = 1 if device.energy is None else 2
            figure = Figure(figsize=(5.5 * panels, 4.2), layout="constrained")
            axes = figure.subplots(1, panels, squeeze=False)[0]
            _time_roofline(axes[0], report, device)
            if device.energy is not None:
                _energy_roofline(axes[1], report, device)
            figure.suptitle(device.description, fontsize="medium")
        else:
            figure = Figure(figsize=(13, 4.2), layout="constrained")
            roofs, times, energies = figure.subplots(1, 3)
            _roofs(roofs, report.devices)
            _bars(times, report, "seconds", "ms")
            _bars(energies, report, "joules", "mJ")
        metadata = {"Date": None, "Title": _title(report)} if ending == "svg" else None
        with replacing(path) as unfinished:
            figure.savefig(unfinished, format=ending, dpi=150, metadata=metadata)


def _title(report: ModelReport) -> str:
    """What a screen reader says of the picture."""
    what = " of time and energy" if any(device.energy for device in report.devices) else ""
    return f"Rooflines{what}: {', '.join(device.name for device in report.devices)}"


def _time_roofline(axes: Axes, report: ModelReport, device: Device) -> None:
    low, high = _range(report)
    steps = report.network.steps(rewritten=True)
    for name, rate in device.integers.items():
        if any(getattr(step, name) for step in steps):
            balance = rate.value / device.memory.bytes_per_second.value
            for level in device.levels:
                intensities = _logspace(low, high, balance)
                roof = [attainable_flops(i, device, level, name) / 1e9 for i in intensities]
                axes.plot(intensities, roof, color=_ROOF, linewidth=0.7, linestyle=":")
            label = f"{rate.value / 1e9:.4g} GOP/s of bytes by {name}"
            _annotate(axes, label, (high, rate.value / 1e9), (-3, 3), ha="right")
    for level in device.levels:
        intensities = _logspace(low, high, time_balance(device, level))
        roof = [attainable_flops(i, device, level) / 1e9 for i in intensities]
        axes.plot(intensities, roof, color=_ROOF, linewidth=1)
        label = f"{level.name} {level.bytes_per_second.value / 1e9:.3g} GB/s"
        _annotate(axes, label, (low, roof[0]), (12, -3))
    peak = device.flop_per_second.value / 1e9
    _annotate(axes, f"{peak:.4g} GFLOP/s", (high, peak), (-3, 3), ha="right")
    _draw_layers(axes, report, device, "GFLOP/s of the model")


def _annotate(
    axes: Axes, label: str, place: tuple[float, float], by: tuple[float, float], **more: Any
) -> None:
    """``label``, so many points from a place of the plot."""
    axes.annotate(label, place, by, textcoords="offset points", fontsize="x-small", **more)


def _energy_roofline(axes: Axes, report: ModelReport, device: Device) -> None:
    intensities = _logspace(*_range(report), time_balance(device, device.memory))
    arch = [(attainable_flop_per_joule(i, device) or 0) / 1e9 for i in intensities]
    axes.plot(intensities, arch, color=_ROOF, linewidth=1)
    _draw_layers(axes, report, device, "GFLOP/J of the model", energy=True)


def _draw_layers(
    axes: Axes, report: ModelReport, device: Device, unit: str, *, energy: bool = False
) -> None:
    """Circles: hollow before the rewrite, filled after it, small for layers that stay."""
    for layer in report.network.layers:
        after = _point(layer, device, energy, rewritten=True)
        if not layer.rewritten:
            axes.plot(*after, "o", markersize=4, color=_KEPT)
            continue
        before = _point(layer, device, energy, rewritten=False)
        axes.annotate("", after, before, arrowprops={"arrowstyle": "->", "color": _AFTER})
        axes.plot(*before, "o", markersize=7, markerfacecolor="none", color=_BEFORE)
        axes.plot(*after, "o", markersize=7, color=_AFTER)
        _annotate(axes, layer.name, after, (5, -9))
    for label, style in (
        ("before the rewrite", {"markerfacecolor": "none", "color": _BEFORE}),
        ("after", {"color": _AFTER}),
        ("layer that stays", {"color": _KEPT, "markersize": 4}),
    ):
        axes.plot([], [], "o", label=label, **style)
    axes.legend(fontsize="x-small", frameon=False, loc="lower right")
    _finish(axes, "flop/byte", unit)


def _point(
    layer: ModelLayer, device: Device, energy: bool, *, rewritten: bool
) -> tuple[float, float]:
    """Intensity, and operations for each second or joule, in billions."""
    found = cost(layer.steps_after if rewritten else layer.steps_before, device)
    spent = found.estimate.joules if energy else found.estimate.seconds
    assert spent is not None
    return found.work.intensity, found.work.flop / spent / 1e9


def _roofs(axes: Axes, devices: tuple[Device, ...]) -> None:
    for device in devices:
        intensities = _logspace(0.1, 1000, time_balance(device, device.memory))
        roof = [attainable_flops(i, device, device.memory) / 1e9 for i in intensities]
        axes.plot(intensities, roof, label=device.name)
    axes.set_title("rooflines of memory", fontsize="medium")
    axes.legend(fontsize="x-small", frameon=False)
    _finish(axes, "flop/byte", "GFLOP/s")


def _bars(axes: Axes, report: ModelReport, resource: str, unit: str) -> None:
    names, befores, afters = [], [], []
    for device in report.devices[::-1]:  # horizontal bars are counted from below
        before, after = (
            getattr(report.cost(device, rewritten=r).estimate, resource) for r in (False, True)
        )
        names.append(device.name if before is not None else f"{device.name}\n(no coefficients)")
        befores.append((before or 0) * 1e3)
        afters.append((after or 0) * 1e3)
    places = range(len(names))
    above, below = [p + 0.2 for p in places], [p - 0.2 for p in places]
    for where, values, label, color in (
        (above, befores, "before the rewrite", _BEFORE),
        (below, afters, "after", _AFTER),
    ):
        bars = axes.barh(where, values, height=0.36, label=label, color=color)
        texts = [_short(value) if value else "" for value in values]
        axes.bar_label(bars, texts, padding=3, fontsize="x-small")
    axes.set_yticks(list(places), names, fontsize="small")
    axes.set_title(f"the network, {unit}", fontsize="medium")
    axes.set_xlim(0, 1.2 * max([*befores, *afters]) or 1)
    axes.legend(fontsize="x-small", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _finish(axes: Axes, x: str, y: str) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.set_xlabel(x, fontsize="small")
    axes.set_ylabel(y, fontsize="small")
    axes.grid(True, which="major", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _range(report: ModelReport) -> tuple[float, float]:
    """Intensities from below the layers' and the balances' to above them."""
    works: list[Any] = [
        cost(steps, report.devices[0]).work
        for layer in report.network.layers
        for steps in (layer.steps_before, layer.steps_after)
    ]
    known = [work.intensity for work in works if 0 < work.intensity < float("inf")]
    return min([0.25, *(i / 2 for i in known)]), max([64, *(2 * i for i in known)])


def _logspace(low: float, high: float, knee: float) -> list[float]:
    """Evenly spaced in the logarithm, and the place of the roof's knee."""
    even = [low * (high / low) ** (n / (_POINTS - 1)) for n in range(_POINTS)]
    return sorted([*even, knee])
