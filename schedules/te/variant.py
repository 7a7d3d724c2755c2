"""A variant as TE schedules it: an algorithm's packing, parameters and cost, with another nest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.variant import Algorithm, Sizes, Variant


def te_variant(
    algorithm: Algorithm,
    compute: Callable[[ConvTranspose2d, Tiling, Any, Any], Any],
    schedule: Callable[[Any, ConvTranspose2d, Tiling, tuple[int, ...]], Any],
    *,
    whole_tiles: bool = True,
) -> Variant:
    """``algorithm`` with the ``compute`` and ``schedule`` given.

    ``schedule(out, conv, parameters, shape)`` gives a ``te.Schedule`` for an input of ``shape``.
    ``whole_tiles`` says that the channels of a group have to be whole tiles where there are several
    groups: a tile that reaches into the next group has no region that TE could infer.
    """

    def choose(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Tiling:
        tile = algorithm.choose(conv, sizes, machine)
        if conv.groups == 1 or not whole_tiles:
            return tile
        outputs = conv.group_outputs
        channels = next(n for n in range(tile.channels, 0, -1) if outputs % n == 0)
        splits = next(n for n in range(tile.channel_splits, 0, -1) if outputs // channels % n == 0)
        return replace(tile, channels=channels, channel_splits=splits)

    values = {field.name: getattr(algorithm, field.name) for field in fields(algorithm)}
    values |= {"choose": choose, "compute": compute}
    return Variant(**values, schedule=schedule)
