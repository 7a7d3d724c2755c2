"""Lines of ``trials.jsonl`` as logs had them before their header had a ``format``.

A layer was an object of its fields, variant and parameters stood apart, and samples were seconds
with all digits. The best was read from MetaSchedule's database beside it, whose rows of layers
nothing reads any more: what is in there and not in ``trials.jsonl``, because a tuner was killed
between the two, is as if it had never been measured.
"""

from __future__ import annotations

from typing import Any

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.variant import Sizes

from .header import COMMIT_DIGITS
from .layer import Layer


def present_form(read: Any) -> Any:
    """What ``json.loads`` makes of a line, as it would be written now; of a present one, itself.

    Raises ValueError, KeyError, TypeError or AttributeError for what is no trial.
    """
    if "kernel" in read or "variant" not in read:
        return read
    fields = (f"{name}={value}" for name, value in read["parameters"].items())
    versions = dict(read.get("versions", {}))
    if versions.get("commit"):
        versions["commit"] = versions["commit"][:COMMIT_DIGITS]
    return {
        **read,
        **({"layer": str(_layer(read["layer"]))} if "layer" in read else {}),
        "kernel": " ".join((read["variant"], *fields)),
        "ms": [1e3 * second for second in read["seconds"]],
        "versions": versions,
    }


def _layer(read: dict[str, Any]) -> Layer:
    h, w = (
        Axis(**{**read[name], "zero_taps": frozenset(read[name]["zero_taps"])})
        for name in ("h", "w")
    )
    conv = ConvTranspose2d(read["in_channels"], read["out_channels"], h, w, read["groups"])
    return Layer(conv, Sizes(*read["sizes"]), read["dtype"])
