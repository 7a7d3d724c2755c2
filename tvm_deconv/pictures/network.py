"""A library that ``tvm-deconv compile`` wrote, loaded to be called."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tvm
from tvm import relax

from tvm_deconv import metadata
from tvm_deconv.backends import device_for, missing_runtime
from tvm_deconv.errors import ModelError, first_line
from tvm_deconv.metadata import Metadata, Port


@dataclass(frozen=True)
class Network:
    """A compiled network of one input and one output, ready to run on ``device``."""

    name: str
    description: Metadata
    device: tvm.runtime.Device
    machine: relax.VirtualMachine

    @classmethod
    def open(cls, library: str | os.PathLike) -> Network:
        """Load what ``tvm-deconv compile`` wrote.

        Raises ModelError for a file that is missing, not a library for this machine or its GPU, or
        not ours.
        """
        path = Path(library)
        if not path.is_file():
            raise ModelError(f"{path} does not exist")
        try:
            module = tvm.runtime.load_module(str(path.resolve()))
        except (OSError, RuntimeError, ValueError) as error:
            if _elf_machine(path) != _elf_machine(Path(sys.executable)):
                reason = "it is for another processor architecture, or no library at all"
            else:
                reason = missing_runtime(error) or first_line(error)
            raise ModelError(
                f"{path} is not a library that this machine can load: {reason}"
            ) from error
        foreign = f"{path} was not written by tvm-deconv compile"
        try:
            # It describes itself on the CPU, whatever it computes on.
            machine = relax.VirtualMachine(module, tvm.cpu())
            description = metadata.parse(str(machine[metadata.FUNCTION]()))
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelError(f"{foreign}: {first_line(error)}") from error
        device = device_for(description.device, str(path))
        if device != tvm.cpu():
            machine = relax.VirtualMachine(module, device)
        return cls(str(path), description, device, machine)

    def channels(self) -> int:
        """Of the pictures that it takes and returns.

        Raises ModelError for a network that does not map one image to one image.
        """
        inputs, outputs = self.description.inputs, self.description.outputs
        if len(inputs) != 1 or len(outputs) != 1 or not _are_images(inputs[0], outputs[0]):
            raise ModelError(
                f"{self.name} does not map one image to one image (batch 1, 1 or 3 channels): "
                f"it takes {_list(inputs)} and returns {_list(outputs)}"
            )
        return int(inputs[0].shape[1])

    def size(self) -> tuple[int | None, int | None]:
        """Height and width that it was compiled for; None where any will do."""
        height, width = self.description.inputs[0].shape[2:]
        return _fixed(height), _fixed(width)

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        """Its result for ``planes`` (1, channels, height, width), of this layout, too."""
        given = planes.astype(self.description.inputs[0].dtype)
        result = self.machine["main"](tvm.runtime.tensor(given, self.device))
        if not isinstance(result, tvm.runtime.Tensor):
            (result,) = result
        return result.numpy()


def _fixed(dim: int | str) -> int | None:
    return dim if isinstance(dim, int) else None


def _are_images(*ends: Port) -> bool:
    """Whether all tensors are one picture each, with the same 1 or 3 channels."""
    channels = {end.shape[1] for end in ends if len(end.shape) == 4}
    return (
        all(len(end.shape) == 4 and end.dtype.startswith("float") for end in ends)
        and all(end.shape[0] == 1 or isinstance(end.shape[0], str) for end in ends)
        and channels in ({1}, {3})
    )


def _elf_machine(path: Path) -> bytes:
    """The field of an ELF file that names its architecture, of which the loader never speaks."""
    with path.open("rb") as file:
        return file.read(20)[18:]


def _list(tensors: tuple[Port, ...]) -> str:
    return ", ".join(map(str, tensors))
