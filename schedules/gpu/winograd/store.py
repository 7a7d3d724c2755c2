"""Have the loop nest over the output run tile by tile.

A tile's outputs are a run that begins some outputs before a multiple of its size (``begin_earlier``
of ``tile``). No split of a loop gives such runs, and TVM's bounds of what a thread reads
would not be exact if one did.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Range, TensorLoad

from tvm_deconv.schedules.algorithms.names import OUTPUTS
from tvm_deconv.schedules.cpu.winograd.axis import WinogradAxis
from tvm_deconv.schedules.gpu.domain import tiles_of
from tvm_deconv.schedules.tir import edit

from .tile import GpuLayout, begin_earlier


class _Run:
    """One axis of the output in three loops: the tile, an output of it of each phase, a phase."""

    def __init__(self, axis: WinogradAxis, loop: tirx.For, names: tuple[str, str, str]) -> None:
        self.axis, self.size, self.more = axis, loop.extent, begin_earlier(axis.axis)
        self.dtype = str(loop.loop_var.ty.dtype)
        number = tiles_of(self._plain(loop.extent) + self.more, axis.outputs * axis.axis.stride)
        self.extents = [number, axis.outputs, axis.axis.stride]
        self.loops = [
            edit.loop(name, self.dtype, extent, tirx.ForKind.SERIAL)
            for name, extent in zip(names, self.extents, strict=True)
        ]
        self.places = [
            tirx.IterVar(Range(0, loop.extent), tirx.Var("v_" + name, self.dtype), 0)
            for name, loop in zip(names, self.loops, strict=True)
        ]

    @staticmethod
    def _plain(size: Any) -> Any:
        return int(size) if isinstance(size, tirx.IntImm) else size

    def output(self, tile: Any, index: Any, phase: Any) -> Any:
        """The row or column of the output."""
        return (tile * self.axis.outputs + index) * self.axis.axis.stride + phase - self.more

    @property
    def inside(self) -> list[Any]:
        at = self.output(*(place.var for place in self.places))
        return [at >= 0, at < self.size]


def by_tiles(func: tirx.PrimFunc, store: str, layout: GpuLayout) -> tirx.PrimFunc:
    """Replace the loops over rows and columns of the output by loops over tiles and in them.

    for n, c, oh, ow: store[n, c, oh, ow] = ... outputs[..., oh and ow taken apart]
    => for n, c, ty, i, fh, tx, j, fw: if it is inside:
           store[n, c, (ty*m + i)*r + fh - more, ...] = ... outputs[n, g, o, fh, fw, i, j, ty, tx]
    """
    realize = edit.find_block(func.body, store)
    *outer, oh, ow = edit.loops_to(func.body, realize)
    runs = _Run(layout.h, oh, ("ty", "i", "fh")), _Run(layout.w, ow, ("tx", "j", "fw"))
    block = realize.block
    *kept, row, column = block.iter_vars
    places = [[place.var for place in run.places] for run in runs]
    moved = {
        var.var: run.output(*place)
        for var, run, place in zip((row, column), runs, places, strict=True)
    }
    (ty, i, fh), (tx, j, fw) = places
    (outputs,) = (region for region in block.reads if region.source.name == OUTPUTS)

    def place_of(load: TensorLoad) -> list[Any]:
        return [*load.indices[:3], fh, fw, i, j, ty, tx]

    reads = []

    def load(node: TensorLoad) -> Any:
        if not node.source.same_as(outputs.source):
            return node
        reads.append(edit.element(node.source, place_of(node), outputs.ty))
        return tirx.BufferLoad(node.source, place_of(node))

    def variable(node: tirx.Var) -> Any:
        return moved.get(node, node)

    def mapped(node: Any) -> Any:
        return tvm_ffi.structural_map(node, (tirx.Var, variable))

    body = mapped(tvm_ffi.structural_map(block.body, (TensorLoad, load)))
    others = [mapped(r) for r in block.reads if not r.source.same_as(outputs.source)]
    inner = [loop for run in runs for loop in run.loops]
    changed = edit.with_block(
        realize,
        iter_values=[*realize.iter_values[:-2], *(loop.loop_var for loop in inner)],
        iter_vars=[*kept, *(place for run in runs for place in run.places)],
        reads=[*reads, *others],
        writes=[mapped(region) for region in block.writes],
        # In the body, because TVM reorders no loops around a test that begins above 0.
        body=tirx.IfThenElse(tirx.all(*(one for run in runs for one in run.inside)), body, None),
    )
    nest = edit.rebuild([*outer, *inner], changed)

    def replace(node: tirx.For) -> Any:
        return nest if node.loop_var.same_as(outer[0].loop_var) else node

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.For, replace), order="pre"))
