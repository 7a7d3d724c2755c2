"""The weights of a library as they are: the assembler copies them into the object file.

    .globl __tvm_ffi__library_bin
    __tvm_ffi__library_bin: .incbin "imports.bin"

TVM makes a constant of LLVM of all that is not machine code, which copies it four times and takes
ten times as long as writing it: a network of 67 MB has 270 MB of weights for its kernels.
"""

from __future__ import annotations

import os

import numpy as np
import tvm
import tvm_ffi

# Where TVM's loader looks for what a library holds besides machine code.
SYMBOL = "__tvm_ffi__library_bin"


def write_content(module: tvm.runtime.Module, path: str | os.PathLike) -> None:
    """Write the bytes that a library has at ``SYMBOL``."""
    packed = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")(module)
    # Where TVM has it: there is one copy already.
    np.from_dlpack(packed).tofile(path)


def pack(module: tvm.runtime.Module, is_system_lib: bool, prefix: str, folder: str) -> str:
    """What ``export_library`` takes as ``fpack_imports``: a source for GNU's assembler, its path.

    For ELF, whatever the processor.
    """
    content = os.path.join(folder, f"{prefix}imports.bin")
    write_content(module, content)
    source = os.path.join(folder, f"{prefix}imports.s")
    quoted = content.replace("\\", "\\\\").replace('"', '\\"')
    with open(source, "w", encoding="utf-8") as file:
        file.write(
            f"    .section .rodata\n"
            f"    .globl {SYMBOL}\n"
            f"    .type {SYMBOL}, %object\n"
            f"    .balign 64\n"
            f"{SYMBOL}:\n"
            f'    .incbin "{quoted}"\n'
            f"    .size {SYMBOL}, . - {SYMBOL}\n"
            f'    .section .note.GNU-stack, "", %progbits\n'
        )
    return source
