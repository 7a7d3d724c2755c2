"""Device code in a library for CUDA: machine code, even where it was built without a GPU.

TVM compiles CUDA source while it builds only where it finds a CUDA driver. Elsewhere the source
goes into the library, and the board that loads it would need a CUDA compiler. So the source is
replaced in what TVM packs. That is, as TVM 0.27 writes it (``src/target/codegen.cc``):

    size, import tree (two lists of integers), then for each module: its kind, its bytes
    bytes of a module for CUDA: format ("cuda" for source, or "cubin"), launch parameters, code

A string is its size and its bytes, a size is 8 bytes, little-endian; a module without bytes of its
own (machine code of the host, which is linked in) has the kind ``_lib`` and nothing else.
"""

from __future__ import annotations

import os
from typing import Any

import tvm
import tvm_ffi

from .source import Resources, marked_architecture, resources

_SIZE = 8
_SOURCE, _COMPILED, _LINKED = b"cuda", b"cubin", b"_lib"


def pack(module: tvm.runtime.Module, is_system_lib: bool, prefix: str, folder: str) -> str:
    """What ``export_library`` takes as ``fpack_imports``: an object file for the host, its path.

    Raises TargetError where nothing here compiles CUDA for the architecture.
    """
    bundle = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")
    sources = [part.inspect_source().encode() for part in _all(module) if part.kind == "cuda"]
    packed = with_machine_code(bundle(module).numpy().tobytes(), sources)
    host = next(part for part in _all(module) if part.kind == "llvm")
    codegen = tvm_ffi.get_global_func("codegen.codegen_blob")
    code = codegen(packed, is_system_lib, host.get_function("_get_target_string")(), prefix)
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


def with_machine_code(packed: bytes, sources: list[bytes]) -> bytes:
    """What TVM packed, with machine code for each of ``sources``, the code of CUDA modules."""
    reader = _Reader(packed)
    assert reader.size() == len(packed) - _SIZE
    for _ in range(2):
        reader.take(reader.size() * _SIZE)
    result = packed[_SIZE : reader.position]
    while reader.position < len(packed):
        kind = reader.string()
        result += _string(kind)
        if kind != _LINKED:
            content = reader.string()
            result += _string(_compiled_module(content, sources) if kind == _SOURCE else content)
    return _string(result)


def _compiled_module(content: bytes, sources: list[bytes]) -> bytes:
    """The bytes of a CUDA module, with machine code instead of source."""
    head = _string(_SOURCE)
    if not content.startswith(head):
        return content
    (source,) = (source for source in sources if content.endswith(_string(source)))
    parameters = content[len(head) : -len(_string(source))]
    compile_source = tvm_ffi.get_global_func("tvm_callback_cuda_compile")
    return _string(_COMPILED) + parameters + _string(bytes(compile_source(source.decode())))


def _all(module: tvm.runtime.Module) -> list[tvm.runtime.Module]:
    """The module, what it imports, and what that imports."""
    return [module, *(part for imported in module.imports for part in _all(imported))]


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(_SIZE, "little") + content


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, all of which must be there."""
        taken = self.content[self.position : self.position + count]
        assert len(taken) == count
        self.position += count
        return taken

    def size(self) -> int:
        return int.from_bytes(self.take(_SIZE), "little")

    def string(self) -> bytes:
        return self.take(self.size())
