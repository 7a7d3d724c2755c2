"""What LLVM says of targets and of this machine, as TVM's functions are called in every version."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec

from tvm.target import Target

# Has been a package of its own since TVM 0.22.
ffi = import_module("tvm_ffi" if find_spec("tvm_ffi") else "tvm")


def has_feature(target: Target, feature: str) -> bool:
    """Whether a target of kind llvm has a feature of a processor, such as ``"avx2"``."""
    return _has_feature(str(target), feature)


@lru_cache(maxsize=2048)
def _has_feature(target: str, feature: str) -> bool:
    """LLVM reads all features of a target for each question: 0.2 ms, dozens of times a network."""
    return bool(ffi.get_global_func("target.target_has_feature")(feature, Target(target)))


def default_triple() -> str:
    """What a target without ``mtriple`` is compiled for."""
    return str(ffi.get_global_func("tvm.codegen.llvm.GetDefaultTargetTriple")())


def process_triple() -> str:
    """What this process runs on; a vendor's wheel may compile for another by default."""
    return str(ffi.get_global_func("tvm.codegen.llvm.GetProcessTriple")())


def processor() -> str:
    """LLVM's name of this machine's processor."""
    return str(ffi.get_global_func("tvm.codegen.llvm.GetHostCPUName")())


def version() -> int:
    """The major version of the LLVM that TVM was built with."""
    return int(ffi.get_global_func("target.llvm_version_major")())


def intrinsic(name: str) -> int:
    """The number of one of LLVM's intrinsics; 0 where this LLVM has none of the name."""
    return int(ffi.get_global_func("target.llvm_lookup_intrinsic_id")(name))
