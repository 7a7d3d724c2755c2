"""From what a user calls a target to a ``tvm.target.Target`` that there really is."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

import tvm_ffi
from tvm.target import Target

from tvm_deconv.backends import gpu_tags
from tvm_deconv.backends.gpu_targets import check_config, complete, is_gpu
from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.cpu.machine import available_processors

# Host features worth stating where the processor's name promises otherwise: those that change
# which instructions vector code is made of. The rest (cache hints, keys) never comes out of TVM.
_ARITHMETIC = ("sse", "ssse", "avx", "fma", "f16c", "neon", "fullfp16", "fp-armv8", "dotprod")

gpu_tags.register()


def resolve_target(spec: str | Mapping[str, Any] | Target) -> Target:
    """The target that ``spec`` names.

    ``spec`` is ``"host"`` (the processor that we run on, with all processors that this process may
    use), a tag of TVM's or ours such as ``"raspberry-pi/4b-aarch64"`` or ``"arm/mali-g52"``, a
    target as JSON text or as a mapping, or a target, which is checked and returned. Where
    ``mtriple`` ends in ``eabihf`` and nothing else is said, floats are passed in their registers
    (``mfloat-abi`` hard): TVM would not, and the linker refuses to mix the two. A GPU gets the
    limits that its target leaves out, and this machine as its host where it has none.

    Raises TargetError, naming the value, for what TVM, LLVM or CUDA does not know, and for a GPU
    that is neither of CUDA nor of OpenCL. LLVM alone would compile for a generic processor where
    ``mcpu`` is misspelt, and crash where ``mtriple`` is.
    """
    if isinstance(spec, str) and spec == "host":
        return _host()
    target = _with_float_abi(spec if isinstance(spec, Target) else _parse(spec))
    if is_gpu(target):
        target = complete(target, _host())
    for part in (target, target.host):
        if part is not None and part.kind.name == "llvm":
            _check_processor(part)
    return target


def processor_of(target: Target) -> Target:
    """The CPU that runs a library for ``target``: itself, or the host of a GPU."""
    return target.host if is_gpu(target) else target


def known_tags() -> list[str]:
    """Names of all targets that there is a tag for, sorted."""
    return sorted(str(tag) for tag in tvm_ffi.get_global_func("target.TargetTagListTags")())


def _host() -> Target:
    triple = str(tvm_ffi.get_global_func("tvm.codegen.llvm.GetDefaultTargetTriple")())
    name = str(tvm_ffi.get_global_func("tvm.codegen.llvm.GetHostCPUName")())
    described = {
        "kind": "llvm",
        "mtriple": triple,
        "mcpu": name if _is_valid_cpu(name, triple) else "generic",
        "num-cores": available_processors(),
    }
    corrections = _feature_corrections(Target(described))
    return Target({**described, "mattr": corrections} if corrections else described)


def _feature_corrections(named: Target) -> list[str]:
    """Features in which this machine differs from ``named``, as ``+x`` and ``-x``.

    A virtual machine may report a generic processor with AVX-512, or hide AVX-512 of a processor
    whose name promises it: then the name alone makes slow code, or code that traps.
    """
    detected = tvm_ffi.get_global_func("tvm.codegen.llvm.GetHostCPUFeatures")()
    has = tvm_ffi.get_global_func("target.target_has_feature")
    corrections = []
    for feature, present in sorted((str(key), bool(value)) for key, value in detected.items()):
        if feature.startswith(_ARITHMETIC) and bool(has(feature, named)) != present:
            corrections.append(f"{'+' if present else '-'}{feature}")
    return corrections


def _parse(spec: str | Mapping[str, Any]) -> Target:
    if isinstance(spec, str) and not spec.lstrip().startswith("{"):
        check_config({"kind": spec})
        try:
            return Target(spec)
        except ValueError as error:
            raise TargetError(f"unknown target {spec!r}: {_hint(spec)}") from error
    try:
        config = json.loads(spec) if isinstance(spec, str) else dict(spec)
    except ValueError as error:
        raise TargetError(f"target {spec!r} is not valid JSON: {error}") from error
    except TypeError as error:
        raise TargetError(
            f"a target is text, a mapping or a tvm.target.Target, got {spec!r}"
        ) from error
    check_config(config)
    try:
        return Target(config)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise TargetError(f"TVM rejects target {config!r}: {reason}") from error


def _with_float_abi(target: Target) -> Target:
    hard = str(target.attrs.get("mtriple", "")).endswith("eabihf")
    if not hard or "mfloat-abi" in target.attrs:
        return target
    return Target({**target.export(), "mfloat-abi": "hard"})


def _hint(name: str) -> str:
    if " " in name:
        return 'options go into JSON, such as {"kind": "llvm", "mcpu": "haswell"}'
    near = difflib.get_close_matches(name, ["host", *known_tags()], n=5, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    return "give host, a TVM tag such as raspberry-pi/4b-aarch64, or JSON"


def _check_processor(target: Target) -> None:
    default = tvm_ffi.get_global_func("tvm.codegen.llvm.GetDefaultTargetTriple")()
    triple = str(target.attrs.get("mtriple", default))
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
    cores = target.attrs.get("num-cores")
    if cores is not None and int(cores) < 1:
        raise TargetError(f"num-cores must be at least 1, got {int(cores)}: leave it out for all")


def _is_valid_cpu(name: str, triple: str) -> bool:
    return bool(tvm_ffi.get_global_func("target.llvm_is_valid_cpu")(name, triple))


def _is_known_architecture(triple: str) -> bool:
    """Whether the triple begins like one of LLVM's back ends: asking LLVM itself prints a line."""
    backends = [str(name) for name in tvm_ffi.get_global_func("target.llvm_get_targets")()]
    return triple.startswith((*backends, "i486", "i586", "i686", "amd64"))
