"""Architectures in the structure of their papers, small and with random weights.

The networks of ``tvm_deconv.workloads`` are ONNX graphs of ours, and nothing in them is what an
exporter makes of a module. Here the modules are what is tried, so they are written as their authors
write them: sizes taken from tensors, paddings computed, blocks in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

# A size is a number, or free: a name of it and how many times that.
Size = int | tuple[str, int]
N, H, W = ("n", 1), ("h", 1), ("w", 1)
_SPATIAL = ("h", "w", "t")


@dataclass(frozen=True)
class Architecture:
    """``inputs`` are shapes; ``sizes`` are what the free ones are in each of three runs.

    The first is what an export with fixed sizes has. One with free sizes is made at the second,
    whose batch is not 1: PyTorch takes a size of 1 for one that is always 1. ``seed`` is that of
    the weights.
    """

    make: Callable[[], nn.Module]
    inputs: tuple[tuple[Size, ...], ...]
    sizes: tuple[Mapping[str, int], ...]
    seed: int = 1

    def module(self) -> nn.Module:
        """The module with weights that let every layer be seen in the result."""
        torch.manual_seed(self.seed)
        return randomised(self.make()).eval()

    def feed(self, number: int) -> tuple[torch.Tensor, ...]:
        """Inputs of the sizes of this number."""
        torch.manual_seed(100 + number)
        sizes = self.sizes[number]
        shapes = [
            [size if isinstance(size, int) else sizes[size[0]] * size[1] for size in shape]
            for shape in self.inputs
        ]
        return tuple(torch.rand(shape) for shape in shapes)

    def larger(self, factor: int) -> Architecture:
        """The same at pictures, or lengths, ``factor`` times as large."""
        sizes = tuple(
            {name: size * (factor if name in _SPATIAL else 1) for name, size in given.items()}
            for given in self.sizes
        )
        return replace(self, sizes=sizes)

    def free(self) -> list[dict[int, tuple[str, int]]]:
        """Of each input the axes that are free: a name, and how many times that."""
        return [
            {axis: size for axis, size in enumerate(shape) if not isinstance(size, int)}
            for shape in self.inputs
        ]


def randomised(module: nn.Module) -> nn.Module:
    """Weights that keep a signal's magnitude, and statistics and scales that are not 0 and 1."""
    for name, parameter in module.named_parameters():
        with torch.no_grad():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
            elif name.endswith("bias"):
                nn.init.uniform_(parameter, -0.1, 0.3)
            elif parameter.numel() > 1:
                nn.init.uniform_(parameter, 0.5, 1.5)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            nn.init.uniform_(buffer, -0.2, 0.2)
        elif name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 1.5)
    return module


def image(channels: int, *sizes: tuple[int, int, int]) -> dict:
    """Arguments of an ``Architecture`` with one image of free batch, height and width."""
    return {
        "inputs": ((N, channels, H, W),),
        "sizes": tuple({"n": n, "h": h, "w": w} for n, h, w in sizes),
    }
