"""Reading an ONNX file and finding out what is wrong with it before an importer trips over it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import checker, external_data_helper, helper, inliner

from tvm_deconv.errors import ModelError

# Every ModelProto that a serializer writes begins with its field 1, the IR version.
_FIRST_BYTE = b"\x08"

# Operators of a foreign domain that TVM's importer knows by their bare name.
_KNOWN_DOMAINS = ("", "ai.onnx", "com.microsoft")


def read_proto(path: str | os.PathLike) -> onnx.ModelProto:
    """The model in an ONNX file, with the weights that lie in files beside it.

    Raises ModelError for a file that is missing, unreadable, not ONNX, damaged, or that refers to
    weights which are not there.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{file} does not exist") from error
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    if not data.startswith(_FIRST_BYTE):
        raise ModelError(f"{file} is not an ONNX model: give a file that an ONNX exporter wrote")
    try:
        proto = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelError(f"{file} is a damaged ONNX model: export or download it again") from error
    try:
        external_data_helper.load_external_data_for_model(proto, str(file.parent))
    except (OSError, ValueError, checker.ValidationError) as error:
        reason = first_line(error)
        raise ModelError(f"{file}: its external weights cannot be read: {reason}") from error
    return proto


def check_operators(proto: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with its own functions inlined, if TVM's importer has all of its operators.

    Raises ModelError for a model without a graph, and for operators that the importer does not
    have, all of them named. ``name`` stands in the messages.
    """
    if not proto.graph.node and not proto.graph.output:
        raise ModelError(f"{name} is not an ONNX model: it holds no graph")
    if proto.functions:
        proto = inliner.inline_local_functions(proto)
    missing = sorted({_spell(node) for node in _nodes(proto.graph) if not _is_known(node)})
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise ModelError(
            f"{name} uses operator{plural} {', '.join(missing)}, which TVM cannot import: "
            "export the model without"
        )
    _check_output_shapes(proto, name)
    return proto


def _check_output_shapes(proto: onnx.ModelProto, name: str) -> None:
    """TVM's importer ignores ``output_shape`` of ConvTranspose: it must say what the pads say."""
    nodes = [node for node in _nodes(proto.graph) if node.op_type == "ConvTranspose"]
    asked = {id(node): _attribute(node, "output_shape", None) for node in nodes}
    if not any(asked.values()):
        return
    shapes = tensor_sizes(proto, {})
    for node in nodes:
        wanted = asked[id(node)]
        if wanted and wanted != _padded_shape(node, shapes):
            raise ModelError(
                f"{name} has a ConvTranspose ({node.name or node.output[0]}) with output_shape "
                f"{wanted}, which TVM's importer ignores: export it with pads and output_padding"
            )


def tensor_sizes(
    proto: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]
) -> dict[str, list[int]]:
    """The dimensions of every tensor, 0 where not known; ``shapes`` fixes those of inputs."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(proto)
    for value in fixed.graph.input:
        dims = value.type.tensor_type.shape.dim
        for dim, size in zip(dims, shapes.get(value.name, ()), strict=False):
            dim.Clear()
            dim.dim_value = size
    graph = onnx.shape_inference.infer_shapes(fixed).graph
    sizes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    return sizes | {tensor.name: list(tensor.dims) for tensor in graph.initializer}


def _padded_shape(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> list[int] | None:
    """Spatial output shape by stride, pads and output padding; None if the input's is unknown."""
    size, kernel = (shapes.get(operand, [])[2:] for operand in node.input[:2])
    axes = len(size)
    if not axes or 0 in size or len(kernel) != axes:
        return None
    strides, dilations = (_attribute(node, key, [1] * axes) for key in ("strides", "dilations"))
    extra = _attribute(node, "output_padding", [0] * axes)
    pads = _attribute(node, "pads", [0] * (2 * axes))
    return [
        (size[i] - 1) * strides[i]
        + (kernel[i] - 1) * dilations[i]
        + 1
        + extra[i]
        - pads[i]
        - pads[i + axes]
        for i in range(axes)
    ]


def _attribute(node: onnx.NodeProto, key: str, default: Any) -> Any:
    found = [helper.get_attribute_value(a) for a in node.attribute if a.name == key]
    return found[0] if found else default


def defect(proto: onnx.ModelProto) -> str | None:
    """What onnx.checker objects to, in one line, or None.

    It is asked why a model could not be imported, not whether it may be: it objects to outputs
    without a shape, which many exporters write, which TVM does not need, and which would hide what
    is really wrong.
    """
    shaped = onnx.ModelProto()
    shaped.CopyFrom(proto)
    for value in (*shaped.graph.input, *shaped.graph.output):
        value.type.tensor_type.shape.SetInParent()
    try:
        checker.check_model(shaped)
    except (checker.ValidationError, ValueError) as error:
        return first_line(error)
    return None


def name_dimensions(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which every unknown input dimension has a name of its own.

    TVM's importer takes all unnamed dimensions for one and the same, so that a network with free
    height and width would only run on squares, and reads ``batch-size`` as a difference.
    """
    named = onnx.ModelProto()
    named.CopyFrom(proto)
    dims = [
        (f"{value.name}_{axis}", dim)
        for value in named.graph.input
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.dim_value
    ]
    words = {dim.dim_param for _, dim in dims if dim.dim_param.isidentifier()}
    for place, dim in dims:
        parts = [part for part in re.split(r"[-+*/ ]+", dim.dim_param) if part]
        if parts and all(part in words or part.isdigit() for part in parts):
            continue
        dim.dim_param = re.sub(r"\W", "_", dim.dim_param or place)
        if not dim.dim_param.isidentifier():
            dim.dim_param = f"n_{dim.dim_param}"
    return named


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)
            for body in attribute.graphs:
                yield from _nodes(body)


def _is_known(node: onnx.NodeProto) -> bool:
    return node.domain in _KNOWN_DOMAINS and node.op_type in _importable()


def _spell(node: onnx.NodeProto) -> str:
    return f"{node.domain}::{node.op_type}" if node.domain else node.op_type


@cache
def _importable() -> frozenset[str]:
    # TVM has no public list; this is the one that its importer itself looks into.
    from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map

    return frozenset(_get_convert_map()) | {"If", "Constant"}


def first_line(error: Exception) -> str:
    """What an exception says, on one line; its type where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
