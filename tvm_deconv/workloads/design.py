"""The seven layers that the project's design notes have figures for, unchanged.

They keep the figures comparable over time; most are also near a layer of a real network.
"""

from __future__ import annotations

from .spec import LayerSpec
from .workload import Workload, layer_workload

_ORIGIN = "design notes of this project, 2026, section 3"


def _subpixel(factor: int, c_in: int, c_out: int, size: int) -> Workload:
    spec = LayerSpec(
        "subpixel",
        c_in,
        c_out,
        3,
        size,
        size,
        factor=factor,
        padding=1,
        activation="relu",
        activation_first=True,
    )
    return layer_workload(f"design/subpixel-r{factor}-{c_in}-{c_out}", _ORIGIN, spec)


def _nearest(c_in: int, c_out: int, size: int) -> Workload:
    spec = LayerSpec("nearest", c_in, c_out, 3, size, size, factor=2, padding=1, activation="relu")
    return layer_workload(f"design/nearest-r2-{c_in}-{c_out}", _ORIGIN, spec)


def _deconv(spec: LayerSpec) -> Workload:
    name = f"design/deconv-k{spec.kernel}-s{spec.factor}-{spec.in_channels}-{spec.out_channels}"
    return layer_workload(name, _ORIGIN, spec)


DESIGN: tuple[Workload, ...] = (
    _subpixel(3, 32, 1, 224),
    _subpixel(2, 64, 64, 128),
    _nearest(64, 64, 128),
    _nearest(256, 256, 64),
    _nearest(128, 64, 64),
    _deconv(LayerSpec("deconv", 256, 128, 4, 16, 16, factor=2, padding=1, activation="relu")),
    _deconv(
        LayerSpec(
            "deconv",
            56,
            1,
            9,
            126,
            128,
            factor=3,
            padding=4,
            output_padding=2,
            activation="relu",
        )
    ),
)
