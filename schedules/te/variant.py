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
    schedule: Callable[..., Any],
    *,
    whole_tiles: bool = True,
) -> Variant:
    """``algorithm`` with the ``compute`` and ``schedule`` given.

    ``schedule(out, conv, parameters, shape, layout)`` gives a ``te.Schedule`` for an input of
    ``shape`` (NCHW). ``compute`` takes and gives NCHW; where the tensors of the kernel are NHWC,
    ``layout`` says so, and ``layouts`` makes what it takes and turns what it gives.

    Where there are several groups, none of a thread's channels may lie beyond its group: TE could
    infer no region for them. ``whole_tiles`` says that a variant stores the channels of one tile
    at a time, which therefore have to divide those of a group.
    """

    def choose(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Tiling:
        tile = algorithm.choose(conv, sizes, machine)
        if _stays_in_group(conv, tile, whole_tiles):
            return tile
        outputs, channels = conv.group_outputs, tile.channels
        if whole_tiles:
            channels = next(n for n in range(channels, 0, -1) if outputs % n == 0)
        return replace(tile, channels=channels, channel_splits=1)

    def channels_refusal(conv: ConvTranspose2d, tile: Tiling) -> str | None:
        found = space.channels_refusal(conv, tile)
        if found is None and not _stays_in_group(conv, tile, whole_tiles):
            return f"tiles of {tile.channels} channels reach beyond a group of {conv.group_outputs}"
        return found

    space: Any = algorithm.space
    values = {field.name: getattr(algorithm, field.name) for field in fields(algorithm)}
    values |= {
        "choose": choose,
        "compute": compute,
        "space": replace(space, channels_refusal=channels_refusal),
    }
    return Variant(**values, schedule=schedule)


def _stays_in_group(conv: ConvTranspose2d, tile: Tiling, whole_tiles: bool) -> bool:
    whole = conv.group_outputs % tile.channels == 0
    return conv.groups == 1 or whole or (tile.channel_splits == 1 and not whole_tiles)
