"""Networks compiled in half the time, for tests of what comes before LLVM.

With LLVM's optimizations, as users have them, networks are compiled in tests of the compiler, of
each variant in a network, of NaN in activations, of the documentation's examples, on boards, and in
the random cases, quantized ones among them.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tvm
from tvm import relax

import tvm_deconv
from tvm_deconv.backends.lowering import lean_lowering
from tvm_deconv.backends.packing import SYMBOL
from tvm_deconv.backends.serialized import packed
from tvm_deconv.targets import resolve_target

# What a library holds besides machine code.
_CONTENT = "content.bin"


def unoptimised() -> tvm.target.Target:
    """This machine without LLVM's optimizations."""
    return tvm.target.Target({**resolve_target("host").export(), "opt-level": 0})


def library(executable: Any) -> tvm.runtime.Module:
    """What was compiled for ``unoptimised``, written as a library and loaded.

    TVM's just-in-time compiler takes no notice of the optimization level, and four times as long.
    Parallel loops run on TVM's pool.
    """
    with tempfile.TemporaryDirectory() as folder:
        executable.mod.export_library(
            str(Path(folder, "main.so")),
            fcompile=_linked,
            fpack_imports=_content,
            workspace_dir=folder,
        )
        return tvm.runtime.load_module(str(Path(folder, "main.so")))


def _content(module: tvm.runtime.Module, _is_system_lib: bool, _prefix: str, folder: str) -> str:
    """What a library holds besides machine code, as a file of bytes."""
    Path(folder, _CONTENT).write_bytes(packed(module))
    return _CONTENT


def _linked(path: str, files: list[str], options: Sequence[str] = ()) -> None:
    """A library made by ``ld`` itself: compiler and assembler around it take three times as long.

    What there is of C in a program, Python has loaded. A model without kernels has a file of C in
    place of machine code, and ``options`` for it.
    """
    folder = Path(path).parent
    command = ["ld", "-shared", "-z", "noexecstack", "-o", path]
    for file in files:
        if file == _CONTENT:
            start = f"_binary_{_CONTENT.replace('.', '_')}_start"
            command += [f"--defsym={SYMBOL}={start}", "--format=binary"]
        elif file.endswith(".c"):
            _run(["gcc", "-fPIC", *options, "-c", file, "-o", f"{file}.o"], folder)
            file = f"{file}.o"
        command.append(file)
    _run(command, folder)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
