"""OpenCL on the processor: PoCL from PyPI, in the test's own process.

PoCL links every kernel with ``ld`` and keeps it in a cache; ours is a folder that ends with the
process, so that a test never meets what another version compiled.
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

import numpy as np

from . import half


def missing() -> str:
    """Why OpenCL cannot be executed here, or ''."""
    for module in ("pyopencl", "pocl_binary_distribution"):
        if importlib.util.find_spec(module) is None:
            return f"the Python module {module} is not installed: pip install 'pyopencl[pocl]'"
    if shutil.which("ld") is None:
        return "PoCL links kernels with ld, which is not installed: apt install binutils"
    return ""


@functools.cache
def queue():
    """The command queue of PoCL's processor device; it lives as long as the process."""
    cache = tempfile.mkdtemp(prefix="pocl-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["POCL_CACHE_DIR"] = cache
    # Tests run beside each other, each with one thread.
    os.environ.setdefault("POCL_MAX_PTHREAD_COUNT", "1")
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = cache  # pyopencl opens a data base there while it is imported
    try:
        import pyopencl as cl
        import pyopencl.invoker
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before
    (platform,) = (p for p in cl.get_platforms() if p.name == "Portable Computing Language")
    device = platform.get_devices()[0]
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
        preamble = half.DEFINITIONS if re.search(r"\bhalf", source) else ""
        self._program = cl.Program(self._queue.context, preamble + source).build(["-w"])
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
