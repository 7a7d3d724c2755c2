"""All of them by name."""

from __future__ import annotations

from . import Architecture, dense_prediction, generation, super_resolution, swin, translation

ARCHITECTURES: dict[str, Architecture] = {
    **super_resolution.ARCHITECTURES,
    **swin.ARCHITECTURES,
    **translation.ARCHITECTURES,
    **dense_prediction.ARCHITECTURES,
    **generation.ARCHITECTURES,
}
