"""A kernel for stacked slices (``algebra.volumes``) on the volumes that the stacks are made of.

A variant schedules the layer over the stack as any other picture, and every bound that it knows is
the picture's. What is left is where the rows lie, and which are none:

    for j: pad[...] = x[n, c, row, j]
    => if the volume has that row: for j: pad[...] = volume[n, c', slice, row', j]
       else: for j: pad[...] = 0
    for j: y[n, o, row, j] = ...
    => if the volume has that row: for j: volume[n, o, slice, row', j] = ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, PrimType, Range, TensorLoad, TensorRegion
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

from tvm_deconv.algebra.volumes import Stack

from . import edit

# The attribute of a function that reads and writes rows that volumes have only.
INSIDE_SLICES = "tvm_deconv.inside_slices"

# The attribute of a function, not yet scheduled, whose picture is a stack.
_OF_STACK = "tvm_deconv.of_stack"

# The sizes that a picture of slices does not have.
FREE = ("depth", "height")

_ADDRESS = Op.get("tirx.address_of")


def of_stack(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, whose schedule is told that the picture is a stack: ``on_volumes`` comes later."""
    return func.with_attr(_OF_STACK, True)


def is_of_stack(func: tirx.PrimFunc) -> bool:
    """Whether ``func`` is one of ``of_stack``."""
    return _OF_STACK in func.attrs


def with_sizes(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func`` with a tensor of so many elements in place of its parameters that are numbers.

    Those of ``FREE``: a schedule takes tensors only. It stands before the output.
    """
    numbers = {param.name: param for param in func.params if isinstance(param.ty, PrimType)}
    *tensors, output = (param for param in func.params if not isinstance(param.ty, PrimType))
    shape = [numbers.get(name, edit.index(1)) for name in FREE]
    sizes = tirx.decl_buffer(shape, "int8", name="sizes")
    return tirx.PrimFunc([*tensors, sizes, output], func.body, func.ret_type, func.attrs)


def on_volumes(
    func: tirx.PrimFunc,
    stack: Stack,
    shape: tuple[Any, ...],
    operands: list[int],
    has_sizes: bool = False,
) -> tirx.PrimFunc:
    """``func`` of ``of_stack``, scheduled, on volumes: ``shape`` is the input's, NCDHW.

    A size of depth or height that is not known becomes a variable of the function. The first
    parameter is the input and the last the output; ``operands`` are the positions of others that
    have the output's shape. One that ``has_sizes`` is of ``with_sizes``.
    """
    batch, _, _, width = func.params[0].ty.shape
    _, channels, depth, height, _ = shape
    depth, height = (
        size if isinstance(size, int) else tirx.Var(name, "int64")
        for name, size in zip(FREE, (depth, height), strict=True)
    )
    shape = batch, channels, depth, height, width
    if has_sizes:
        func = _without_sizes(func, (depth, height))
    func = _with_rows(func, stack.height(depth, height))
    out_shape = stack.volume.output_shape(batch, depth, height, width)
    x, *_, y = func.params
    shapes = {0: shape, len(func.params) - 1: out_shape} | dict.fromkeys(operands, out_shape)
    volumes = {i: _volume(func.params[i], volume) for i, volume in shapes.items()}
    pairs = [(func.params[i], volume) for i, volume in volumes.items()]
    tested = INSIDE_SLICES in func.attrs
    places = _Places(stack, x, y, pairs, (depth, height), out_shape[3], tested)
    body = func.body
    for callbacks in places.steps():
        body = tvm_ffi.structural_map(body, callbacks)
    params = [volumes.get(i, param) for i, param in enumerate(func.params)]
    return tirx.PrimFunc(params, body, func.ret_type, func.attrs)


def _without_sizes(func: tirx.PrimFunc, sizes: tuple[Any, Any]) -> tirx.PrimFunc:
    """``func`` of ``with_sizes`` with ``sizes`` for the variables of that parameter."""
    *params, given, output = func.params
    func = tirx.PrimFunc([*params, output], func.body, func.ret_type, func.attrs)
    pairs = zip(given.ty.shape, sizes, strict=True)
    return edit.substitute(func, {var: size for var, size in pairs if isinstance(var, tirx.Var)})


def _with_rows(func: tirx.PrimFunc, rows: Any) -> tirx.PrimFunc:
    """``func`` with ``rows`` for the height of its input, where that is free."""
    free = func.params[0].ty.shape[2]
    if isinstance(free, tirx.IntImm):
        return func
    return edit.substitute(func, {free: rows})


def _volume(picture: Any, shape: tuple[Any, ...]) -> Any:
    sizes = [edit.index(n) for n in shape]
    return tirx.decl_buffer(sizes, str(picture.ty.dtype), name=picture.name)


class _Places:
    """Where the elements of pictures lie in their volumes, and when there are none."""

    def __init__(
        self,
        stack: Stack,
        source: Any,
        output: Any,
        volumes: list[tuple[Any, Any]],
        sizes: tuple[Any, Any],
        out_height: Any,
        tested: bool,
    ) -> None:
        self.stack, self.source, self.output, self.volumes = stack, source, output, volumes
        self.depth, self.height = sizes
        self.out_height, self.tested = out_height, tested

    def steps(self) -> list[list[Any]]:
        """Callbacks of ``structural_map``, one list after the other: rows, elements, the rest."""
        return [
            [(tirx.For, self._loop)],
            [(tirx.BufferStore, self._element), (tirx.Bind, self._named)],
            [(TensorLoad, self._load), (TensorRegion, self._region)],
        ]

    def _read(self, indices: Any) -> tuple[list[Any], list[Any]]:
        """An element of the input: its indices in the volume, and what must hold for it."""
        n, channel, row, column = indices
        c, k, i = self.stack.source(channel, row, self.height)
        if self.tested:
            return [n, c, k, i, column], []
        first, *_, last = (*self.stack.offsets, self.stack.offsets[-1])
        inside = []
        if self.stack.gap:
            inside.append(i < self.height)
        if first < 0:
            inside.append(k >= 0)
        beyond = self.stack.slices(self.depth) + last - self.depth
        if not Analyzer().can_prove(edit.index(beyond) <= 0):
            inside.append(k < self.depth)
        return [n, c, k, i, column], inside

    def _written(self, indices: Any) -> tuple[list[Any], list[Any]]:
        """The same for an element of the output, or of an operand as large."""
        n, channel, row, column = indices
        k, i = self.stack.target(row, self.height)
        pitch = (self.height + self.stack.gap) * self.stack.volume.h.stride
        whole = self.tested or Analyzer().can_prove_equal(
            edit.index(pitch), edit.index(self.out_height)
        )
        return [n, channel, k, i, column], [] if whole else [i < self.out_height]

    def _loop(self, loop: tirx.For) -> Any:
        """Tests of a loop over columns are made once, before it."""
        realize = loop.body if isinstance(loop.body, SBlockRealize) else None
        inner = loop.body if realize is None else realize.block.body
        if not isinstance(inner, tirx.BufferStore):
            return loop
        reads = self._reads(inner)
        writes = inner.buffer.same_as(self.output)
        if not reads and not writes:
            return loop
        conditions = []
        for load in reads:
            conditions += self._read(load.indices)[1]
        if writes:
            conditions += self._written(inner.indices)[1]
        if realize is not None:
            place = edit.place_of(realize.block, realize.iter_values)
            conditions = [edit.substitute(condition, place) for condition in conditions]
        if any(loop.loop_var in edit.variables_of(condition) for condition in conditions):
            return loop

        def with_store(store: tirx.BufferStore, **changes: Any) -> tirx.For:
            body: Any = store
            if realize is not None:
                body = edit.with_block(realize, body=store, **changes)
            return edit.with_loop(loop, body=body)

        if writes:
            value = self._mapped(inner.value, self._plain)
            there = with_store(self._store(inner, value))
            return tirx.IfThenElse(tirx.all(*conditions), there, None) if conditions else there
        there = with_store(self._rebuilt(inner, self._mapped(inner.value, self._plain)))
        if not conditions:
            return there
        var = tirx.Var(loop.loop_var.name, loop.loop_var.ty)
        empty = self._rebuilt(inner, self._mapped(inner.value, _zero))
        absent = edit.substitute(with_store(empty, reads=[]), {loop.loop_var: var})
        return tirx.IfThenElse(tirx.all(*conditions), there, absent)

    def _element(self, store: tirx.BufferStore) -> Any:
        """What no loop over columns contains is tested one by one."""
        value = self._mapped(store.value, self._tested)
        if not store.buffer.same_as(self.output):
            return self._rebuilt(store, value)
        conditions = self._written(store.indices)[1]
        there = self._store(store, value)
        return tirx.IfThenElse(tirx.all(*conditions), there, None) if conditions else there

    def _named(self, bind: tirx.Bind) -> Any:
        """So is a vector that is read to a variable: it may be of a row in a gap."""
        value = self._mapped(bind.value, self._tested)
        return bind if value.same_as(bind.value) else tirx.Bind(bind.var, value)

    def _load(self, load: TensorLoad) -> Any:
        """What is left only has an address, which may be anywhere, or is of an operand."""
        if load.source.same_as(self.source):
            return self._plain(load)
        volume = self._volume_of(load.source)
        if volume is None:
            return load
        return tirx.BufferLoad(volume, self._written(load.indices)[0])

    def _region(self, region: TensorRegion) -> Any:
        volume = self._volume_of(region.source)
        if volume is None:
            return region
        ranges = [Range.from_min_extent(edit.zero_like(size), size) for size in volume.ty.shape]
        return TensorRegion(volume, ranges, region.ty)

    def _store(self, store: tirx.BufferStore, value: Any) -> tirx.BufferStore:
        place, _ = self._written(store.indices)
        return tirx.BufferStore(self._volume_of(self.output), value, place)

    def _rebuilt(self, store: tirx.BufferStore, value: Any) -> tirx.BufferStore:
        return tirx.BufferStore(store.buffer, value, store.indices)

    def _mapped(self, value: Any, read: Callable[[TensorLoad], Any]) -> Any:
        """``value`` with ``read`` of every load of the input."""
        if not self._reads(value):
            return value

        def mapped(read: Callable[[TensorLoad], Any]) -> Any:
            return tvm_ffi.structural_map(
                value,
                (TensorLoad, lambda load: read(load) if load.source.same_as(self.source) else load),
            )

        masked = _masked(value)
        if masked is None:
            return mapped(read)
        # There is an address of a load, none of a choice or of zero: the choice is one level up.
        chosen, there = read(masked), mapped(self._plain)
        if isinstance(chosen, TensorLoad):
            return there
        dtype, _, lanes = str(value.ty.dtype).partition("x")
        zeros = _zeros(dtype, int(lanes or 1))
        if not isinstance(chosen, Call):
            return zeros
        return tirx.if_then_else(chosen.args[0], there, zeros)

    def _plain(self, load: TensorLoad) -> Any:
        return tirx.BufferLoad(self._volume_of(self.source), self._read(load.indices)[0])

    def _tested(self, load: TensorLoad) -> Any:
        conditions = self._read(load.indices)[1]
        there = self._plain(load)
        return tirx.if_then_else(tirx.all(*conditions), there, _zero(load)) if conditions else there

    def _volume_of(self, picture: Any) -> Any:
        return next((v for p, v in self.volumes if p.same_as(picture)), None)

    def _reads(self, node: Any) -> list[TensorLoad]:
        found: list[TensorLoad] = []

        def visit(part: Any) -> None:
            if part.source.same_as(self.source):
                found.append(part)

        tvm_ffi.structural_walk(node, (TensorLoad, visit))
        return found


def _masked(value: Any) -> TensorLoad | None:
    """The load that a masked load has the address of, or a conversion of it."""
    while isinstance(value, tirx.Cast):
        value = value.value
    operands = value.args if isinstance(value, Call) else []
    calls = [operand for operand in operands if isinstance(operand, Call)]
    return next((call.args[0] for call in calls if call.op.same_as(_ADDRESS)), None)


def _zero(load: TensorLoad) -> Any:
    lanes = next((int(i.lanes) for i in load.indices if isinstance(i, tirx.Ramp)), 1)
    return _zeros(str(load.source.ty.dtype), lanes)


def _zeros(dtype: str, lanes: int) -> Any:
    zero = tirx.const(0, dtype)
    return zero if lanes == 1 else tirx.Broadcast(zero, lanes)
