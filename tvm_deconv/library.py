"""From a model to a shared library on disk, for this machine or another."""

from __future__ import annotations

import os
import shutil
import textwrap
from pathlib import Path

from tvm.relax.vm_build import VMExecutable
from tvm.support import cc as tvm_cc
from tvm.target import Target

from tvm_deconv.backends.cuda import packing as cuda_packing
from tvm_deconv.backends.cuda import source as cuda
from tvm_deconv.backends.gpu_targets import CUDA
from tvm_deconv.compiler import TargetSpec, build, for_threads, pipeline
from tvm_deconv.errors import TargetError
from tvm_deconv.files import replacing
from tvm_deconv.importer import Model, Shapes
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.targets import processor_of, resolve_target

# LLVM's name of an architecture -> the triple by which GNU names a compiler for it.
_GNU_TRIPLES = {
    "aarch64": "aarch64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "armv7": "arm-linux-gnueabihf",
    "armv7a": "arm-linux-gnueabihf",
    "armv7l": "arm-linux-gnueabihf",
    "armv8l": "arm-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
    "x86_64": "x86_64-linux-gnu",
}


def compile_library(
    model: Model,
    output: str | os.PathLike,
    target: TargetSpec = "host",
    *,
    shapes: Shapes | None = None,
    threads: int | None = None,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
) -> None:
    """Compile a model as ``tvm_deconv.compile`` does and write a library that can be loaded.

    A library for a GPU is linked for the target's host, with the device's code inside: machine code
    for CUDA, source for OpenCL. The arguments, then linker, CUDA compiler and output are checked
    before any work; a file that ``output`` already names is only replaced on success.

    Raises what ``tvm_deconv.compile`` raises, TargetError where nothing can link for the target or
    compile CUDA for it, and OutputError where ``output`` cannot be written.
    """
    resolved = for_threads(target, threads)
    passes = pipeline(resolved, variant=variant, winograd=winograd, log=log)
    command = linker(processor_of(resolved), resolve_target("host"))
    if resolved.kind.name == CUDA:
        cuda.compiler_for(str(resolved.attrs["arch"]))
    with replacing(output) as unfinished:
        executable = build(model, shapes, resolved, passes)
        link(executable, unfinished, command, resolved)


def linker(target: Target, host: Target) -> str:
    """The compiler that links a shared library for ``target``, a CPU, on ``host``.

    Raises TargetError where there is none, and names the package that holds it.
    """
    triple, own = (str(part.attrs.get("mtriple", "")) for part in (target, host))
    architecture, native = triple.split("-")[0], own.split("-")[0]
    if "android" in triple:
        raise TargetError(
            f"linking for {triple} takes the Android NDK: call tvm_deconv.compile(...) and its "
            "export_library(path, fcompile=tvm.support.ndk.create_shared)"
        )
    if not triple or architecture == native:
        found = tvm_cc.get_cc()
        if not found:
            raise TargetError("no C compiler to link with: install one (apt install gcc)")
        return found
    gnu = _GNU_TRIPLES.get(architecture)
    if gnu == "arm-linux-gnueabihf" and not triple.endswith("hf"):
        gnu = "arm-linux-gnueabi"
    if gnu is None:
        raise TargetError(
            f"no linker is known for {triple}: call tvm_deconv.compile(...) and its "
            "export_library(path, cc=...)"
        )
    command = f"{gnu}-gcc"
    if shutil.which(command) is None:
        package = f"gcc-{gnu.replace('_', '-')}"
        raise TargetError(
            f"target {triple} needs {command} to link: install it (apt install {package})"
        )
    return command


def link(executable: VMExecutable, path: Path, command: str, target: Target) -> None:
    """Write the executable as a shared library.

    Raises TargetError when the linker fails, with what it said, and for kernels that the CUDA
    compiler rejects.
    """
    pack = cuda_packing.pack if target.kind.name == CUDA else None
    try:
        executable.mod.export_library(
            str(path), fcompile=tvm_cc.create_shared, fpack_imports=pack, cc=command
        )
    except RuntimeError as error:
        said = str(error).removeprefix("Compilation error:").split("\nCommand line:")[0]
        reason = textwrap.shorten(said, 300, placeholder=" ...") or "it said nothing"
        raise TargetError(f"linking with {command} failed: {reason}") from error
