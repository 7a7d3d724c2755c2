"""The first NVIDIA GPU as a device of the benchmark: CUDA's runtime by ctypes.

Times are CUDA events around a replayed CUDA graph, so that neither Python nor the launch of a
kernel is in them. The runtime is the very library that TVM's own runtime needs, and so it is
opened first: TVM finds it then, wherever it lies.
"""

from __future__ import annotations

import contextlib
import ctypes
import site
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .device import Call

# Of the CUDA version that apache-tvm 0.27 is built for.
_LIBRARY = "libcudart.so.13"
_DEVICE_TO_DEVICE, _CAPTURE_OF_THIS_THREAD = 3, 1
# cudaDeviceAttr in CUDA's driver_types.h.
_ATTRIBUTES = {
    "multiprocessors": 16,
    "l2_bytes": 38,
    "threads_per_multiprocessor": 39,
    "major": 75,
    "minor": 76,
}
_QUERY = (
    "name",
    "driver_version",
    "pstate",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "temperature.gpu",
    "power.draw",
)

Handle = ctypes.c_void_p


class NoGpu(RuntimeError):
    """There is no NVIDIA GPU that TVM's runtime can use; the message says what is missing."""


class CudaError(RuntimeError):
    """A call of CUDA's runtime that failed."""


def open_runtime() -> ctypes.CDLL:
    """CUDA's runtime library; call it before TVM is imported. Raises NoGpu."""
    for path in _places():
        with contextlib.suppress(OSError):
            return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    raise NoGpu(
        f"{_LIBRARY} is missing, CUDA's runtime that TVM needs: pip install nvidia-cuda-runtime"
    )


def _places() -> Iterator[str]:
    """Where the loader looks, pip's packages, and the toolkit's folder."""
    yield _LIBRARY
    folders = dict.fromkeys([*sys.path, *site.getsitepackages(), site.getusersitepackages()])
    for folder in filter(None, folders):
        yield from map(str, sorted(Path(folder).glob(f"nvidia/*/lib/{_LIBRARY}")))
    yield f"/usr/local/cuda/lib64/{_LIBRARY}"


def count(library: ctypes.CDLL) -> int:
    """How many GPUs CUDA sees. Raises NoGpu for none, with CUDA's reason."""
    found = ctypes.c_int()
    status = library.cudaGetDeviceCount(ctypes.byref(found))
    if status or not found.value:
        raise NoGpu(f"no NVIDIA GPU: CUDA says {_message(library, status)!r}")
    return found.value


def _message(library: ctypes.CDLL, status: int) -> str:
    function = library.cudaGetErrorString
    function.restype = ctypes.c_char_p
    return (function(status) or b"").decode()


class CudaDevice:
    """The GPU with index 0; raises NoGpu where there is none that TVM can use."""

    def __init__(self) -> None:
        self._library = open_runtime()
        count(self._library)
        import tvm
        import tvm_ffi
        from tvm_ffi.libinfo import load_lib_ctypes

        try:
            # TVM does this itself only where its compiler is.
            paths = tvm.libinfo.package_lib_paths()
            load_lib_ctypes("tvm", "tvm_runtime_cuda", "RTLD_LOCAL", extra_lib_paths=paths)
        except (OSError, RuntimeError) as error:
            raise NoGpu(f"TVM's CUDA runtime cannot be loaded here: {error}") from error
        self.tvm_device = tvm.cuda(0)
        self._call("cudaSetDevice", 0)
        stream = Handle()
        self._call("cudaStreamCreate", ctypes.byref(stream))
        self.stream = int(stream.value or 0)
        self._context = tvm_ffi.use_raw_stream(self.tvm_device, self.stream)
        self._events = [self._event(), self._event()]
        self._known = self._describe()
        self.name = str(self._known["name"])
        self.cache_bytes = int(self._known["l2_bytes"])

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise CudaError(f"{name}: {_message(self._library, status)}")

    def _event(self) -> Handle:
        event = Handle()
        self._call("cudaEventCreate", ctypes.byref(event))
        return event

    def _describe(self) -> dict[str, Any]:
        known: dict[str, Any] = {"name": str(self.tvm_device.device_name)}
        for name, number in _ATTRIBUTES.items():
            value = ctypes.c_int()
            self._call("cudaDeviceGetAttribute", ctypes.byref(value), number, 0)
            known[name] = value.value
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cudaMemGetInfo", ctypes.byref(free), ctypes.byref(total))
        return {**known, "memory_bytes": total.value, "free_bytes": free.value}

    @property
    def arch(self) -> str:
        """Such as ``sm_90``."""
        return f"sm_{self._known['major']}{self._known['minor']}"

    def __enter__(self) -> CudaDevice:
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def facts(self) -> dict[str, Any]:
        return {**self._known, "arch": self.arch}

    def clocks(self) -> dict[str, Any]:
        """What nvidia-smi says; nothing where it cannot be run."""
        command = ["nvidia-smi", "--id=0", f"--query-gpu={','.join(_QUERY)}"]
        try:
            done = subprocess.run(
                [*command, "--format=csv,noheader"], capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        values = [value.strip() for value in done.stdout.strip().split(",")]
        return dict(zip(_QUERY, values, strict=False)) if done.returncode == 0 else {}

    def blocks(self, threads: int) -> int:
        """Four rounds of as many blocks as run side by side."""
        side_by_side = self._known["threads_per_multiprocessor"] // threads
        return 4 * side_by_side * self._known["multiprocessors"]

    def synchronize(self) -> None:
        self._call("cudaDeviceSynchronize")

    def fill(self, pointer: int, byte: int, size: int) -> None:
        self._call(
            "cudaMemsetAsync", Handle(pointer), byte, ctypes.c_size_t(size), Handle(self.stream)
        )

    def copy(self, to: int, source: int, size: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            Handle(to),
            Handle(source),
            ctypes.c_size_t(size),
            _DEVICE_TO_DEVICE,
            Handle(self.stream),
        )

    def record(self, calls: Sequence[Call]) -> Call:
        self.synchronize()
        stream = Handle(self.stream)
        graph, executable = Handle(), Handle()
        self._call("cudaStreamBeginCapture", stream, _CAPTURE_OF_THIS_THREAD)
        try:
            for call in calls:
                call()
        except BaseException:
            self._library.cudaStreamEndCapture(stream, ctypes.byref(graph))
            raise
        self._call("cudaStreamEndCapture", stream, ctypes.byref(graph))
        self._call("cudaGraphInstantiate", ctypes.byref(executable), graph, ctypes.c_ulonglong(0))
        self._call("cudaGraphDestroy", graph)
        return _Graph(self._call, executable, stream)

    def time(self, replay: Call) -> float:
        begin, end = self._events
        stream = Handle(self.stream)
        self._call("cudaEventRecord", begin, stream)
        replay()
        self._call("cudaEventRecord", end, stream)
        self._call("cudaEventSynchronize", end)
        milliseconds = ctypes.c_float()
        self._call("cudaEventElapsedTime", ctypes.byref(milliseconds), begin, end)
        return milliseconds.value


class _Graph:
    """A recorded pass; it is released with the last reference to it."""

    def __init__(self, call: Callable[..., None], executable: Handle, stream: Handle) -> None:
        self._invoke, self._executable, self._stream = call, executable, stream

    def __call__(self) -> None:
        self._invoke("cudaGraphLaunch", self._executable, self._stream)

    def __del__(self) -> None:
        with contextlib.suppress(CudaError):
            self._invoke("cudaGraphExecDestroy", self._executable)
