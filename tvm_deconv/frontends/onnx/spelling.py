"""What the standard lets a file spell in several ways, and the reader in one."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from .nodes import STANDARD, all_nodes, bodies

_PLAIN, *_OTHERS = STANDARD


def respelled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the standard's domain by its short name, and free sizes without a number.

    ``ai.onnx`` is the domain that most files leave empty; -1 is a free size in files of older
    exporters (PaddlePaddle's), and to ONNX Runtime. The model itself is not changed.
    """
    if not any(True for _ in _domains(model)) and not any(True for _ in _unknown(model)):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for holder in _domains(copy):
        holder.domain = _PLAIN
    for dim in _unknown(copy):
        dim.ClearField("dim_value")
    return copy


def _domains(model: onnx.ModelProto) -> Iterator[onnx.NodeProto | onnx.OperatorSetIdProto]:
    """Whatever names the standard's domain by another of its names."""
    nodes = list(all_nodes(model.graph))
    opsets = list(model.opset_import)
    for function in model.functions:
        opsets += function.opset_import
        for node in function.node:
            nodes.append(node)
            for body in bodies(node):
                nodes += all_nodes(body)
    for holder in (*opsets, *nodes):
        if holder.domain in _OTHERS:
            yield holder


def _unknown(model: onnx.ModelProto) -> Iterator[onnx.TensorShapeProto.Dimension]:
    """Sizes of -1 of inputs and outputs."""
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.HasField("dim_value") and dim.dim_value == -1:
                yield dim
