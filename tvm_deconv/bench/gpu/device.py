"""What the benchmark asks of a device, and the processor itself as one, to rehearse on.

A *pass* is a list of calls, each of which puts a kernel or several on the device's queue.
``record`` makes of it something that can be put there again and again, and ``time`` says how long
that takes.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol

from tvm_deconv.measure.facts import cpu_model

Call = Callable[[], object]

NAN_BYTE = 0xFF
"""A float of any width made of it is a NaN."""


LAYER = "the layer"
"""Who is run where no contestant is to blame for what happens."""


class DeviceLost(RuntimeError):
    """An error after which nothing more can be run in this process."""


class BenchDevice(Protocol):
    """A context manager: TVM's kernels go to its queue inside the block."""

    name: str
    cache_bytes: int
    """Of the last cache before memory: buffers that are to come from memory are larger."""
    tvm_device: Any
    stream: int
    """The queue as a CUDA stream; 0 where there is none."""

    def __enter__(self) -> BenchDevice: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
    def facts(self) -> dict[str, Any]:
        """What is told of the device in the result."""

    def clocks(self) -> dict[str, Any]:
        """What the device says of its clocks just now."""

    def blocks(self, threads: int) -> int:
        """Blocks of so many threads that keep all of it busy."""

    def synchronize(self) -> None: ...
    def fill(self, pointer: int, byte: int, size: int) -> None:
        """Put setting ``size`` bytes on the queue."""

    def copy(self, to: int, source: int, size: int) -> None:
        """Put copying ``size`` bytes on the queue."""

    def record(self, calls: Sequence[Call]) -> Call:
        """What replays a pass of calls of TVM; each was made once before."""

    def time(self, replay: Call) -> float:
        """Milliseconds from the begin to the end of a replay."""


class Processor:
    """This processor as a device: the same code, and times that say nothing about a GPU."""

    stream = 0
    # Three times this and the passes are still short.
    cache_bytes = 1 << 20

    def __init__(self) -> None:
        import tvm

        self.name = f"{cpu_model()} (a rehearsal on the processor)"
        self.tvm_device = tvm.cpu()

    def __enter__(self) -> Processor:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def facts(self) -> dict[str, Any]:
        return {}

    def clocks(self) -> dict[str, Any]:
        return {}

    def blocks(self, threads: int) -> int:
        return 1

    def synchronize(self) -> None:
        pass

    def fill(self, pointer: int, byte: int, size: int) -> None:
        ctypes.memset(pointer, byte, size)

    def copy(self, to: int, source: int, size: int) -> None:
        ctypes.memmove(to, source, size)

    def record(self, calls: Sequence[Call]) -> Call:
        def replay() -> None:
            for call in calls:
                call()

        return replay

    def time(self, replay: Call) -> float:
        begin = time.perf_counter()
        replay()
        return (time.perf_counter() - begin) * 1e3
