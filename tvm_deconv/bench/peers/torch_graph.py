"""A PyTorch module that computes an ONNX graph, with the layers that a PyTorch user would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .onnx_graph import (
    Node,
    NotSupportedError,
    OnnxGraph,
    is_repeating,
    resize_factors,
    spatial_pads,
)
from .onnx_rewrites import as_users_write

# Makes what computes the node, from its first operands: their number is the second result.
Maker = Callable[[OnnxGraph, Node], tuple[Callable[..., Tensor], int]]
MAKERS: dict[str, Maker] = {}


class OnnxModule(nn.Module):
    """Takes over ``graph``; raises NotSupportedError for operators that are not in ``MAKERS``."""

    def __init__(self, graph: OnnxGraph) -> None:
        super().__init__()
        as_users_write(graph, "CRD")
        self._given, self._results = graph.inputs, graph.outputs
        self._steps: list[tuple[Callable[..., Tensor], list[str], str]] = []
        for node in graph.nodes:
            if node.op not in MAKERS:
                raise NotSupportedError(f"{node.op} {node.name}: PyTorch's translation lacks it")
            function, operands = MAKERS[node.op](graph, node)
            if isinstance(function, nn.Module):
                self.add_module(f"{node.op.lower()}_{len(self._steps)}", function)
            names = node.inputs[:operands]
            for name in names:
                if name in graph.constants and not hasattr(self, f"constant_{name}"):
                    self.register_buffer(f"constant_{name}", _tensor(graph.constants[name]))
            self._steps.append((function, names, node.name))

    def forward(self, *xs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """All results in the order of the graph; a single one is no tuple."""
        values = dict(zip(self._given, xs, strict=True))
        for function, names, result in self._steps:
            operands = [
                values[name] if name in values else getattr(self, f"constant_{name}")
                for name in names
            ]
            values[result] = function(*operands)
        results = tuple(values[name] for name in self._results)
        return results if len(results) > 1 else results[0]


def _tensor(value: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(value))


def _parameter(value: np.ndarray) -> nn.Parameter:
    return nn.Parameter(_tensor(value), requires_grad=False)


def _maker(*ops: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        MAKERS.update(dict.fromkeys(ops, maker))
        return maker

    return register


def _window(node: Node, weight: np.ndarray) -> dict[str, Any]:
    """What nn.Conv2d and nn.ConvTranspose2d call alike; padding is not among it."""
    if weight.ndim != 4:
        raise node.refuse(f"{weight.ndim - 2} spatial dimensions, not 2")
    return {
        "kernel_size": weight.shape[2:],
        "stride": tuple(node.attributes.get("strides", (1, 1))),
        "dilation": tuple(node.attributes.get("dilations", (1, 1))),
        "groups": node.attributes.get("group", 1),
    }


def _with_weights(module: Any, graph: OnnxGraph, node: Node) -> nn.Module:
    module.weight = _parameter(graph.weight(node, 1))
    bias = graph.constant(node, 2)
    module.bias = None if bias is None else _parameter(bias)
    return module


@_maker("Conv")
def _conv(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    weight = graph.weight(node, 1)
    (top, bottom), (left, right) = spatial_pads(node)
    even = top == bottom and left == right
    window = _window(node, weight)
    conv = nn.Conv2d(
        weight.shape[1] * window["groups"],
        weight.shape[0],
        padding=(top, left) if even else 0,
        **window,
    )
    layer = _with_weights(conv, graph, node)
    return layer if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), layer), 1


@_maker("ConvTranspose")
def _conv_transpose(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    """PyTorch has one padding for both ends; what ONNX keeps at the end is output padding to it."""
    weight = graph.weight(node, 1)
    pads = spatial_pads(node)
    extra = node.attributes.get("output_padding", (0, 0))
    window = _window(node, weight)
    if "output_shape" in node.attributes:
        raise node.refuse("output_shape: write the pads out")
    more = tuple(begin - end + e for (begin, end), e in zip(pads, extra, strict=True))
    if any(not 0 <= m < s for m, s in zip(more, window["stride"], strict=True)):
        raise node.refuse(f"pads {pads} with output padding {extra} are not an output padding")
    conv = nn.ConvTranspose2d(
        weight.shape[0],
        weight.shape[1] * window["groups"],
        padding=(pads[0][0], pads[1][0]),
        output_padding=more,
        **window,
    )
    return _with_weights(conv, graph, node), 1


@_maker("DepthToSpace")
def _depth_to_space(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    r = node.attributes["blocksize"]
    if node.attributes.get("mode", "DCR") == "CRD":
        return nn.PixelShuffle(r), 1
    n, c, h, w = graph.shapes[node.inputs[0]]

    def shuffle(x: Tensor) -> Tensor:
        y = x.reshape(n, r, r, c // (r * r), h, w).permute(0, 3, 4, 1, 5, 2)
        return y.reshape(n, c // (r * r), h * r, w * r)

    return shuffle, 1


@_maker("Resize")
def _resize(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    factors = resize_factors(graph, node)
    if is_repeating(node):
        return nn.Upsample(scale_factor=factors, mode="nearest"), 1
    corners = {"half_pixel": False, "pytorch_half_pixel": False, "align_corners": True}.get(
        node.attributes.get("coordinate_transformation_mode", "half_pixel")
    )
    if node.attributes.get("mode") != "linear" or corners is None:
        raise node.refuse(f"its modes {node.attributes}")
    return nn.Upsample(scale_factor=factors, mode="bilinear", align_corners=corners), 1


@_maker("Pad")
def _pad(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    pads = graph.weight(node, 1)
    rank = len(pads) // 2
    axes = len(node.inputs) > 3 and node.inputs[3]
    if axes or pads[: rank - 2].any() or pads[rank:-2].any():
        raise node.refuse("it pads more than height and width")
    value = graph.constant(node, 2)
    modes = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}
    mode = modes.get(node.attributes.get("mode", "constant"))
    if mode is None:
        raise node.refuse(f"mode {node.attributes['mode']}")
    widths = [int(pads[i]) for i in (rank - 1, -1, rank - 2, -2)]
    fill = None if value is None or mode != "constant" else float(value.item())
    return lambda x: F.pad(x, widths, mode, fill), 1


@_maker("PRelu")
def _prelu(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    slope = graph.weight(node, 1)
    channels = graph.shapes[node.inputs[0]][1]
    if slope.size != 1 and slope.shape[-3:] != (channels, 1, 1):
        raise node.refuse(f"slopes of shape {slope.shape}, not one for each of {channels} channels")
    module = nn.PReLU(slope.size)
    module.weight = _parameter(slope.reshape(-1))
    return module, 1


@_maker("Clip")
def _clip(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    low, high = (graph.constant(node, i) for i in (1, 2))
    limits = [None if v is None else float(v) for v in (low, high)]
    return lambda x: torch.clamp(x, *limits), 1


@_maker("BatchNormalization")
def _batch_norm(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    scale, shift, mean, variance = (graph.weight(node, i) for i in (1, 2, 3, 4))
    module = nn.BatchNorm2d(len(scale), eps=node.attributes.get("epsilon", 1e-5))
    module.weight, module.bias = _parameter(scale), _parameter(shift)
    module.running_mean, module.running_var = _tensor(mean), _tensor(variance)
    return module, 1


@_maker("InstanceNormalization")
def _instance_norm(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    scale, shift = graph.weight(node, 1), graph.weight(node, 2)
    rank = len(graph.shapes[node.inputs[0]])
    kind = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d}[rank]
    module = kind(len(scale), eps=node.attributes.get("epsilon", 1e-5), affine=True)
    module.weight, module.bias = _parameter(scale), _parameter(shift)
    return module, 1


@_maker("GroupNorm")
def _group_norm(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    scale, shift = graph.weight(node, 1), graph.weight(node, 2)
    module = nn.GroupNorm(node.attributes["num_groups"], len(scale), node.attributes["epsilon"])
    module.weight, module.bias = _parameter(scale), _parameter(shift)
    return module, 1


@_maker("Reshape", "Flatten")
def _reshape(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    shape = graph.shapes[node.name]
    return lambda x: x.reshape(shape), 1


@_maker("Transpose")
def _transpose(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    rank = len(graph.shapes[node.inputs[0]])
    order = node.attributes.get("perm", tuple(reversed(range(rank))))
    return lambda x: x.permute(*order), 1


@_maker("Gemm")
def _gemm(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    given = {**{"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}, **node.attributes}
    if (given["alpha"], given["beta"], given["transA"]) != (1.0, 1.0, 0):
        raise node.refuse("alpha, beta or transA")
    weight, bias = graph.weight(node, 1), graph.constant(node, 2)
    weight = weight if given["transB"] else weight.T
    module = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    module.weight = _parameter(weight)
    if bias is not None:
        module.bias = _parameter(np.broadcast_to(bias, weight.shape[:1]))
    return module, 1


@_maker("MaxPool", "AveragePool")
def _pool(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    (top, bottom), (left, right) = spatial_pads(node)
    if (top, left) != (bottom, right) or node.attributes.get("ceil_mode", 0):
        raise node.refuse("uneven pads or ceil_mode")
    window = (node.attributes["kernel_shape"], node.attributes.get("strides", (1, 1)), (top, left))
    if node.op == "MaxPool":
        return nn.MaxPool2d(*window), 1
    include = bool(node.attributes.get("count_include_pad", 0))
    return nn.AvgPool2d(*window, count_include_pad=include), 1


@_maker("Concat")
def _concat(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    axis = node.attributes["axis"]
    return lambda *xs: torch.cat(xs, axis), len(node.inputs)


@_maker("Softmax")
def _softmax(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    return nn.Softmax(node.attributes.get("axis", -1)), 1


@_maker("LeakyRelu")
def _leaky_relu(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    return nn.LeakyReLU(node.attributes.get("alpha", 0.01)), 1


@_maker("Elu")
def _elu(graph: OnnxGraph, node: Node) -> tuple[Callable[..., Tensor], int]:
    return nn.ELU(node.attributes.get("alpha", 1.0)), 1


def _simple(op: str, make: Callable[[], Callable[..., Tensor]], operands: int) -> None:
    MAKERS[op] = lambda graph, node: (make(), operands)


_simple("Relu", nn.ReLU, 1)
_simple("Silu", nn.SiLU, 1)
_simple("Tanh", nn.Tanh, 1)
_simple("Sigmoid", nn.Sigmoid, 1)
_simple("GlobalAveragePool", lambda: nn.AdaptiveAvgPool2d(1), 1)
_simple("Identity", lambda: lambda x: x, 1)
_simple("Sqrt", lambda: torch.sqrt, 1)
_simple("Add", lambda: torch.add, 2)
_simple("Sub", lambda: torch.sub, 2)
_simple("Mul", lambda: torch.mul, 2)
_simple("Div", lambda: torch.div, 2)
_simple("MatMul", lambda: torch.matmul, 2)
