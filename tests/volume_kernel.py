"""Compiles a layer over volumes in Winograd's form and compares it with PyTorch in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import tvm
from kernel import HOST, compile_quickly
from tvm import te

from tvm_deconv.algebra.volumes import ConvTranspose3d, Stack
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.cpu.winograd.variant import WINOGRAD
from tvm_deconv.schedules.tir.stacks import of_stack, on_volumes


def expected_volume(volume: ConvTranspose3d, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    axes = (volume.d, volume.h, volume.w)
    y = torch.nn.functional.conv_transpose3d(
        torch.from_numpy(x.astype("float64")),
        torch.from_numpy(weight.astype("float64")),
        stride=[axis.stride for axis in axes],
        dilation=[axis.dilation for axis in axes],
        groups=volume.groups,
    ).numpy()
    y = np.pad(y, [(0, 0), (0, 0), *((0, axis.output_padding) for axis in axes)])
    for at, axis in enumerate(axes, start=2):
        y = y.take(range(axis.pad_begin, y.shape[at] - axis.pad_end), at)
    return y


def function(stack: Stack, shape: tuple[int, ...], tile: WinogradTile, dtype: str = "float32"):
    """The scheduled kernel of one phase of the depth, for volumes of ``shape`` (N, D, H, W)."""
    n, depth, height, width = shape
    conv = stack.conv_of(depth, height)
    picture = (n, conv.in_channels, stack.height(depth, height), width)
    x = te.placeholder(picture, dtype, "x")
    packed = te.placeholder(WINOGRAD.packed_shape(conv, tile), "float32", "packed")
    y = WINOGRAD.compute(conv, tile, x, packed)
    func = te.create_prim_func([x, packed, y], index_dtype_override="int64")
    func = func.with_attr("tirx.noalias", True).with_attr("global_symbol", "main")
    func = WINOGRAD.schedule(of_stack(func), conv, tile)
    return on_volumes(func, stack, (n, stack.volume.in_channels, depth, height, width), [])


def relative_error(
    volume: ConvTranspose3d, shape: tuple[int, ...], tile: WinogradTile, dtype: str = "float32"
) -> float:
    """Largest error over the largest output, for volumes of ``shape`` (N, D, H, W).

    Phases of one tap along the depth have kernels for pictures.
    """
    n, *size = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, volume.in_channels, *size)).astype(dtype)
    taps = [axis.kernel for axis in (volume.d, volume.h, volume.w)]
    weight = rng.standard_normal((volume.in_channels, volume.out_channels // volume.groups, *taps))
    weight = weight.astype("float32")
    expected = expected_volume(volume, x, weight)
    y = tvm.runtime.tensor(np.full(volume.output_shape(n, *size), np.nan, dtype))
    for stack in volume.stacks():
        if stack.slices(size[0]) > 0:
            conv = stack.conv_of(*size[:2])
            own = tile if conv.slices else replace(tile, depth=(0, 0))
            built = compile_quickly(function(stack, shape, own, dtype), HOST)
            packed = WINOGRAD.pack_weights(stack.weights(weight), conv, own)
            built["main"](tvm.runtime.tensor(x), tvm.runtime.tensor(packed), y)
    return float(np.abs(y.numpy() - expected).max() / np.abs(expected).max())
