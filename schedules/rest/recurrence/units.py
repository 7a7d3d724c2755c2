"""What a step does to a vector of hidden units: values by the lane, and their stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.writing import lane_by_lane, places

from .activations import Activation, activated


class Units:
    """A vector of hidden units of row ``r`` of a ``Writer``.

    Each function of a lane goes into a loop of lanes, which becomes one vector.
    """

    def __init__(self, writer: Any, r: int, first: Any, lanes: int) -> None:
        self.w, self.r, self.first, self.lanes = writer, r, first, lanes

    def gate(self, gate: str, lane: Any) -> Any:
        return self.w.sums[self.w.place(self.r, gate, self.first + lane)]

    def own_input(self, gate: str, lane: Any) -> Any:
        w = self.w
        column = w.layer.order.index(gate) * w.hidden + self.first + lane
        return w.inputs[w.time, w.row[self.r], w.direction, column]

    def peephole(self, place: int) -> Callable[[Any], Any] | None:
        """The part of the cell in a gate, whose weights are the ``place``-th of i, o and f."""
        w = self.w
        if not w.layer.peepholes:
            return None
        return lambda lane: (
            w.peepholes[w.direction, place * w.hidden + self.first + lane] * self.cell(lane)
        )

    def bias(self, lane: Any) -> Any:
        return self.w.bias[self.w.direction, self.first + lane]

    def state(self, lane: Any) -> Any:
        return self.w.state[self._own(lane)]

    def cell(self, lane: Any) -> Any:
        return self.w.cell[self._own(lane)]

    def _own(self, lane: Any) -> Any:
        return self.r * self.w.padded + self.first + lane

    def activate(
        self,
        gate: str,
        function: Activation,
        own_input: Callable[[str, Any], Any],
        more: Callable[[Any], Any] | None = None,
    ) -> None:
        """The gate's value of its sum, ``own_input`` and ``more``."""
        clip = self.w.layer.clip

        def value(lane: Any) -> Any:
            x = self.gate(gate, lane) + own_input(gate, lane)
            if more is not None:
                x = x + more(lane)
            if clip:
                bound = tirx.const(clip, self.w.layer.dtype)
                x = tirx.min(bound, tirx.max(0 - bound, x))
            return activated(function, x)

        self.store(gate, value)

    def store(self, gate: str, value: Callable[[Any], Any]) -> None:
        lane_by_lane(
            self.lanes,
            lambda lane: T.buffer_store(
                self.w.sums, value(lane), [self.w.place(self.r, gate, self.first + lane)]
            ),
        )

    def store_cell(self, value: Callable[[Any], Any]) -> None:
        self._store(self.w.cell, value)

    def store_reset(self, value: Callable[[Any], Any]) -> None:
        self._store(self.w.reset, value)

    def store_state(self, value: Callable[[Any], Any]) -> None:
        self._store(self.w.state, value)
        w = self.w
        at = places(self.first, self.lanes)
        vector = w.state[places(self.r * w.padded + self.first, self.lanes)]
        T.buffer_store(w.states, vector, [w.time, w.direction, w.row[self.r], at])

    def _store(self, buffer: Any, value: Callable[[Any], Any]) -> None:
        lane_by_lane(
            self.lanes, lambda lane: T.buffer_store(buffer, value(lane), [self._own(lane)])
        )
