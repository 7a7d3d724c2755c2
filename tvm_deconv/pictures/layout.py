"""Which axis of a network's pictures holds the channels, read from its shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.errors import ModelError
from tvm_deconv.metadata import Metadata, Port
from tvm_deconv.pixels import OF_BYTES

_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Layout:
    """Pictures of ``channels`` channels, on axis ``axis`` of 4: NCHW for 1, NHWC for 3."""

    channels: int
    axis: int

    @property
    def sides(self) -> tuple[int, int]:
        """The axes of height and width."""
        return (2, 3) if self.axis == 1 else (1, 2)

    def size(self, port: Port) -> tuple[int | None, int | None]:
        """Height and width of an input or output; None where they are free."""
        height, width = (port.shape[axis] for axis in self.sides)
        return _fixed(height), _fixed(width)

    def from_planes(self, planes: np.ndarray) -> np.ndarray:
        """What the network takes for (1, channels, height, width)."""
        return np.ascontiguousarray(np.moveaxis(planes, 1, self.axis))

    def to_planes(self, result: np.ndarray) -> np.ndarray:
        """(1, channels, height, width) of what the network gave."""
        return np.moveaxis(result, self.axis, 1)


def read_layout(description: Metadata, name: str) -> Layout:
    """The layout of the pictures that a library called ``name`` takes and returns.

    Raises ModelError for a network that does not map one image to one image, and where two axes may
    be the channels.
    """
    layout = find_layout(description.inputs, description.outputs)
    if isinstance(layout, str):
        raise ModelError(f"{name} {layout}")
    return layout


def find_layout(inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> Layout | str:
    """The layout that fits the input and the output, or the reason for none.

    Both have the same 1 or 3 channels on the same axis.
    """
    fits = len(inputs) == len(outputs) == 1 and all(map(_may_be_image, (*inputs, *outputs)))
    found = [
        Layout(int(inputs[0].shape[axis]), axis)
        for axis in (1, 3)
        if fits and inputs[0].shape[axis] == outputs[0].shape[axis] in _CHANNELS
    ]
    if not found:
        return (
            "does not map one image to one image (batch 1, the same 1 or 3 channels on axis 1 or 3 "
            f"of 4): it takes {_list(inputs)} and returns {_list(outputs)}"
        )
    if len(found) > 1:
        return (
            f"takes {_list(inputs)} and returns {_list(outputs)}, whose channels may be axis 1 or "
            "axis 3: compile it for a height or width of neither 1 nor 3"
        )
    return found[0]


def _may_be_image(port: Port) -> bool:
    return (
        len(port.shape) == 4
        and (port.dtype.startswith("float") or port.dtype in OF_BYTES)
        and (port.shape[0] == 1 or isinstance(port.shape[0], str))
    )


def _fixed(dim: int | str) -> int | None:
    return dim if isinstance(dim, int) else None


def _list(tensors: tuple[Port, ...]) -> str:
    return ", ".join(map(str, tensors))
