"""From what a user calls a target to a ``tvm.target.Target`` that there really is."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

import tvm_ffi
from tvm.target import Target

from tvm_deconv.backends.cpu.target import this_machine
from tvm_deconv.backends.registry import backend_of, check_config
from tvm_deconv.errors import TargetError

# What names a target: ``resolve_target`` says how.
TargetSpec: TypeAlias = str | Mapping[str, Any] | Target


def resolve_target(spec: TargetSpec) -> Target:
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
        return this_machine()
    target = spec if isinstance(spec, Target) else _parse(spec)
    return backend_of(target).complete(target)


def is_this_machine(target: Target) -> bool:
    """Whether this process surely runs what is compiled for a target: a CPU of the same name."""
    here = resolve_target("host")
    triples = (str(one.attrs.get("mtriple", "")).split("-")[0] for one in (here, target))
    same_triple = len({triple for triple in triples if triple}) == 1
    same_name = here.attrs.get("mcpu") == target.attrs.get("mcpu")
    return target.kind == here.kind and same_name and same_triple


def known_tags() -> list[str]:
    """Names of all targets that there is a tag for, sorted."""
    return sorted(str(tag) for tag in tvm_ffi.get_global_func("target.TargetTagListTags")())


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


def _hint(name: str) -> str:
    if " " in name:
        return 'options go into JSON, such as {"kind": "llvm", "mcpu": "haswell"}'
    near = difflib.get_close_matches(name, ["host", *known_tags()], n=5, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(near)}?"
    return "give host, a TVM tag such as raspberry-pi/4b-aarch64, or JSON"
