"""Has ncnn compute convolutions in bytes: the scales that its tool ncnn2int8 would write.

A layer with the parameter 8 reads a scale for each output channel and one for its input behind
its weights and bias, and makes integers of all of them; with 100 more it reads a scale for its
output, too, which then is bytes. Only Convolution and ConvolutionDepthWise know that, and zero
points are not there: a range is from -m to m.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .onnx_bytes import SCALES, ByteRange
from .onnx_graph import NotSupportedError, OnnxGraph

# Of layers whose weights have a scale for each output channel.
_TERMS = {"Convolution": 2, "ConvolutionDepthWise": 1}
_STORES_BYTES = 100


def write_scales(
    param: Path, weights: Path, graph: OnnxGraph, ranges: Mapping[str, ByteRange]
) -> list[str]:
    """Change the files that pnnx made of ``graph``; remarks.

    Raises NotSupportedError where there is no layer that could be of bytes, or one is not found.
    """
    lines = [line.split() for line in param.read_text().splitlines()]
    layers = [line for line in lines if line[0] in _TERMS]
    convs = [node for node in graph.nodes if node.op == "Conv"]
    if len(layers) != len(convs):
        raise NotSupportedError(f"pnnx made {len(layers)} convolutions of {len(convs)}")
    inputs: dict[str, float] = {}  # of blobs that layers of bytes read, the scale
    content, at, scales = weights.read_bytes(), 0, []
    for line, node in zip(layers, convs, strict=True):
        values = [graph.weight(node, 1), graph.constant(node, 2)]
        own = np.ascontiguousarray(values[0]).tobytes()
        at = content.find(own, at)
        if at < 0:
            raise NotSupportedError(f"pnnx changed the weights of {node.name}")
        at += len(own) + (0 if values[1] is None else values[1].nbytes)
        channels, known = graph.constant(node, SCALES), ranges.get(node.inputs[0])
        if channels is None or known is None or _is_grouped(line):
            continue
        inputs[_blobs(line)[0][0]] = 127 / max(map(abs, known.bounds))
        scales.append((line, at, 1 / channels))
    if not scales:
        raise NotSupportedError("ncnn computes convolutions in bytes, and here is none")
    for line, place, of_weights in reversed(scales):
        (x,), (y,) = _blobs(line)
        readers = [other for other in lines if len(other) > 2 and y in _blobs(other)[0]]
        stores = len(readers) == 1 and y in inputs
        term = _TERMS[line[0]] + _STORES_BYTES * stores
        line.append(f"8={term}")
        more = np.array([*of_weights, inputs[x], *([inputs[y]] if stores else [])], np.float32)
        content = content[:place] + more.tobytes() + content[place:]
    param.write_text("".join(f"{' '.join(line)}\n" for line in lines))
    weights.write_bytes(content)
    others = sum(node.op == "ConvTranspose" for node in graph.nodes)
    left = [f"{others} transposed convolutions in float32"] if others else []
    return [f"{len(scales)} of {len(convs)} convolutions in bytes", *left]


def _blobs(line: list[str]) -> tuple[list[str], list[str]]:
    """What a layer reads and computes."""
    count, made = int(line[2]), int(line[3])
    return line[4 : 4 + count], line[4 + count : 4 + count + made]


def _is_grouped(line: list[str]) -> bool:
    """Whether a group has several output channels, for which ncnn has one scale."""
    given = dict(field.split("=") for field in line if "=" in field)
    return given.get("7", given["0"]) != given["0"] and line[0] == "ConvolutionDepthWise"
