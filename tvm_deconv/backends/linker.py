"""The compiler that links a shared library for a processor, this machine's or another."""

from __future__ import annotations

import shutil
from importlib import import_module
from importlib.util import find_spec

from tvm.target import Target

from tvm_deconv.errors import TargetError
from tvm_deconv.schedules import llvm

# Has another name since TVM 0.22.
_cc = import_module("tvm.support.cc" if find_spec("tvm_ffi") else "tvm.contrib.cc")

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


def linker_for(processor: Target) -> str:
    """The command that links for a CPU's target.

    Raises TargetError where there is none, and names the package that holds it.
    """
    triple = str(processor.attrs.get("mtriple") or llvm.default_triple())
    architecture, native = triple.split("-")[0], llvm.process_triple().split("-")[0]
    if "android" in triple:
        raise TargetError(
            f"linking for {triple} takes the Android NDK: set TVM_NDK_CC to its clang, and call "
            "tvm_deconv.compile(...) and its "
            "export_library(path, fcompile=tvm.support.ndk.create_shared)"
        )
    if architecture == native:
        found = _cc.get_cc()
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
