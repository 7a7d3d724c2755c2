"""Device code in a library for CUDA: machine code, even where it was built without a GPU.

TVM compiles CUDA source while it builds only where it finds a CUDA driver. Elsewhere the source
goes into the library, and the board that loads it would need a CUDA compiler. So the source is
replaced in what TVM packs (``backends.serialized``). The bytes of a module for CUDA are

    format ("cuda" for source, or "cubin"), launch parameters, code
"""

from __future__ import annotations

import os
from typing import Any

import tvm
import tvm_ffi

from tvm_deconv.backends.serialized import Parts, packed, string, with_modules

from .source import Resources, marked_architecture, resources

_SOURCE, _COMPILED = b"cuda", b"cubin"


def pack(module: tvm.runtime.Module, is_system_lib: bool, prefix: str, folder: str) -> str:
    """What ``export_library`` takes as ``fpack_imports``: an object file for the host, its path.

    Raises TargetError where nothing here compiles CUDA for the architecture.
    """
    sources = [part.inspect_source().encode() for part in _all(module) if part.kind == "cuda"]
    content = with_machine_code(bytes(packed(module)), sources)
    host = next(part for part in _all(module) if part.kind == "llvm")
    codegen = tvm_ffi.get_global_func("codegen.codegen_blob")
    code = codegen(content, is_system_lib, host.get_function("_get_target_string")(), prefix)
    path = os.path.join(folder, f"{prefix}devc.o")
    code.write_to_file(path)
    return path


def resources_of(executable: Any) -> dict[str, Resources]:
    """What each CUDA kernel of something compiled takes of the GPU; empty for other devices.

    Raises what ``source.resources`` does.
    """
    sources = [part.inspect_source() for part in _all(executable.mod) if part.kind == "cuda"]
    found = (resources(source, marked_architecture(source)) for source in sources)
    return {name: taken for kernels in found for name, taken in kernels.items()}


def with_machine_code(content: bytes, sources: list[bytes]) -> bytes:
    """What TVM packed, with machine code for each of ``sources``, the code of CUDA modules."""

    def compiled(kind: bytes, module: bytes) -> Parts:
        return [_compiled_module(module, sources) if kind == _SOURCE else module]

    return b"".join(with_modules(content, compiled))


def _compiled_module(content: bytes, sources: list[bytes]) -> bytes:
    """The bytes of a CUDA module, with machine code instead of source."""
    head = string(_SOURCE)
    if not content.startswith(head):
        return content
    (source,) = (source for source in sources if content.endswith(string(source)))
    parameters = content[len(head) : -len(string(source))]
    compile_source = tvm_ffi.get_global_func("tvm_callback_cuda_compile")
    return string(_COMPILED) + parameters + string(bytes(compile_source(source.decode())))


def _all(module: tvm.runtime.Module) -> list[tvm.runtime.Module]:
    """The module, what it imports, and what that imports."""
    return [module, *(part for imported in module.imports for part in _all(imported))]
