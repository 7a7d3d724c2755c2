"""What was compiled without LLVM's optimizations, run as it is.

TVM's just-in-time compiler would optimise it, and take twice as long as a library that is written,
linked and loaded.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import tvm
from tvm.contrib import graph_executor


def library(built: tvm.runtime.Module) -> tvm.runtime.Module:
    """The functions of ``built``. What there is of C in them, Python has loaded."""
    with tempfile.TemporaryDirectory() as folder:
        unit, path = (str(Path(folder, f"kernel.{end}")) for end in ("o", "so"))
        built.save(unit)
        command = ["ld", "-shared", "-z", "noexecstack", "-o", path, unit]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return tvm.runtime.load_module(path)


def graph_of(built: Any) -> graph_executor.GraphModule:
    """What runs a network that ``relay.build`` gave, with its weights."""
    run = graph_executor.create(built.get_graph_json(), library(built.get_lib()), tvm.cpu())
    run.set_input(**built.get_params())
    return run
