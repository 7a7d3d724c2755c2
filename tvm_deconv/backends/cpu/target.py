"""Targets of processors: this machine's own, and what LLVM would make of one that there is not."""

from __future__ import annotations

import difflib
from typing import Any

import tvm_ffi
from tvm.target import Target

from tvm_deconv.errors import TargetError
from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.processors import available_processors, check_threads

# Host features worth stating where the processor's name promises otherwise: those that change
# which instructions vector code is made of. The rest (cache hints, keys) never comes out of TVM.
_ARITHMETIC = ("sse", "ssse", "avx", "fma", "f16c", "neon", "fullfp16", "fp-armv8", "dotprod")


def this_machine() -> Target:
    """The processor that we run on, with all processors that this process may use."""
    triple = llvm.default_triple()
    name = llvm.processor()
    described = {
        "kind": "llvm",
        "mtriple": triple,
        "mcpu": name if _is_valid_cpu(name, triple) else "generic",
        "num-cores": available_processors(),
    }
    corrections = _feature_corrections(Target(described))
    return Target({**described, "mattr": corrections} if corrections else described)


def aarch64(mcpu: str | None = None, cores: int | None = None) -> dict[str, Any]:
    """A 64-bit ARM processor under Linux; without a name, whatever all of them have."""
    host: dict[str, Any] = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon"]}
    named = {"mcpu": mcpu} if mcpu else {}
    return {**host, **named, **({"num-cores": cores} if cores else {})}


def completed(target: Target) -> Target:
    """A CPU's target with its float ABI where the triple promises one: itself if it has that.

    Raises TargetError for a triple, a processor or a feature that LLVM does not know, for the
    vectors of RISC-V, and for no cores. LLVM alone would compile for a generic processor where
    ``mcpu`` is misspelt, without a feature that is, and crash where ``mtriple`` is.
    """
    if str(target.attrs.get("mtriple", "")).endswith("eabihf") and (
        "mfloat-abi" not in target.attrs
    ):
        target = Target({**target.export(), "mfloat-abi": "hard"})
    _check(target)
    return target


def _feature_corrections(named: Target) -> list[str]:
    """Features in which this machine differs from ``named``, as ``+x`` and ``-x``.

    A virtual machine may report a generic processor with AVX-512, or hide AVX-512 of a processor
    whose name promises it: then the name alone makes slow code, or code that traps.
    """
    detected = tvm_ffi.get_global_func("tvm.codegen.llvm.GetHostCPUFeatures")()
    corrections = []
    for feature, present in sorted((str(key), bool(value)) for key, value in detected.items()):
        if feature.startswith(_ARITHMETIC) and llvm.has_feature(named, feature) != present:
            corrections.append(f"{'+' if present else '-'}{feature}")
    return corrections


def _check(target: Target) -> None:
    triple = str(target.attrs.get("mtriple", llvm.default_triple()))
    if not _is_known_architecture(triple) or not _is_valid_cpu("generic", triple):
        raise TargetError(
            f"LLVM does not know mtriple {triple!r}: give one such as aarch64-linux-gnu"
        )
    name = target.attrs.get("mcpu")
    if name is not None and not _is_valid_cpu(str(name), triple):
        known = tvm_ffi.get_global_func("target.llvm_get_cpu_archlist")(
            Target({"kind": "llvm", "mtriple": triple})
        )
        near = difflib.get_close_matches(str(name), [str(cpu) for cpu in known], n=5)
        hint = f"did you mean {', '.join(near)}?" if near else "leave mcpu out for a generic one"
        raise TargetError(f"LLVM does not know mcpu {str(name)!r} of {triple}: {hint}")
    for feature in target.attrs.get("mattr", ()):
        _check_feature(str(feature), triple)
    if triple.startswith("riscv") and llvm.has_feature(target, "v"):
        # TVM makes vectors of no fixed length of some loops, and then cannot store what has one.
        raise TargetError('no schedules for the vectors of RISC-V: leave them out, "mattr": ["-v"]')
    cores = target.attrs.get("num-cores")
    if cores is None:
        return
    if int(cores) < 1:
        raise TargetError(f"num-cores must be at least 1, got {int(cores)}: leave it out for all")
    check_threads(int(cores), "num-cores")


def _check_feature(feature: str, triple: str) -> None:
    """Raise TargetError for an element of ``mattr`` that LLVM would ignore."""
    sign, name = feature[:1], feature[1:]
    if sign not in ("+", "-") or not name:
        raise TargetError(f"mattr holds {feature!r}: give features such as +avx2 or -avx2")
    if llvm.has_feature(Target({"kind": "llvm", "mtriple": triple, "mattr": [f"+{name}"]}), name):
        return
    of_cpu = tvm_ffi.get_global_func("target.llvm_get_cpu_features")
    known = {
        str(key)
        for cpu in tvm_ffi.get_global_func("target.llvm_get_cpu_archlist")(
            Target({"kind": "llvm", "mtriple": triple})
        )
        for key in of_cpu(Target({"kind": "llvm", "mtriple": triple, "mcpu": str(cpu)}))
    }
    near = difflib.get_close_matches(name, sorted(known), n=5)
    hint = f"did you mean {', '.join(sign + key for key in near)}?" if near else "leave it out"
    raise TargetError(f"LLVM does not know mattr {feature!r} of {triple}: {hint}")


def _is_valid_cpu(name: str, triple: str) -> bool:
    return bool(tvm_ffi.get_global_func("target.llvm_is_valid_cpu")(name, triple))


def _is_known_architecture(triple: str) -> bool:
    """Whether the triple begins like one of LLVM's back ends: asking LLVM itself prints a line."""
    known = [str(name) for name in tvm_ffi.get_global_func("target.llvm_get_targets")()]
    return triple.startswith((*known, "i486", "i586", "i686", "amd64"))
