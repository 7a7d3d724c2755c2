"""What a library for Linux holds besides machine code, weights above all, in a section of its own.

TVM makes a constant of LLVM of it, which copies it four times and takes ten times as long as
writing it: a network of 67 MB has 270 MB of weights for its kernels. Here it is written to the end
of the library when that is linked (``elf``): what TVM's loader reads, then the weights, which stay
where they are (``weights``). A linker that takes no scripts for that, as GNU's gold, gets an object
file that holds it already.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import tvm
from tvm.support import cc as tvm_cc

from .elf import fill
from .serialized import Parts, length, packed
from .weights import in_file, weights_words

# Where TVM's loader looks for what a library holds besides machine code.
SYMBOL = "__tvm_ffi__library_bin"
# The same place for what stands in the library itself (``weights.c``).
_OWN_SYMBOL = "tvm_deconv_content"
SECTION = ".tvm_deconv"
_SCRIPT = Path(__file__).with_suffix(".ld")
# How linkers that take scripts begin to speak of themselves.
_WITH_SCRIPTS = (b"GNU ld ", b"LLD ")


class Packing:
    """How it gets into a library that ``command`` links.

    ``weights`` are those that the module calls for (``weights.without_weights``).
    """

    def __init__(self, command: str, weights: Sequence[np.ndarray] = ()) -> None:
        self.command, self.weights = command, weights
        self.parts: Parts = []

    def content(self, module: tvm.runtime.Module) -> Parts:
        """What is to get there."""
        return in_file(packed(module), self.weights)

    @property
    def options(self) -> list[str]:
        """More words for the linker."""
        script = ["-T", str(_SCRIPT)] if _takes_scripts(self.command) else []
        return [*weights_words(self.weights), *script]

    def pack(
        self, module: tvm.runtime.Module, is_system_lib: bool, prefix: str, folder: str
    ) -> str:
        """What ``export_library`` takes as ``fpack_imports``: the path of a file to link."""
        self.parts = self.content(module)
        source = os.path.join(folder, f"{prefix}imports.s")
        with open(source, "w", encoding="utf-8") as file:
            file.write(
                f'    .section {SECTION}, "a", %progbits\n'
                f"    .globl {SYMBOL}\n"
                f"    .type {SYMBOL}, %object\n"
                f"    .globl {_OWN_SYMBOL}\n"
                f"    .hidden {_OWN_SYMBOL}\n"
                f"    .balign 64\n"
                f"{SYMBOL}:\n"
                f"{_OWN_SYMBOL}:\n"
                f"    .byte 0\n"
                f"    .size {SYMBOL}, {length(self.parts)}\n"
                f'    .section .note.GNU-stack, "", %progbits\n'
            )
        if _takes_scripts(self.command):
            return source
        made = os.path.join(folder, f"{prefix}imports.o")
        tvm_cc.create_executable(made, [source], ["-c"], cc=self.command)
        fill(made, SECTION, self.parts)
        return made

    def finish(self, path: str | os.PathLike) -> None:
        """Put it into the library, where it is not in it yet."""
        if self.parts and _takes_scripts(self.command):
            fill(path, SECTION, self.parts)


@lru_cache
def _takes_scripts(command: str) -> bool:
    """Whether the linker of a compiler takes a script in addition to its own."""
    said = subprocess.run(
        [command, "-Wl,--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    ).stdout
    return said.startswith(_WITH_SCRIPTS)
