"""Each operator that the installed package onnx knows is imported, or refused by node and name."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from onnx import AttributeProto, TensorProto, defs, helper

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

SCHEMAS = sorted(defs.get_all_schemas(), key=lambda schema: (schema.domain, schema.name))

# What the node of a schema gets for an attribute that it requires.
VALUES = {
    AttributeProto.FLOAT: 1.0,
    AttributeProto.FLOATS: [1.0],
    AttributeProto.GRAPH: helper.make_graph([], "body", [], []),
    AttributeProto.INT: 1,
    AttributeProto.INTS: [1],
    AttributeProto.STRING: "x",
    AttributeProto.STRINGS: ["x"],
    AttributeProto.TENSOR: helper.make_tensor("t", TensorProto.FLOAT, [1], [1.0]),
}
TYPES = {
    "float": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
    "int8": TensorProto.INT8,
    "uint8": TensorProto.UINT8,
    "string": TensorProto.STRING,
}


def elements(schema: defs.OpSchema, kind: str) -> int | None:
    """An element type that an input takes; None where it takes no tensors."""
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    taken = set(allowed.get(kind, [kind]))
    return next((number for name, number in TYPES.items() if f"tensor({name})" in taken), None)


def model_of(schema: defs.OpSchema) -> onnx.ModelProto | None:
    """The shortest node of an operator, on inputs of free sizes; None where it takes no tensors."""
    count = max(schema.min_input, min(1, len(schema.inputs)))
    formal = [schema.inputs[min(i, len(schema.inputs) - 1)] for i in range(count)]
    kinds = [elements(schema, one.type_str) for one in formal]
    if None in kinds:
        return None
    options: dict[str, Any] = {
        name: VALUES[attribute.type.value]
        for name, attribute in schema.attributes.items()
        if attribute.required
    }
    names = [f"x{i}" for i in range(count)]
    outputs = [f"y{i}" for i in range(max(schema.min_output, 1))]
    node = helper.make_node(
        schema.name, names, outputs, name="one", domain=schema.domain, **options
    )
    graph = helper.make_graph(
        [node],
        "net",
        [
            helper.make_tensor_value_info(name, kind, ["n", 3, "h", "w"])
            for name, kind in zip(names, kinds, strict=True)
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
    )
    opsets = [helper.make_opsetid("", defs.onnx_opset_version())]
    if schema.domain:
        opsets.append(helper.make_opsetid(schema.domain, schema.since_version))
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda s: f"{s.domain}::{s.name}".lstrip(":"))
def test_an_operator_is_imported_or_refused_by_node_and_name(schema):
    model = model_of(schema)
    if model is None:
        pytest.skip("it takes no tensors")
    try:
        load(model)
    except ModelError as error:
        operator = f"{schema.domain}::{schema.name}".lstrip(":")
        # Of one that is written out by others, it is one of these at the node.
        named = (f"{operator} 'one' (opset", f" 'one/{operator}")
        assert any(words in str(error) for words in named), str(error)
        assert "\n" not in str(error)
