"""Running a compiled library on an image."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tvm
from PIL import Image
from tvm import relax

from tvm_deconv import images, metadata
from tvm_deconv.backends import device_for, missing_runtime
from tvm_deconv.errors import ImageError, ModelError, first_line
from tvm_deconv.files import replacing
from tvm_deconv.metadata import Metadata
from tvm_deconv.threads import use_threads


def run(
    library: str | os.PathLike,
    image: str | os.PathLike,
    output: str | os.PathLike,
    *,
    threads: int | None = None,
) -> None:
    """Read an image, run a compiled image-to-image network on it, write the result.

    ``library`` is what ``tvm-deconv compile`` wrote; it runs on the kind of device that it was
    compiled for. A network with one channel gets the luma, and
    the chroma is enlarged by bicubic interpolation; one with three channels gets RGB; values are
    in [0, 1]. ``threads`` defaults to all processors that the process may run on.

    Raises ModelError for a library that is missing, foreign, for a GPU that is not here, or not an
    image-to-image network, ImageError for an image that is unreadable or does not fit, and
    OutputError, before any work, for a result that cannot be written.
    """
    picture = images.read(image)
    images.check_format(output)
    with replacing(output) as unfinished:
        use_threads(threads)
        network = Upscaler.open(library)
        images.write(network.upscale(picture, str(image)), unfinished)


@dataclass(frozen=True)
class Upscaler:
    """A compiled image-to-image network, ready to run on ``device``."""

    name: str
    description: Metadata
    device: tvm.runtime.Device
    machine: relax.VirtualMachine

    @classmethod
    def open(cls, library: str | os.PathLike) -> Upscaler:
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

    def upscale(self, picture: Image.Image, name: str) -> Image.Image:
        """The network's picture of a PIL image; ``name`` stands in the messages.

        Raises ModelError for a network that does not map one image to one image, and ImageError
        for an image of a size that it was not compiled for.
        """
        channels = self._channels()
        self._check_size(picture.width, picture.height, name)
        seen = images.split(picture, channels)
        dtype = self.description.inputs[0].dtype
        x = tvm.runtime.tensor(seen.planes.astype(dtype), self.device)
        result = self.machine["main"](x)
        if not isinstance(result, tvm.runtime.Tensor):
            (result,) = result
        return seen.join(result.numpy())

    def _channels(self) -> int:
        inputs, outputs = self.description.inputs, self.description.outputs
        if len(inputs) != 1 or len(outputs) != 1 or not _are_images(inputs[0], outputs[0]):
            raise ModelError(
                f"{self.name} does not map one image to one image (batch 1, 1 or 3 channels): "
                f"it takes {_list(inputs)} and returns {_list(outputs)}"
            )
        return int(inputs[0].shape[1])

    def _check_size(self, width: int, height: int, name: str) -> None:
        takes = self.description.inputs[0].shape[2:]
        for wanted, given in zip(takes, (height, width), strict=True):
            if isinstance(wanted, int) and wanted != given:
                raise ImageError(
                    f"{name} is {width} x {height} pixels, but {self.name} was compiled for "
                    f"{takes[1]} x {takes[0]}: give such an image, or compile for its size"
                )


def _are_images(*ends: metadata.Port) -> bool:
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


def _list(tensors: tuple[metadata.Port, ...]) -> str:
    return ", ".join(map(str, tensors))
