"""TVMScript that is parsed by the test that asks for it, not whenever tests are collected."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tvm import tirx
from tvm.script import tirx as T


def on_demand(func: Callable) -> Callable[[], tirx.PrimFunc]:
    """A function that gives the PrimFunc; TVM looks through all modules there are to parse one."""
    return functools.cache(lambda: T.prim_func(func))


on_demand.dispatch_token = "tirx"
