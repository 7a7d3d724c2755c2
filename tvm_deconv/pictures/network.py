"""Networks of pictures that can be called: a library that ``tvm-deconv compile`` wrote."""

from __future__ import annotations

import os
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from tvm_deconv import metadata
from tvm_deconv.backends import device_for, missing_runtime
from tvm_deconv.errors import ImageError, ModelError, first_line
from tvm_deconv.metadata import Metadata
from tvm_deconv.pixels import OF_BYTES, Pixels
from tvm_deconv.size_errors import in_words

from .guess import Guess, guess_range, guess_result
from .layout import Layout, read_layout

# Pixels a side of pictures that are only a try.
_PROBE = 64


@dataclass(frozen=True)
class PictureNetwork(ABC):
    """A network of one input and one output, whatever runs it; ``name`` stands in messages."""

    name: str
    description: Metadata

    @cached_property
    def layout(self) -> Layout:
        """Of the pictures that it takes and returns.

        Raises ModelError for a network that does not map one image to one image.
        """
        return read_layout(self.description, self.name)

    @cached_property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width that it is for; None where any will do."""
        return self.layout.size(self.description.inputs[0])

    @cached_property
    def probe_size(self) -> tuple[int, int]:
        """A height and width that it can have, for a try."""
        field = self.description.field
        overlaps = (None, None) if field is None else (field.h, field.w)
        periods = [1 if overlap is None else overlap.period for overlap in overlaps]
        height, width = (
            side or -(-_PROBE // period) * period
            for side, period in zip(self.size, periods, strict=True)
        )
        return height, width

    def guess(self, pixels: Pixels) -> Guess:
        """The range that it wants, where ``pixels`` hold what else is known of them.

        Of one of bytes that of its result. Raises ImageError where it cannot compute a picture of
        ``probe_size``.
        """
        guess = guess_result if self.dtypes[0] in OF_BYTES else guess_range
        return guess(self, self.typed(pixels), (self.layout.channels, *self.probe_size))

    @property
    def dtypes(self) -> tuple[str, str]:
        """The types of the numbers that it takes and returns."""
        return self.description.inputs[0].dtype, self.description.outputs[0].dtype

    def typed(self, pixels: Pixels) -> Pixels:
        """``pixels`` with the ranges that the types of its numbers have."""
        return pixels.of_types(*self.dtypes)

    def given(self, planes: np.ndarray) -> np.ndarray:
        """``planes`` (1, channels, height, width) in its layout and type, rounded to bytes."""
        values, dtype = self.layout.from_planes(planes), np.dtype(self.dtypes[0])
        if dtype.kind != "f":
            bounds = np.iinfo(dtype)
            values = np.rint(values).clip(bounds.min, bounds.max)
        return values.astype(dtype)

    @abstractmethod
    def __call__(self, planes: np.ndarray) -> np.ndarray:
        """Its result for ``planes``; both are (1, channels, height, width), whatever its layout.

        Raises ImageError for a height or width that it cannot have.
        """


@dataclass(frozen=True)
class Network(PictureNetwork):
    """A compiled network of one input and one output, ready to run on ``device``."""

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
            module = _load(path)
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

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        given = tvm.runtime.tensor(self.given(planes), self.device)
        try:
            result = self.machine["main"](given)
        except (MemoryError, RuntimeError, ValueError) as error:
            height, width = planes.shape[2:]
            raise ImageError(
                f"{self.name} cannot compute pictures of {width} x {height} pixels: "
                f"{in_words(error)}"
            ) from error
        if not isinstance(result, tvm.runtime.Tensor):
            (result,) = result
        return self.layout.to_planes(result.numpy())


def _load(library: Path) -> Any:
    """The module of a library as it lies there now.

    A name that is known to the loader gives what was loaded under it, though the file may have been
    compiled anew since. So each library is loaded by a name of its own: a link, which
    ``tvm.runtime.load_module`` would resolve. Where nothing can be written, it has its own.
    """
    with ExitStack() as stack:
        try:
            link = Path(stack.enter_context(tempfile.TemporaryDirectory())) / library.name
            link.symlink_to(library.resolve())
        except OSError:
            link = library.resolve()
        try:
            return tvm_ffi.load_module(link)
        except (OSError, RuntimeError, ValueError) as error:
            raise OSError(str(error).replace(str(link), str(library))) from error


def _elf_machine(path: Path) -> bytes:
    """The field of an ELF file that names its architecture, of which the loader never speaks."""
    with path.open("rb") as file:
        return file.read(20)[18:]
