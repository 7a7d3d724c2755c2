"""The search space of Winograd's form on a GPU: that of its products, and the outputs of a tile."""

from __future__ import annotations

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.winograd import MAX_PLANE_POINTS
from tvm_deconv.schedules.costs import Cost
from tvm_deconv.schedules.gpu import revd2
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.tile import READ, SHARED
from tvm_deconv.schedules.variant import Sizes

from .tile import GpuLayout, GpuWinogradTile

# The products are those of this variant for a layer with a kernel of 1.
_PRODUCTS = revd2.SPACE


class GpuWinogradSpace:
    """The space of ``GpuWinogradTile``: that of its products, and the outputs of a tile."""

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: GpuWinogradTile, machine: GpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field, those of ``outputs`` as ``outputs_h`` and ``outputs_w``.

        ``own`` is the tile that the variant chooses itself.
        """
        layout = GpuLayout(conv, own)
        values = _PRODUCTS.fields(layout.matrix, layout.matrix_sizes(sizes), None, machine)
        staged = values["stage_input"] & {READ, SHARED}
        outputs = (range(2, MAX_PLANE_POINTS + 2 - axis.max_taps) for axis in (conv.h, conv.w))
        most = {
            name: set(one) for name, one in zip(("outputs_h", "outputs_w"), outputs, strict=True)
        }
        return {**values, **most, "stage_input": staged}

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: GpuWinogradTile, machine: GpuMachine
    ) -> str | None:
        """Why the device or the schedule cannot do a tile, in words; None if they can."""
        for name, axis, outputs in zip(("h", "w"), (conv.h, conv.w), tile.outputs, strict=True):
            points = outputs + axis.max_taps - 1
            if outputs < 2 or points > MAX_PLANE_POINTS:
                most = MAX_PLANE_POINTS
                return f"outputs_{name} {outputs} needs {points} points: at least 2, and {most}"
        if tile.stage_input not in (READ, SHARED):
            return f"unknown staging {tile.stage_input}: the transform is in global memory already"
        layout = GpuLayout(conv, tile)
        return _PRODUCTS.refusal(layout.matrix, layout.matrix_sizes(sizes), tile.products, machine)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: GpuWinogradTile, machine: GpuMachine
    ) -> list[Cost]:
        """What a tile costs; the list is as long for every tile of a layer."""
        layout = GpuLayout(conv, tile)
        costs = _PRODUCTS.costs(layout.matrix, layout.matrix_sizes(sizes), tile.products, machine)
        # A thread of the first kernel has the inputs of a tile and half of their transform.
        return [*costs, Cost("registers of a transform", 2 * layout.points, machine.registers)]
