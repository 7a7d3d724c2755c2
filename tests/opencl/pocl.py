"""OpenCL on the processor: PoCL from PyPI, in the test's own process.

PoCL links every kernel with ``ld`` and keeps it in a cache; ours is a folder that ends with the
process, so that a test never meets what another version compiled. OpenCL drivers of the machine, be
it another PoCL, are not looked at: the harness knows this one.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib.util
import os
import re
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from . import builtins, half, processor


@functools.cache
def missing() -> str:
    """Why OpenCL cannot be executed here, or ''."""
    for module in ("pyopencl", "pocl_binary_distribution"):
        if importlib.util.find_spec(module) is None:
            return f"the Python module {module} is not installed: pip install 'pyopencl[pocl]'"
    version = metadata.version("pocl-binary-distribution")
    if version != processor.VERSION:
        return f"the tests know PoCL {processor.VERSION}, this is {version}"
    if shutil.which("ld") is None:
        return "PoCL links kernels with ld, which is not installed: apt install binutils"
    try:
        program("__kernel void nothing() {}").launch("nothing", [], (1, 1, 1), (1, 1, 1))
    except Exception as error:  # whatever stands in its way here is the reason that is asked for
        return f"PoCL does not run on this machine: {' '.join(str(error).split())}"
    return ""


@functools.cache
def queue():
    """The command queue of PoCL's processor device; it lives as long as the process."""
    cache = tempfile.mkdtemp(prefix="pocl-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["POCL_CACHE_DIR"] = cache
    # Tests run beside each other, each with one thread.
    os.environ.setdefault("POCL_MAX_PTHREAD_COUNT", "1")
    drivers = Path(importlib.util.find_spec("pyopencl").origin).parent / ".libs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", cache)  # pyopencl opens a data base there while imported
        patch.setenv("OCL_ICD_VENDORS", str(drivers))
        import pyopencl as cl
        import pyopencl.invoker

        # The loader lists its own folder twice where it is named.
        platform = next(p for p in cl.get_platforms() if f"PoCL {processor.VERSION}" in p.version)
    device = platform.get_devices()[0]
    processor.name_known_processor(device)
    if not half.missing():
        half.switch_on(device)
    return cl.CommandQueue(cl.Context([device]))


@functools.cache
def program(source: str) -> Program:
    """OpenCL C, compiled once: of float16 source that it meets again PoCL finds no kernels."""
    return Program(source)


class Program:
    """OpenCL C source, compiled; get one from ``program``."""

    def __init__(self, source: str) -> None:
        import pyopencl as cl

        self._queue = queue()
        if re.search(r"\bhalf", source):
            source = half.definitions(builtins.words(source)) + source
        source = builtins.declarations(builtins.words(source)) + source
        program = cl.Program(self._queue.context, source)
        # Small maps: compiling takes longer than running.
        self._program = program.build(["-w", "-cl-opt-disable", builtins.SKIP])
        self._kernels = {kernel.function_name: kernel for kernel in self._program.all_kernels()}

    def local_bytes(self, name: str) -> int:
        """Shared ("local") memory of one work-group of a kernel."""
        import pyopencl as cl

        return self._kernels[name].get_work_group_info(
            cl.kernel_work_group_info.LOCAL_MEM_SIZE, self._queue.device
        )

    def launch(self, name: str, arguments: list, grid: tuple, block: tuple) -> None:
        """Run a kernel to its end; an argument is a scalar of NumPy or the address of a buffer.

        ``grid`` counts work-groups and ``block`` work-items of one, along x, y, z.
        """
        import pyopencl as cl

        kernel = self._kernels[name]
        for index, argument in enumerate(arguments):
            if isinstance(argument, np.generic):
                kernel.set_arg(index, argument)
            else:
                # The device is the processor: its memory is ours. A byte of it stands for all.
                kernel.set_arg(index, cl.SVM(np.frombuffer(_byte_at(argument), "uint8")))
        items = tuple(groups * size for groups, size in zip(grid, block, strict=True))
        cl.enqueue_nd_range_kernel(self._queue, kernel, items, block).wait()


def _byte_at(address: int):
    return (ctypes.c_ubyte * 1).from_address(address)
