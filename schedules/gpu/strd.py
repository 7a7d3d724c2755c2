"""STRD on a GPU: insert zeros, then convolve with stride 1.

The stages are those of the CPU's form, and after the insertion this is ``revd2`` of a layer with
stride 1, with ``dilate`` in the place of ``pad``: the input with zeros between its samples and
around them. A block row or column of the tile is an output row or column. All products with
inserted zeros are computed, so this does s_h * s_w times the work of the others.
"""

from __future__ import annotations

from functools import lru_cache

from tvm import te, tirx

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Packing
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import DILATE
from tvm_deconv.schedules.cpu.definitions import strd as cpu
from tvm_deconv.schedules.typical import GPU_SIZE
from tvm_deconv.schedules.variant import Sizes, Variant

from . import revd2
from .domain import domain_of
from .form import GpuForm
from .machine import GpuMachine
from .model import choose_tile, kernel_cycles
from .space import TileSpace
from .tile import GpuTile


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> GpuTile:
    """The tile of fewest estimated cycles over the dilated map."""
    return choose_tile(GpuForm(cpu.dense(conv), _dilated_sizes(conv, sizes), 1), machine)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine) -> float:
    """Estimated clock cycles of the kernel, products with inserted zeros included."""
    return kernel_cycles(cpu.dense(conv), _dilated_sizes(conv, sizes), tile, machine, phases=1)


def _dilated_sizes(conv: ConvTranspose2d, sizes: Sizes) -> Sizes:
    """Those of the dilated map; a size that is not known is a typical one, dilated as well."""
    known = Sizes(sizes.batch, sizes.height or GPU_SIZE, sizes.width or GPU_SIZE)
    return cpu.dilated_sizes(conv, known)


def packing(conv: ConvTranspose2d, tile: GpuTile) -> Packing:
    """That of ``revd2`` over the dilated map, which has one phase."""
    return revd2.packing(cpu.dense(conv), tile)


def compute(conv: ConvTranspose2d, tile: GpuTile, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    flat, shape = cpu.dense(conv), cpu.dilated_shape(conv, stages.shape_of(x))
    dilate = cpu.dilated(conv, domain_of(flat, tile, shape), x)
    return revd2.sums_of(flat, tile, shape, x.dtype, dilate, packed)


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile) -> tirx.PrimFunc:
    """The loop nest of ``revd2``, for a function made of ``compute`` and pointwise consumers."""
    return revd2.schedule(func, cpu.dense(conv), tile, pad=DILATE)


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d, sizes: Sizes) -> GpuForm:
    return GpuForm(cpu.dense(conv), cpu.dilated_sizes(conv, sizes), 1)


SPACE = TileSpace(_form)

STRD = Variant(
    name="strd",
    summary="zeros inserted between the input samples, then a stride-1 convolution",
    parameters=GpuTile,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
    weight_dtype=revd2.weight_dtype,
)
