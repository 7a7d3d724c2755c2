"""Stores of a loop nest that is written out: an output element and what is pointwise on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.algorithms.names import PHASES
from tvm_deconv.schedules.tir import edit


class Elements:
    """The elements that ``block`` stores, whose one load of sums is replaced.

    ``buffers`` are pairs of a buffer of the block and the one that stands for it.
    """

    def __init__(self, block: Any, buffers: Sequence[tuple[Any, Any]]) -> None:
        self.block, self.buffers = block, dict(buffers)

    def store(self, place: Sequence[Any], sums: Any) -> None:
        """The element at ``place`` (batch, channel, row, column), of the sum ``sums``."""
        at = edit.place_of(self.block, place)
        store = self.block.body

        def load(node: TensorLoad) -> Any:
            if node.source.name == PHASES:
                return sums
            indices = [edit.bind(i, at) for i in node.indices]
            return tirx.BufferLoad(self.buffers[node.source], indices)

        value = tvm_ffi.structural_map(store.value, (TensorLoad, load))
        value = edit.substitute(value, at)
        indices = [edit.bind(i, at) for i in store.indices]
        T.buffer_store(self.buffers[store.buffer], value, indices)
