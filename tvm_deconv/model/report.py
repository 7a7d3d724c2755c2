"""What a network takes on devices, in words: one device in detail, several beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

from .devices import INTEGERS, Device
from .network import ModelLayer, NetworkModel
from .roofline import ARITHMETIC, Estimate, Work, estimate, time_balance, total
from .sources import Coefficient


@dataclass(frozen=True)
class LayerCost:
    """What steps do, and what they take on a device."""

    work: Work
    estimate: Estimate


def cost(steps: Sequence[Work], device: Device) -> LayerCost:
    """Of steps that run one after the other; nothing for none."""
    return LayerCost(reduce(add, steps, Work(0, 0)), total(steps, device))


@dataclass(frozen=True)
class ModelReport:
    """A network on one device or several; prints as tables."""

    network: NetworkModel
    devices: tuple[Device, ...]

    def cost(self, device: Device, *, rewritten: bool) -> LayerCost:
        """Of the whole network."""
        return cost(self.network.steps(rewritten=rewritten), device)

    def __str__(self) -> str:
        if len(self.devices) == 1:
            return "\n".join([describe(self.devices[0]), "", *self._details(self.devices[0])])
        return "\n".join([*self._comparison(), "", *map(describe, self.devices)])

    def _details(self, device: Device) -> list[str]:
        rows: list[tuple[str, ...]] = [("layer", "what", *_UNITS, "waits for")]
        for layer in (*self.network.layers, self.network.others):
            if layer.steps_before or layer.steps_after:
                rows += _layer_rows(layer, device)
        for name, rewritten in (("before", False), ("after", True)):
            found = self.cost(device, rewritten=rewritten)
            rows.append(("network", f"{name} the rewrite", *_numbers(found), ""))
        return [*_columns(rows, left=2), self._gain(device)]

    def _comparison(self) -> list[str]:
        rows: list[tuple[str, ...]]
        rows = [("device", "ms before", "after", "ratio", "mJ before", "after", "ratio")]
        for device in self.devices:
            before, after = (self.cost(device, rewritten=r).estimate for r in (False, True))
            rows.append(
                (
                    device.name,
                    *_pair(before.seconds * 1e3, after.seconds * 1e3),
                    *_pair(_milli(before.joules), _milli(after.joules)),
                )
            )
        return _columns(rows, left=1)

    def _gain(self, device: Device) -> str:
        before, after = (self.cost(device, rewritten=r).estimate for r in (False, True))
        words = [f"the rewrite: time / {before.seconds / after.seconds:.2f}"]
        if before.joules is not None and after.joules is not None:
            words.append(f"energy / {before.joules / after.joules:.2f}")
        return ", ".join(words)


_UNITS = ("Mmul-adds", "MB", "ms", "mJ")


def describe(device: Device) -> str:
    """Name and coefficients, and below them where each comes from."""
    sources: dict[str, int] = {}

    def cited(coefficient: Coefficient, unit: str, scale: float) -> str:
        number = sources.setdefault(str(coefficient.source), len(sources) + 1)
        return f"{coefficient.value * scale:.4g} {unit} [{number}]"

    words = [cited(device.flop_per_second, "GFLOP/s", 1e-9)]
    words += [
        cited(rate, f"GOP/s of bytes by {name}", 1e-9) for name, rate in device.integers.items()
    ]
    lacking = [name for name in INTEGERS if name not in device.integers]
    if lacking:
        which = f"bytes by {lacking[0]}" if len(lacking) == 1 else "integers"
        words.append(f"{which} as fast as floats, for want of a source")
    for level in device.levels:
        size = f" of {cited(level.capacity, 'MiB', 1 / 2**20)}" if level.capacity else ""
        rate = cited(level.bytes_per_second, "GB/s", 1e-9)
        balance = time_balance(device, level)
        words.append(f"{level.name}{size} {rate}, balance {balance:.3g} flop/byte")
    energy = device.energy
    if energy is None:
        words.append(f"no energy: {device.no_energy}")
    else:
        words.append(cited(energy.joules_per_flop, "pJ/flop", 1e12))
        words.append(cited(energy.joules_per_byte, "pJ/byte", 1e12))
        words.append(cited(energy.watts, "W", 1))
    lines = [f"{device.name}: {device.description}", *words]
    lines += [f"[{number}] {source}" for source, number in sources.items()]
    return "\n    ".join(lines)


def _layer_rows(layer: ModelLayer, device: Device) -> list[tuple[str, ...]]:
    after = cost(layer.steps_after, device)
    before = cost(layer.steps_before, device)
    result = (*_numbers(after), _bounds(layer.steps_after, device))
    if not layer.rewritten and before == after:
        return [(layer.name, layer.after, *result)]
    first = (*_numbers(before), _bounds(layer.steps_before, device))
    arrow = f"=> {layer.after}" if layer.rewritten else "after the rewrite"
    return [(layer.name, layer.before, *first), ("", arrow, *result)]


def _numbers(found: LayerCost) -> tuple[str, ...]:
    return (
        f"{found.work.multiply_adds / 1e6:.1f}",
        f"{found.work.bytes / 1e6:.2f}",
        _text(found.estimate.seconds * 1e3),
        _text(_milli(found.estimate.joules)),
    )


def _bounds(steps: Sequence[Work], device: Device) -> str:
    """What the steps wait for, each once, arithmetic first."""
    found = dict.fromkeys(estimate(step, device).bound for step in steps)
    return ", ".join(sorted(found, key=lambda name: name != ARITHMETIC))


def _pair(before: float | None, after: float | None) -> tuple[str, str, str]:
    ratio = "-" if before is None or after is None or not after else f"{before / after:.2f}"
    return _text(before), _text(after), ratio


def _milli(value: float | None) -> float | None:
    return None if value is None else value * 1e3


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if value < 1 else f"{value:.2f}"


def _columns(rows: Sequence[tuple[str, ...]], left: int) -> list[str]:
    """Rows as aligned lines: the first ``left`` columns and words to the left, numbers right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numbers = range(left, left + len(_UNITS)) if left > 1 else range(left, len(widths))
    lines = []
    for row in rows:
        cells = [
            f"{cell:>{width}}" if i in numbers else f"{cell:<{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
