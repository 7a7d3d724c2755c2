"""Translates an ONNX graph to TFLite: NHWC throughout, as its converters make it.

TFLite's paddings are "SAME" and "VALID" only. Where SAME pads otherwise than ONNX says, zeros are
padded before a convolution (XNNPACK takes both together) and the borders of a transposed
convolution are cut off behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .onnx_bytes import SCALES, take_quantization
from .onnx_graph import (
    Node,
    NotSupportedError,
    OnnxGraph,
    is_repeating,
    resize_factors,
    spatial_pads,
)
from .onnx_rewrites import as_users_write
from .tflite_bytes import in_bytes
from .tflite_file import Writer

Maker = Callable[["TfliteTranslation", Node, int], int]


def translate(graph: OnnxGraph) -> bytes:
    """The TFLite file of ``graph``, which is taken over; raises NotSupportedError.

    Of bytes where the graph has nodes that quantize.
    """
    ranges = take_quantization(graph)
    as_users_write(graph, "DCR")
    t = TfliteTranslation(graph)
    if not ranges:
        return t.writer.finish(t.given, t.results)
    known = {t.tensors[name]: one for name, one in ranges.items() if name in t.tensors}
    return in_bytes(t.writer, t.given, t.results, known, t.scales)


class TfliteTranslation:
    """Writes all nodes. Makers get the node and its first operand's tensor, NHWC.

    ``scales`` are those of weights that were integers, one for each output channel, by tensor.
    """

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.writer = Writer()
        self.scales: dict[int, np.ndarray] = {}
        self.tensors = {name: self.writer.tensor(self.shape(name)) for name in graph.inputs}
        self.given = list(self.tensors.values())
        for node in graph.nodes:
            if node.op not in MAKERS:
                raise node.refuse("our translation to TFLite lacks it")
            self.tensors[node.name] = MAKERS[node.op](self, node, self.operand(node.inputs[0]))
        self.results = [self.tensors[name] for name in graph.outputs]

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self.graph.shapes[name]
        if len(shape) != 4:
            raise NotSupportedError(f"{name} of shape {shape}: only NCHW has a translation")
        return (shape[0], *shape[2:], shape[1])

    def operand(self, name: str) -> int:
        if name not in self.tensors:
            value = self.graph.constants[name]
            self.tensors[name] = self.writer.constant(_nhwc(value))
        return self.tensors[name]

    def floats(self, value: Any) -> int:
        return self.writer.constant(np.asarray(value, np.float32))

    def weights(self, node: Node, value: np.ndarray) -> int:
        """The weights of a convolution in TFLite's order."""
        number, scales = self.floats(value), self.graph.constant(node, SCALES)
        if scales is not None:
            self.scales[number] = scales
        return number

    def integers(self, value: Any) -> int:
        return self.writer.constant(np.asarray(value, np.int32))


def _nhwc(value: np.ndarray) -> np.ndarray:
    """A constant that broadcasts against NCHW, for NHWC."""
    if value.size == 1:
        return value.reshape(())
    return value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(0, 2, 3, 1)


def _options(kind: str, **fields: Any) -> Any:
    options = getattr(schema, f"{kind}OptionsT")()
    for name, value in fields.items():
        setattr(options, name, value)
    return options


def _same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What SAME pads an axis of a convolution's operand: the odd one at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _conv(t: TfliteTranslation, node: Node, x: int) -> int:
    weight, bias = t.graph.weight(node, 1), t.graph.constant(node, 2)
    strides = node.attributes.get("strides", (1, 1))
    dilations = node.attributes.get("dilations", (1, 1))
    groups, channels = node.attributes.get("group", 1), t.graph.shapes[node.inputs[0]][1]
    size = t.graph.shapes[node.inputs[0]][2:]
    extents = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilations, strict=True)]
    pads = spatial_pads(node)
    same = tuple(_same_pads(*each) for each in zip(size, extents, strides, strict=True))
    if pads != same and any(map(any, pads)):
        x = _pad_zeros(t, x, node.inputs[0], pads)
    window = {
        "padding": schema.Padding.SAME if pads == same else schema.Padding.VALID,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilations[0],
        "dilationWFactor": dilations[1],
    }
    zeros = np.zeros(weight.shape[0], np.float32)
    last = t.floats(zeros if bias is None else bias)
    if groups == channels > 1:
        options = _options("DepthwiseConv2D", depthMultiplier=len(weight) // groups, **window)
        inputs = [x, t.weights(node, weight.transpose(1, 2, 3, 0)), last]
        return t.writer.operator("DEPTHWISE_CONV_2D", inputs, t.shape(node.name), options)
    inputs = [x, t.weights(node, weight.transpose(0, 2, 3, 1)), last]
    return t.writer.operator("CONV_2D", inputs, t.shape(node.name), _options("Conv2D", **window))


def _pad_zeros(t: TfliteTranslation, x: int, name: str, pads: tuple[tuple[int, int], ...]) -> int:
    n, h, w, c = t.shape(name)
    shape = (n, h + sum(pads[0]), w + sum(pads[1]), c)
    widths = t.integers([(0, 0), *pads, (0, 0)])
    return t.writer.operator("PAD", [x, widths], shape, _options("Pad"))


def _conv_transpose(t: TfliteTranslation, node: Node, x: int) -> int:
    weight, bias = t.graph.weight(node, 1), t.graph.constant(node, 2)
    if node.attributes.get("group", 1) != 1 or set(node.attributes.get("dilations", (1,))) != {1}:
        raise node.refuse("TFLite's transposed convolution has neither groups nor dilations")
    strides = node.attributes.get("strides", (1, 1))
    pads, size = spatial_pads(node), t.graph.shapes[node.inputs[0]][2:]
    n, *wanted, channels = t.shape(node.name)
    kernel = weight.shape[2:]
    same = tuple(_same_pads(*each) for each in zip(wanted, kernel, strides, strict=True))
    fits = all(-(-w // s) == i for w, s, i in zip(wanted, strides, size, strict=True))
    use_same = fits and all(p[0] == s[0] for p, s in zip(pads, same, strict=True))
    full = [(i - 1) * s + k for i, s, k in zip(size, strides, kernel, strict=True)]
    if not use_same and any(p[0] + w > f for p, w, f in zip(pads, wanted, full, strict=True)):
        raise node.refuse(f"output padding beyond the {full} pixels that the input reaches")
    shape = (n, *(wanted if use_same else full), channels)
    options = _options(
        "TransposeConv",
        padding=schema.Padding.SAME if use_same else schema.Padding.VALID,
        strideH=strides[0],
        strideW=strides[1],
    )
    inputs = [t.integers(shape), t.weights(node, weight.transpose(1, 2, 3, 0)), x]
    inputs.append(t.floats(np.zeros(channels) if bias is None else bias))
    y = t.writer.operator("TRANSPOSE_CONV", inputs, shape, options)
    if shape == t.shape(node.name):
        return y
    begin = t.integers([0, pads[0][0], pads[1][0], 0])
    cut = [y, begin, t.integers(t.shape(node.name))]
    return t.writer.operator("SLICE", cut, t.shape(node.name), _options("Slice"))


def _depth_to_space(t: TfliteTranslation, node: Node, x: int) -> int:
    """TFLite's order is DCR; CRD, where no convolution before it can be reordered, transposes."""
    r = node.attributes["blocksize"]
    if node.attributes.get("mode", "DCR") == "DCR":
        options = _options("DepthToSpace", blockSize=r)
        return t.writer.operator("DEPTH_TO_SPACE", [x], t.shape(node.name), options)
    n, h, w, c = t.shape(node.inputs[0])
    y = _reshape(t, x, (n * h, w, c // (r * r), r, r))
    shape = (n * h, r, w, r, c // (r * r))
    y = t.writer.operator(
        "TRANSPOSE", [y, t.integers((0, 3, 1, 4, 2))], shape, _options("Transpose")
    )
    return _reshape(t, y, t.shape(node.name))


def _resize(t: TfliteTranslation, node: Node, x: int) -> int:
    resize_factors(t.graph, node)
    shape = t.shape(node.name)
    inputs = [x, t.integers(shape[1:3])]
    if is_repeating(node):
        options = _options("ResizeNearestNeighbor")
        return t.writer.operator("RESIZE_NEAREST_NEIGHBOR", inputs, shape, options)
    half = node.attributes.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    if node.attributes.get("mode") != "linear" or not half:
        raise node.refuse(f"its modes {node.attributes}")
    options = _options("ResizeBilinear", halfPixelCenters=True)
    return t.writer.operator("RESIZE_BILINEAR", inputs, shape, options)


def _pad(t: TfliteTranslation, node: Node, x: int) -> int:
    pads, value = t.graph.weight(node, 1), t.graph.constant(node, 2)
    if len(pads) != 8 or (len(node.inputs) > 3 and node.inputs[3]):
        raise node.refuse("it pads other axes than N, C, H, W")
    order = [0, 2, 3, 1]
    inputs = [x, t.integers([(pads[axis], pads[axis + 4]) for axis in order])]
    mode, shape = node.attributes.get("mode", "constant"), t.shape(node.name)
    if mode == "reflect":
        options = _options("MirrorPad", mode=schema.MirrorPadMode.REFLECT)
        return t.writer.operator("MIRROR_PAD", inputs, shape, options)
    if mode != "constant" or (value is not None and value.item() != 0):
        raise node.refuse(f"mode {mode}")
    return t.writer.operator("PAD", inputs, shape, _options("Pad"))


def _clip(t: TfliteTranslation, node: Node, x: int) -> int:
    limits = (("MAXIMUM", t.graph.constant(node, 1)), ("MINIMUM", t.graph.constant(node, 2)))
    for operator, limit in limits:
        if limit is not None:
            inputs = [x, t.floats(limit)]
            x = t.writer.operator(operator, inputs, t.shape(node.name), _options("MaximumMinimum"))
    return x


def _prelu(t: TfliteTranslation, node: Node, x: int) -> int:
    channels = t.graph.shapes[node.inputs[0]][1]
    slopes = np.broadcast_to(t.graph.weight(node, 1).reshape(-1), channels)
    return t.writer.operator("PRELU", [x, t.floats(slopes.reshape(1, 1, -1))], t.shape(node.name))


def _instance_norm(t: TfliteTranslation, node: Node, x: int) -> int:
    scale, shift = t.graph.weight(node, 1), t.graph.weight(node, 2)
    epsilon = node.attributes.get("epsilon", 1e-5)
    return _normalized(t, x, t.shape(node.name), (1, 2), epsilon, scale, shift)


def _group_norm(t: TfliteTranslation, node: Node, x: int) -> int:
    """Over five axes: the channels of NHWC split into groups and the channels of each."""
    scale, shift = (t.graph.weight(node, i) for i in (1, 2))
    n, h, w, c = t.shape(node.name)
    split = (n, h, w, node.attributes["num_groups"], c // node.attributes["num_groups"])
    scale, shift = (each.reshape(split[3:]) for each in (scale, shift))
    y = _reshape(t, x, split)
    y = _normalized(t, y, split, (1, 2, 4), node.attributes["epsilon"], scale, shift)
    return _reshape(t, y, (n, h, w, c))


def _reshape(t: TfliteTranslation, x: int, shape: tuple[int, ...]) -> int:
    options = _options("Reshape", newShape=np.array(shape, np.int32))
    return t.writer.operator("RESHAPE", [x, t.integers(shape)], shape, options)


def _normalized(
    t: TfliteTranslation,
    x: int,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    epsilon: float,
    scale: np.ndarray,
    shift: np.ndarray,
) -> int:
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, mean and variance over ``axes``."""
    op = t.writer.operator
    small = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    over = t.integers(axes)
    mean = op("MEAN", [x, over], small, _options("Reducer", keepDims=True))
    squares = op("SQUARED_DIFFERENCE", [x, mean], shape, _options("SquaredDifference"))
    variance = op("MEAN", [squares, over], small, _options("Reducer", keepDims=True))
    variance = op("ADD", [variance, t.floats(epsilon)], small, _options("Add"))
    centred = op("SUB", [x, mean], shape, _options("Sub"))
    factor = op("RSQRT", [variance], small)
    y = op("MUL", [centred, factor], shape, _options("Mul"))
    y = op("MUL", [y, t.floats(scale)], shape, _options("Mul"))
    return op("ADD", [y, t.floats(shift)], shape, _options("Add"))


def _concat(t: TfliteTranslation, node: Node, x: int) -> int:
    if node.attributes["axis"] % 4 != 1:
        raise node.refuse(f"axis {node.attributes['axis']}, not the channels")
    inputs = [t.operand(name) for name in node.inputs]
    return t.writer.operator(
        "CONCATENATION", inputs, t.shape(node.name), _options("Concatenation", axis=3)
    )


def _leaky_relu(t: TfliteTranslation, node: Node, x: int) -> int:
    options = _options("LeakyRelu", alpha=node.attributes.get("alpha", 0.01))
    return t.writer.operator("LEAKY_RELU", [x], t.shape(node.name), options)


def _elu(t: TfliteTranslation, node: Node, x: int) -> int:
    if node.attributes.get("alpha", 1.0) != 1:
        raise node.refuse(f"alpha {node.attributes['alpha']}: TFLite has 1 only")
    return t.writer.operator("ELU", [x], t.shape(node.name))


def _silu(t: TfliteTranslation, node: Node, x: int) -> int:
    gate = t.writer.operator("LOGISTIC", [x], t.shape(node.name))
    return t.writer.operator("MUL", [x, gate], t.shape(node.name), _options("Mul"))


def _activation(operator: str) -> Maker:
    return lambda t, node, x: t.writer.operator(operator, [x], t.shape(node.name))


def _arithmetic(operator: str, kind: str) -> Maker:
    def make(t: TfliteTranslation, node: Node, x: int) -> int:
        inputs = [x, t.operand(node.inputs[1])]
        return t.writer.operator(operator, inputs, t.shape(node.name), _options(kind))

    return make


MAKERS: dict[str, Maker] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Resize": _resize,
    "Pad": _pad,
    "Clip": _clip,
    "PRelu": _prelu,
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "Silu": _silu,
    "Relu": _activation("RELU"),
    "Tanh": _activation("TANH"),
    "Sigmoid": _activation("LOGISTIC"),
    "InstanceNormalization": _instance_norm,
    "GroupNorm": _group_norm,
    "Concat": _concat,
    "Add": _arithmetic("ADD", "Add"),
    "Sub": _arithmetic("SUB", "Sub"),
    "Mul": _arithmetic("MUL", "Mul"),
    "Div": _arithmetic("DIV", "Div"),
}
