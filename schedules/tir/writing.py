"""Words of functions that are written statement by statement, within an ``IRBuilder``.

A vector of one lane is a number: so places, types and values are asked for by their lanes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T
from tvm.sym import Analyzer

from .edit import in_root, index, ramp


@contextmanager
def scheduled_function() -> Iterator[IRBuilder]:
    """Within it the function is written that ``get`` gives behind it; no two arguments overlap."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_attr({"tirx.noalias": True, "tirx.is_scheduled": True})
        yield builder


@contextmanager
def rewriting(func: tirx.PrimFunc) -> Iterator[tuple[IRBuilder, list[tuple[tirx.Var, Any]]]]:
    """Within it ``func`` is written anew, scheduled; with its parameters, each with the new one."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_attr(dict(func.attrs) | {"tirx.is_scheduled": True})
        types = [(param, param.ty.shape, str(param.ty.dtype)) for param in func.params]
        yield builder, [(old, argument(f"p{i}", *ty)) for i, (old, *ty) in enumerate(types)]


def body_of(write: Callable[[], None]) -> tirx.Stmt:
    """What ``write`` writes, for a function whose parameters are there already."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        write()
    return in_root(builder.get().body)


def argument(name: str, shape: Sequence[Any], dtype: str) -> Any:
    """The next one of the function: a buffer."""
    return T.match_buffer(T.arg(name, T.handle()), shape, dtype)


def simplified(value: Any) -> Any:
    return Analyzer().simplify(index(value))


def known(value: Any) -> int | None:
    """The number that ``value`` is; None if only the run time knows it."""
    value = simplified(value)
    return int(value) if isinstance(value, tirx.IntImm) else None


def named(value: Any) -> Any:
    """``value`` under a name, or the number that it is."""
    value = simplified(value)
    return value if isinstance(value, tirx.IntImm | tirx.Var) else T.bind(value)


def own_size(name: str, size: Any) -> Any:
    """``size``, or where it is a formula a variable, which is read off an argument."""
    return size if isinstance(size, tirx.IntImm) else tirx.Var(name, "int64")


def places(first: Any, lanes: int) -> Any:
    """The index of ``lanes`` neighbours."""
    return ramp(first, lanes) if lanes > 1 else index(first)


def type_of(dtype: str, lanes: int) -> str:
    """Of ``lanes`` values of ``dtype``."""
    return f"{dtype}x{lanes}" if lanes > 1 else dtype


def broadcast(value: Any, lanes: int) -> Any:
    """``lanes`` times one value."""
    return tirx.Broadcast(value, lanes) if lanes > 1 else value


def fill(buffer: Any, value: Any, first: Any, count: Any) -> None:
    """``buffer[first:first + count] = value``."""
    with T.serial(index(0), count) as i:
        T.buffer_store(buffer, value, [first + i])


def in_vectors(count: Any, lanes: int, do: Callable[[Any, int], None]) -> None:
    """``do(first, lanes)`` for whole vectors of ``count`` places, ``do(place, 1)`` for the rest."""
    with T.serial(index(0), count // lanes) as vector:
        do(vector * lanes, lanes)
    with T.serial(index(0), count % lanes) as rest:
        do(count - count % lanes + rest, 1)


def to_the_end(count: Any, lanes: int, do: Callable[[Any, int], None]) -> None:
    """As ``in_vectors``, where places may be done twice: the last vector ends with the last place.

    Of fewer places than ``lanes`` vectors are shorter, where it is known how many there are.
    """
    number = known(count)
    if number is not None:
        while lanes > max(number, 1):
            lanes //= 2
        with T.serial(index(0), index(number // lanes)) as vector:
            do(vector * lanes, lanes)
        if number % lanes:
            do(index(number - lanes), lanes)
        return
    with T.If(count >= lanes):
        with T.Then():
            with T.serial(index(0), count // lanes) as vector:
                do(vector * lanes, lanes)
            with T.If(count % lanes > 0), T.Then():
                do(count - lanes, lanes)
        with T.Else():
            in_vectors(count, max(1, lanes // 8), do)


def lane_by_lane(lanes: int, do: Callable[[Any], None]) -> None:
    """``do(lane)`` for each of ``lanes``, as a loop that becomes one vector."""
    if lanes == 1:
        do(index(0))
        return
    with T.vectorized(index(0), index(lanes)) as lane:
        do(lane)


def in_halves(count: int, lanes: int) -> Iterator[tuple[int, int]]:
    """``count`` places, at most ``lanes``, as smaller and smaller vectors: first place, lanes."""
    done = 0
    while done < count:
        if count - done >= lanes:
            yield done, lanes
            done += lanes
        lanes //= 2
