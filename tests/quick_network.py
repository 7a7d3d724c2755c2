"""Networks compiled in half the time, for tests of what comes before LLVM.

With LLVM's optimizations, as users have them, networks are compiled in tests of the compiler, of
each variant in a network, of NaN in activations, of the documentation's examples, on boards, and in
the random cases, quantized ones among them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tvm
from tvm import relax
from tvm.support.cc import create_shared

import tvm_deconv
from tvm_deconv.backends.linking import linker
from tvm_deconv.backends.lowering import lean_lowering
from tvm_deconv.backends.packing import pack
from tvm_deconv.targets import resolve_target

# What there is of C and C++ in a program, Python has loaded: looking for it takes half of the time.
_NO_MORE = ("-nostdlib", "-lm", "-lc")


def unoptimised() -> tvm.target.Target:
    """This machine without LLVM's optimizations."""
    return tvm.target.Target({**resolve_target("host").export(), "opt-level": 0})


def library(executable: Any) -> tvm.runtime.Module:
    """What was compiled for ``unoptimised``, written as a library and loaded.

    TVM's just-in-time compiler takes no notice of the optimization level, and four times as long.
    """
    here = resolve_target("host")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "main.so"))
        # Parallel loops run on TVM's pool: compiling our own would take as long as linking does.
        executable.mod.export_library(
            path,
            fcompile=create_shared,
            fpack_imports=pack,
            cc=linker(here),
            options=list(_NO_MORE),
        )
        return tvm.runtime.load_module(path)


def loaded(executable: Any) -> Callable[..., Any]:
    """``main`` of a network that was compiled for ``unoptimised``."""
    return relax.VirtualMachine(library(executable), tvm.cpu())["main"]


def built(
    mod: tvm.IRModule, passes: Any = "default", target: tvm.target.Target | None = None
) -> Callable[..., Any]:
    """``main`` of a module by ``passes``, by default TVM's own; the kernels are lowered as ours."""
    target = target or unoptimised()
    with lean_lowering(target):
        return loaded(relax.build(mod, target, relax_pipeline=passes))


def compiled(model: Any, **options: Any) -> Callable[..., Any]:
    """``main`` of a model, from tensors to tensors; ``options`` are those of ``compile``."""
    return loaded(tvm_deconv.compile(model, **{"target": unoptimised(), "log": None, **options}))
