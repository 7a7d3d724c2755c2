"""The function of a depthwise layer of bytes and small maps, written out statement by statement.

    parallel over pictures, runs of channels:
        copy the run's maps, which lie side by side
        for channel of the run:
            the map and the border as one vector; its bytes in the order of the words (``planes``)
            for output channel of the group: sums of words; scale, round, clip, interleave; store
        copy the run's outputs, which lie side by side, too

Both copies are there because a vector of a map has bytes of the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.integer.kernel import Dim
from tvm_deconv.schedules.cpu.integer.products import add_products, weights_of
from tvm_deconv.schedules.cpu.integer.storing import Total, flat
from tvm_deconv.schedules.cpu.integer.writer import Writer
from tvm_deconv.schedules.tir.edit import index, ramp, shuffle
from tvm_deconv.schedules.tir.writing import named, places, to_the_end

from .planes import MOST_SAMPLES, VECTOR, PlanesInteger


def write_planes(kernel: PlanesInteger, shape: Sequence[Dim]) -> tirx.PrimFunc:
    """The function of the arguments that ``schedules.cpu.integer.write`` lists."""
    return _Writer(kernel, [index(dim) for dim in shape]).write()


class _Writer(Writer):
    def __init__(self, kernel: PlanesInteger, shape: list[Any]) -> None:
        super().__init__(kernel, shape, kernel.op.out_channels)
        self.size = int(shape[2]), int(shape[3])
        self.samples = self.size[0] * self.size[1]
        self.outputs = int(self.rows_out) * int(self.columns_out)

    def _strips(self) -> None:
        k, op = self.k, self.k.op
        batch, planes, each = self.shape[0], k.tile.planes, op.group_outputs
        source = self.given.source
        x = flat(source.x, batch * (op.in_channels * self.samples))
        result = self.given.result.flat(batch * (op.out_channels * self.outputs))
        runs = -(-op.in_channels // planes)
        with T.parallel(index(0), batch * runs) as piece:
            picture = named(piece // runs)
            first = named(piece % runs * planes)
            count = named(tirx.min(index(planes), op.in_channels - first))
            maps = T.alloc_buffer((index(planes * self.samples + VECTOR),), "int8")
            made = T.alloc_buffer((index(planes * each * self.outputs + VECTOR),), k.store.dtype)
            begin = named((picture * op.in_channels + first) * self.samples)

            def copy_in(at: Any, lanes: int) -> None:
                value = source.as_words(x[places(begin + at, lanes)], lanes)
                T.buffer_store(maps, value, [places(at, lanes)])

            to_the_end(count * self.samples, VECTOR, copy_in)
            with T.serial(index(0), count) as of_run:
                self._map(maps, made, of_run, named(first + of_run))
            to = named((picture * op.out_channels + first * each) * self.outputs)

            def copy_out(at: Any, lanes: int) -> None:
                result.write(made[places(at, lanes)], [places(to + at, lanes)], lanes)

            own = VECTOR if k.store.sum is None else self.lanes
            to_the_end(count * (each * self.outputs), own, copy_out)

    def _map(self, maps: Any, made: Any, of_run: Any, channel: Any) -> None:
        """All outputs of an input channel, the number ``of_run`` of the run."""
        k, op, lanes, group = self.k, self.k.op, self.lanes, self.k.dot.group
        samples = maps[ramp(of_run * self.samples, VECTOR)]
        border = tirx.Broadcast(tirx.Cast("int8", self.given.source.points[index(0)]), VECTOR)
        order = [i if i < MOST_SAMPLES else VECTOR for i in range(VECTOR)]
        both = T.bind(shuffle([samples, border], order))
        kind = f"int32x{lanes}"
        words = {
            at: T.bind(tirx.reinterpret(kind, shuffle([both], k.order(*at, self.size))))
            for at in product(range(k.words_of_channel), range(group))
        }
        with T.serial(index(0), index(op.group_outputs)) as output:
            number = named(channel * op.group_outputs + output)
            count = k.words_of_channel
            loaded = weights_of(k.dot, self.given.words, named(number * count), count)
            weights = [T.bind(weight) for weight in loaded]

            def vector(buffer: Any) -> Any:
                return self._parameter(buffer, number)

            totals: list[Total] = []
            for turn in range(group):
                total = tirx.Broadcast(self.given.offsets[number], lanes)
                for word, weight in enumerate(weights):
                    total = add_products(k.dot, total, words[word, turn], weight)
                totals.append((T.bind(total), vector))
            ((_, values),) = self.given.of_store.stored_rows([totals], k.dot)
            at = (of_run * op.group_outputs + output) * self.outputs
            T.buffer_store(made, values, [ramp(at, VECTOR)])
