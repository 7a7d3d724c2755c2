"""What an ONNX model says of the pixels of its pictures.

The standard names two entries of ``metadata_props`` for that (docs/MetadataProps.md of ONNX), whose
keys and values are in any case.
"""

from __future__ import annotations

import onnx

from tvm_deconv.pixels import Pixels

# Of the fourth, NominalRange_16_235, no network for single pictures is known.
_RANGES = {
    "nominalrange_0_255": "0..255",
    "normalized_0_1": "0..1",
    "normalized_1_1": "-1..1",
}
_BGR = {"bgr8": True, "rgb8": False}


def stated_pixels(model: onnx.ModelProto) -> Pixels:
    """The range and the order of colours that the model's metadata names; nothing where it does
    not, or names what we do not know."""
    said = {entry.key.lower(): entry.value.lower() for entry in model.metadata_props}
    return Pixels(
        range=_RANGES.get(said.get("image.nominalpixelrange", "")),
        bgr=_BGR.get(said.get("image.bitmappixelformat", "")),
    )
