"""Which family the case of a number is of."""

from __future__ import annotations

from .choices import Choices
from .families import Case, Family
from .families.arguments import bad_arguments
from .families.bad_files import bad_file
from .families.layers import layer
from .families.onnx_graphs import (
    anything,
    constants_and_shuffle,
    enlarged,
    one_node,
    subpixel,
    transposed,
)
from .families.quantized_graphs import quantized_maps, quantized_network
from .families.quantized_tflite import quantized_tflite
from .families.tangles import tangle
from .families.tflite_graphs import tflite_network
from .families.torch_modules import torch_module, torch_volume
from .families.volumes import branches, volume

# (family, share of the cases)
FAMILIES: dict[str, tuple[Family, float]] = {
    "onnx-node": (one_node, 22),
    "onnx-graph": (anything, 22),
    "onnx-subpixel": (subpixel, 14),
    "onnx-resize": (enlarged, 12),
    "onnx-constants": (constants_and_shuffle, 4),
    "onnx-transposed": (transposed, 8),
    "onnx-volume": (volume, 8),
    "onnx-branches": (branches, 5),
    "onnx-tangle": (tangle, 8),
    "onnx-quantized": (quantized_network, 10),
    "onnx-quantized-maps": (quantized_maps, 6),
    "layer": (layer, 14),
    "torch": (torch_module, 12),
    "torch-volume": (torch_volume, 2),
    "tflite": (tflite_network, 8),
    "tflite-quantized": (quantized_tflite, 8),
    "file": (bad_file, 12),
    "arguments": (bad_arguments, 2),
}


def family_of(seed: int, index: int, names: tuple[str, ...] = ()) -> str:
    """The family of a case; of these only, where names are given."""
    draw = Choices(f"family {seed} {index}")
    among = names or tuple(FAMILIES)
    return draw.pick(among, [FAMILIES[name][1] for name in among])


def make(family: str, draw: Choices) -> Case:
    """The case that a family makes of these choices."""
    return FAMILIES[family][0](draw)
