"""PyTorch's ways to write a module down: two exporters of ONNX, and exported programs."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import onnx
import torch
from torch import Tensor, nn

# Of each input the free axes: a name, and how many times that. None: all sizes are fixed.
Axes = Sequence[dict[int, tuple[str, int]]] | None
Exporter = Callable[[nn.Module, tuple[Tensor, ...], Axes], Any]


def legacy(opset: int, module: nn.Module, inputs: tuple[Tensor, ...], free: Axes) -> Any:
    """``torch.onnx.export`` by tracing, as nearly all files that there are were made."""
    names, file = [f"x{i}" for i in range(len(inputs))], io.BytesIO()
    called = [{axis: f"{n}_{times}" for axis, (n, times) in axes.items()} for axes in free or ()]
    torch.onnx.export(
        module,
        inputs,
        file,
        dynamo=False,
        opset_version=opset,
        input_names=names,
        dynamic_axes=dict(zip(names, called, strict=True)) if free else None,
    )
    return onnx.load_from_string(file.getvalue())


def dynamo(opset: int, module: nn.Module, inputs: tuple[Tensor, ...], free: Axes) -> Any:
    """``torch.onnx.export`` through ``torch.export``: PyTorch's default. Needs ``onnxscript``."""
    program = torch.onnx.export(
        module,
        inputs,
        dynamo=True,
        verbose=False,
        opset_version=opset,
        dynamic_shapes=_dynamic(free),
    )
    return program.model_proto


def program(decomposed: bool, module: nn.Module, inputs: tuple[Tensor, ...], free: Axes) -> Any:
    """``torch.export``; ``decomposed``: to the core operators."""
    found = torch.export.export(module, inputs, dynamic_shapes=_dynamic(free), strict=False)
    return found.run_decompositions() if decomposed else found


def _dynamic(free: Axes) -> Any:
    """Sizes that have to stay free: AUTO would let PyTorch fix those that a module fixes.

    That one size is a multiple of another PyTorch finds out; that there are only multiples of
    something, it wants to be told.
    """
    if not free:
        return None
    whole = {name for axes in free for name, times in axes.values() if times == 1}

    def size(name: str, times: int) -> Any:
        dim = torch.export.Dim
        return dim.DYNAMIC if name in whole else times * dim(name, min=2, max=1024)

    return tuple({axis: size(*called) for axis, called in axes.items()} for axes in free)


EXPORTERS: dict[str, Exporter] = {
    **{f"ONNX by tracing, opset {n}": partial(legacy, n) for n in (11, 17, 20)},
    **{f"ONNX by dynamo, opset {n}": partial(dynamo, n) for n in (18, 20)},
    "torch.export": partial(program, False),
    "torch.export, decomposed": partial(program, True),
}
