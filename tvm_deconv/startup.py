"""What a process of our own does before it imports TVM."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _WithoutTorch(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "torch":
            raise ModuleNotFoundError("this process does without PyTorch", name=name)
        return None


def without_torch() -> None:
    """Let no package import PyTorch from now on.

    TVM does wherever it is installed, for its tensors and for the order of libraries on Windows:
    that triples the time that ``import tvm`` takes. Only for processes that get no PyTorch objects.
    """
    sys.meta_path.insert(0, _WithoutTorch())


def collect_seldom() -> None:
    """Let Python look for objects that only hold each other a hundred times as seldom, and not at
    the end.

    Of 400,000 objects that TVM and this package make when they are imported none is to go. To look
    at all of them, again and again, takes a sixth of the start, and to take them apart at the end
    of the process 0.3 s. In graphs of TVM there are few.
    """
    gc.set_threshold(100_000, 20, 20)
    # What is frozen is not looked at.
    atexit.register(gc.freeze)
