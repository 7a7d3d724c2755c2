"""MetaSchedule's context of a task, without the half minute that making the first one takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import tvm
from tvm.s_tir.meta_schedule import TuneContext
from tvm.s_tir.meta_schedule.search_strategy import SearchStrategy
from tvm.s_tir.meta_schedule.space_generator import SpaceGenerator
from tvm.target import Target

_INTRINSICS = "tvm.s_tir.tensor_intrin"


def tune_context(
    mod: tvm.IRModule,
    target: Target,
    *,
    space: SpaceGenerator,
    strategy: SearchStrategy,
    name: str,
    seed: int,
) -> TuneContext:
    """A context for spaces that use no tensor intrinsic.

    Our own run Python code in the search, so it has one thread.
    """
    with _no_intrinsics():
        return TuneContext(
            mod,
            target=target,
            space_generator=space,
            search_strategy=strategy,
            task_name=name,
            rand_state=seed,
            num_threads=1,
        )


@contextmanager
def _no_intrinsics() -> Iterator[None]:
    """Make ``import tvm.s_tir.tensor_intrin``, which parses 248 functions in 25 s, do nothing.

    ``TuneContext`` imports it for its effect alone, which no space here needs. Who imports it
    afterwards gets the real one.
    """
    if _INTRINSICS in sys.modules:
        yield
        return
    placeholder: Any = ModuleType(_INTRINSICS)
    sys.modules[_INTRINSICS] = placeholder
    try:
        yield
    finally:
        del sys.modules[_INTRINSICS]
        tvm.s_tir.__dict__.pop("tensor_intrin", None)
