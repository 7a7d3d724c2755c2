"""A network of QuantizeLinear and DequantizeLinear with ``Quant`` nodes of qonnx in their place."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

DOMAIN = "qonnx.custom_op.general"


def with_quant_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with one node for each tensor of one scale that is quantized and only read back."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    results = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in graph.node:
        back = readers.get(node.output[0], [])
        operands = [constants.get(name) for name in node.input[1:]]
        if node.op_type == "DequantizeLinear" and node.output[0] in renamed:
            continue
        is_read_back = (
            node.op_type == "QuantizeLinear"
            and not results & {node.output[0], *(reader.output[0] for reader in back)}
            and all(o is not None and o.size == 1 for o in operands)
            and all(reader.op_type == "DequantizeLinear" for reader in back)
            and all(list(reader.input[1:]) == list(node.input[1:]) for reader in back)
        )
        if back and is_read_back:
            zero = operands[1] if len(operands) > 1 else np.uint8(0)
            numbers = [operands[0], zero, 8]
            names = [f"{node.output[0]}:{i}" for i in range(3)]
            graph.initializer.extend(
                numpy_helper.from_array(np.asarray(value, "float32"), name)
                for name, value in zip(names, numbers, strict=True)
            )
            signed = int(zero.dtype == np.int8)
            output = f"{node.output[0]}:real"
            kept.append(
                helper.make_node(
                    "Quant", [node.input[0], *names], [output], domain=DOMAIN, signed=signed
                )
            )
            renamed |= {reader.output[0]: output for reader in back}
        else:
            kept.append(node)
    for node in kept:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(nodes)
    made.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return made
