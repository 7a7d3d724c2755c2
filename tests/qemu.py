"""Kernels of another processor, run under qemu by a C program that loads a library."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from paths import TESTS
from tvm.support import cc
from tvm_ffi import libinfo

from tvm_deconv.backends.linking import linker

# How ``kernel_main.c`` calls the types.
_KINDS = {
    **{"uint8": "u8", "int8": "s8", "int16": "s16", "int32": "s32"},
    **{"float16": "f16", "float32": ""},
}


@dataclass(frozen=True)
class Processor:
    """``packages`` of Debian have the ``compiler`` and ``qemu``; its libraries lie in ``root``."""

    compiler: str
    qemu: str
    root: str
    packages: str

    @property
    def marks(self) -> list[pytest.MarkDecorator]:
        """For a module of tests: they may be skipped, but not where boards are required."""
        is_there = shutil.which(self.compiler) and shutil.which(self.qemu)
        required = os.environ.get("TVM_DECONV_REQUIRE_BOARD") == "1"
        why = f"apt install {self.packages}"
        return [pytest.mark.board, pytest.mark.skipif(not (required or is_there), reason=why)]

    def loader(self, folder: Path) -> Path:
        """The C program, compiled into ``folder``."""
        program, source = folder / "kernel_main", TESTS / "kernel_main.c"
        headers = libinfo.find_include_path(), libinfo.find_dlpack_include_path()
        includes = [f"-I{header}" for header in headers]
        options = ["-Wall", "-Werror", "-rdynamic", *includes]
        subprocess.run([self.compiler, *options, source, "-o", program, "-ldl"], check=True)
        return program

    def run(self, loader: Path, built, target, arrays: Sequence[np.ndarray], folder: Path):
        """The last of ``arrays`` as the kernel has left it."""
        library = folder / "kernel.so"
        built.export_library(str(library), fcompile=cc.create_shared, cc=linker(target))
        arguments = []
        for i, array in enumerate(arrays):
            array.tofile(folder / f"{i}")
            shape = "x".join(map(str, array.shape))
            arguments += [folder / f"{i}", shape + _KINDS[str(array.dtype)]]
        command = [self.qemu, "-L", self.root, loader, library, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return np.fromfile(arguments[-2], arrays[-1].dtype).reshape(arrays[-1].shape)
