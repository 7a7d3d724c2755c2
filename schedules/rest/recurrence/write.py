"""The loop over time of an LSTM, a GRU or a plain recurrent layer, as one function.

What inputs contribute to the gates is one product of matrices for all steps, computed before. What
is left of each step is a product of the state with the recurrent weights, and the gates::

    for piece in parallel(directions, groups of rows of the batch):
        for step:
            for block of gates: sums[row, gate, unit] = state[row] * weights[gate, unit]
            for vector of units: state, cell = gates(sums + inputs[step])

Vectors hold hidden units. The weights stream through the sums in the order of their use
(``Packing``), once for the rows of a group. Where there is one piece only, the blocks of a step go
to the threads instead, if they are long enough to wake them for.

Formulas: the ONNX standard, operators LSTM, GRU and RNN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.writing import argument, broadcast, in_halves, places

from .activations import Activation, activated
from .layer import SUMS, Packing, Phase, Recurrence
from .units import Units

# Multiply-adds of a step from which on the threads share it: they are woken in every step, which
# takes one to two microseconds.
_SHARED_MULTIPLY_ADDS = 1 << 17


class Writer:
    """Writes the function; one use each."""

    def __init__(
        self, layer: Recurrence, lanes: int, rows: int, threads: int, packed: bool
    ) -> None:
        self.layer, self.lanes, self.rows, self.threads = layer, lanes, rows, threads
        self.is_packed = packed
        self.directions, self.hidden = len(layer.reverse), layer.hidden
        together = [layer.order]
        if layer.kind == "GRU" and not layer.resets_after:
            together = ["zr", "h"]
        phases = [self._phase(gates) for gates in together]
        self.packing = Packing(layer, lanes, tuple(phases))
        self.padded = max(phase.blocks * phase.vectors * lanes for phase in phases)

    def _phase(self, gates: str) -> Phase:
        whole = -(-self.hidden // self.lanes)
        vectors = min(whole, max(1, SUMS // len(gates)))
        return Phase(gates, vectors, -(-whole // vectors))

    def write(self) -> tirx.PrimFunc:
        layer, hidden = self.layer, self.hidden
        steps, batch = tirx.Var("steps", "int64"), tirx.Var("rows", "int64")
        self.steps, self.batch = steps, batch
        directions, width = self.directions, layer.gates * hidden
        kind = layer.dtype
        with IRBuilder() as builder, T.prim_func(s_tir=True):
            T.func_attr({"tirx.noalias": True})
            self.inputs = argument("inputs", (steps, batch, directions, width), kind)
            shape = [directions, width, hidden]
            if self.is_packed:
                shape = [directions * self.packing.step]
            weights = argument("weights", shape, kind)
            self.first = argument("first_state", (directions, batch, hidden), kind)
            if layer.has_cell:
                self.first_cell = argument("first_cell", (directions, batch, hidden), kind)
            if layer.resets_after:
                self.bias = argument("bias", (directions, hidden), kind)
            if layer.peepholes:
                self.peepholes = argument("peepholes", (directions, 3 * hidden), kind)
            if layer.lengths:
                self.lengths = argument("lengths", (batch,), "int32")
            self.states = argument("states", (steps, directions, batch, hidden), kind)
            self.last = argument("last_state", (directions, batch, hidden), kind)
            if layer.has_cell:
                self.last_cell = argument("last_cell", (directions, batch, hidden), kind)
            self._body(weights)
        return builder.get()

    def _body(self, weights: Any) -> None:
        self.weights = weights if self.is_packed else self._pack(weights)
        groups = tirx.ceildiv(self.batch, index(self.rows))
        with T.If(self.batch * self.directions > 1):
            with T.Then(), T.parallel(index(0), groups * self.directions) as piece:
                self._piece(T.bind(piece // groups), T.bind(piece % groups), self.rows, False)
            with T.Else():
                self._piece(index(0), index(0), 1, True)

    def _pack(self, weights: Any) -> Any:
        """The weights as ``Packing`` has them, copied when the function is called."""
        hidden, order, lanes = self.hidden, self.layer.order, self.lanes
        size = self.directions * self.packing.step
        packed = T.alloc_buffer((index(size),), self.layer.dtype)
        with T.serial(index(0), index(self.directions)) as direction:
            start = direction * self.packing.step
            for phase in self.packing.phases:
                width, count = phase.vectors * lanes, len(phase.gates)
                for g, gate in enumerate(phase.gates):
                    with (
                        T.serial(index(0), index(phase.blocks * width)) as unit,
                        T.serial(index(0), index(hidden)) as k,
                    ):
                        at = ((unit // width * hidden + k) * count + g) * width + unit % width
                        row = order.index(gate) * hidden + tirx.min(unit, index(hidden - 1))
                        T.buffer_store(packed, weights[direction, row, k], [start + at])
                start = start + self.packing.size(phase)
        return packed

    def _piece(self, direction: Any, group: Any, rows: int, is_alone: bool) -> None:
        """All steps of ``rows`` rows in one direction; a row beyond the last is the last again."""
        layer, kind = self.layer, self.layer.dtype
        self.direction, self.count = direction, rows
        self.row = [T.bind(tirx.min(group * rows + r, self.batch - 1)) for r in range(rows)]
        size = index(rows * self.padded)
        self.state = T.alloc_buffer((size,), kind)
        self.sums = T.alloc_buffer((index(rows * layer.gates * self.padded),), kind)
        if layer.has_cell:
            self.cell = T.alloc_buffer((size,), kind)
        if len(self.packing.phases) > 1:
            self.reset = T.alloc_buffer((size,), kind)
        self._all_rows(self._first_values)
        steps = self.steps
        if layer.lengths:
            length = self.lengths[self.row[0]].astype("int64")
            steps = T.bind(tirx.max(index(0), tirx.min(length, self.steps)))
        with T.serial(index(0), steps) as step:
            self._step(T.bind(self._time(step, steps)), is_alone)
        self._all_rows(self._last_values)
        if layer.lengths:
            with T.serial(index(0), self.steps - steps) as rest:
                self._in_vectors(lambda at, lanes: self._no_state(steps + rest, at, lanes))

    def _time(self, step: Any, steps: Any) -> Any:
        """Of the inputs, which a direction goes through from the end."""
        backwards = steps - 1 - step
        if self.directions == 1:
            return backwards if self.layer.reverse[0] else step
        return tirx.if_then_else(self.direction == 0, step, backwards)

    def _in_vectors(self, do: Callable[[Any, int], None]) -> None:
        """``do(first unit, lanes)`` for all units."""
        whole = self.hidden // self.lanes
        with T.serial(index(0), index(whole)) as vector:
            do(vector * self.lanes, self.lanes)
        for done, lanes in in_halves(self.hidden % self.lanes, self.lanes):
            do(index(whole * self.lanes + done), lanes)

    def _all_rows(self, do: Callable[[int, Any, int], None]) -> None:
        """``do(row, first unit, lanes)`` for all units of all rows."""
        for r in range(self.count):
            self._in_vectors(partial(do, r))

    def _first_values(self, r: int, at: Any, lanes: int) -> None:
        for own, given in self._carried("first"):
            value = given[self.direction, self.row[r], places(at, lanes)]
            T.buffer_store(own, value, [places(r * self.padded + at, lanes)])

    def _last_values(self, r: int, at: Any, lanes: int) -> None:
        for own, given in self._carried("last"):
            place = [self.direction, self.row[r], places(at, lanes)]
            T.buffer_store(given, own[places(r * self.padded + at, lanes)], place)

    def _carried(self, which: str) -> list[tuple[Any, Any]]:
        """What a step hands to the next, and the argument with its ``first`` or ``last`` value."""
        pairs = [(self.state, self.first if which == "first" else self.last)]
        if self.layer.has_cell:
            pairs.append((self.cell, self.first_cell if which == "first" else self.last_cell))
        return pairs

    def _no_state(self, time: Any, at: Any, lanes: int) -> None:
        zeros = broadcast(tirx.const(0, self.layer.dtype), lanes)
        place = [time, self.direction, self.row[0], places(at, lanes)]
        T.buffer_store(self.states, zeros, place)

    def _step(self, time: Any, is_alone: bool) -> None:
        self.time = time
        start = self.direction * self.packing.step
        for number, phase in enumerate(self.packing.phases):
            self._product(phase, start, self.reset if number else self.state, is_alone)
            start = start + self.packing.size(phase)
            if len(self.packing.phases) > 1 and not number:
                self._units(self._reset_gates)
        self._units({"LSTM": self._lstm, "GRU": self._gru, "RNN": self._rnn}[self.layer.kind])

    def _product(self, phase: Phase, start: Any, state: Any, is_alone: bool) -> None:
        """The sums of the phase's gates for all units."""
        work = len(phase.gates) * self.hidden * self.hidden
        is_shared = is_alone and self.threads > 1 and phase.blocks > 1
        many = T.parallel if is_shared and work >= _SHARED_MULTIPLY_ADDS else T.serial
        width, count = phase.vectors * self.lanes, len(phase.gates)
        kind, hidden, lanes = self.layer.dtype, self.hidden, self.lanes
        with many(index(0), index(phase.blocks)) as block:
            size = self.count * count * width
            sums = T.alloc_buffer((index(size),), kind, scope="local")
            every = [places(i * lanes, lanes) for i in range(size // lanes)]
            for place in every:
                T.buffer_store(sums, broadcast(tirx.const(0, kind), lanes), [place])
            begin = T.bind(start + block * (hidden * count * width))
            with T.serial(index(0), index(hidden)) as k:
                first = begin + k * (count * width)
                loads = [
                    T.bind(self.weights[places(first + i * lanes, lanes)])
                    for i in range(count * phase.vectors)
                ]
                for r in range(self.count):
                    factor = T.bind(broadcast(state[r * self.padded + k], lanes))
                    own = every[r * len(loads) : (r + 1) * len(loads)]
                    for place, load in zip(own, loads, strict=True):
                        T.buffer_store(sums, sums[place] + factor * load, [place])
            for r in range(self.count):
                for g, gate in enumerate(phase.gates):
                    for v in range(phase.vectors):
                        value = sums[every[(r * count + g) * phase.vectors + v]]
                        at = self.place(r, gate, block * width + v * lanes)
                        T.buffer_store(self.sums, value, [places(at, lanes)])

    def place(self, r: int, gate: str, unit: Any) -> Any:
        """Of a gate's value among the sums."""
        return (r * self.layer.gates + self.layer.order.index(gate)) * self.padded + unit

    def _units(self, do: Callable[[Units, tuple[Activation, ...]], None]) -> None:
        """``do`` for all vectors of units, with the activations of the direction."""

        def of_direction(own: tuple[Activation, ...]) -> None:
            self._all_rows(lambda r, at, lanes: do(Units(self, r, at, lanes), own))

        first, *others = self.layer.activations
        if not others or others[0] == first:
            of_direction(first)
            return
        with T.If(self.direction == 0):
            with T.Then():
                of_direction(first)
            with T.Else():
                of_direction(others[0])

    def _lstm(self, units: Units, functions: Sequence[Activation]) -> None:
        f, g, h = functions
        units.activate("i", f, units.own_input, units.peephole(0))
        if self.layer.couples:
            units.store("f", lambda lane: 1 - units.gate("i", lane))
        else:
            units.activate("f", f, units.own_input, units.peephole(2))
        units.activate("c", g, units.own_input)
        units.store_cell(
            lambda lane: (
                units.gate("f", lane) * units.cell(lane)
                + units.gate("i", lane) * units.gate("c", lane)
            )
        )
        units.activate("o", f, units.own_input, units.peephole(1))
        units.store("c", lambda lane: activated(h, units.cell(lane)))
        units.store_state(lambda lane: units.gate("o", lane) * units.gate("c", lane))

    def _reset_gates(self, units: Units, functions: Sequence[Activation]) -> None:
        units.activate("r", functions[0], units.own_input)
        units.store_reset(lambda lane: units.gate("r", lane) * units.state(lane))

    def _gru(self, units: Units, functions: Sequence[Activation]) -> None:
        f, g = functions
        units.activate("z", f, units.own_input)
        if self.layer.resets_after:
            units.activate("r", f, units.own_input)
            units.store(
                "h", lambda lane: units.gate("r", lane) * (units.gate("h", lane) + units.bias(lane))
            )
        units.activate("h", g, units.own_input)
        units.store_state(
            lambda lane: (
                (1 - units.gate("z", lane)) * units.gate("h", lane)
                + units.gate("z", lane) * units.state(lane)
            )
        )

    def _rnn(self, units: Units, functions: Sequence[Activation]) -> None:
        units.activate("h", functions[0], units.own_input)
        units.store_state(lambda lane: units.gate("h", lane))
