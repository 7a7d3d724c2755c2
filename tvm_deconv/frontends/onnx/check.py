"""What may be wrong with a model as a whole, before any operator of it is looked at.

``onnx.checker`` knows the standard's grammar: names, types, attributes of each operator. What it
does not hold a model to, and ONNX Runtime does, is checked here, and what it would say in the words
of a parser. Rules of single operators are in ``rules``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, checker, defs, helper

from tvm_deconv.errors import ModelError, first_line

from .nodes import (
    STANDARD,
    all_nodes,
    bodies,
    describe,
    label,
    opset_for,
    opset_of,
    read_weights,
    reads,
    words,
)

# Tensors of more bytes are left out where the checker and shape inference get a copy of the model.
_SMALL = 4096

# Operators that newer versions of ``onnx`` call deprecated in the opset that brought them, though
# exporters write them and ONNX Runtime runs them. In a domain of their own they are not checked.
_DEPRECATED = frozenset({"GroupNormalization"})
_UNCHECKED = "unchecked"


def _types(names: str) -> frozenset[int]:
    return frozenset(getattr(TensorProto, name) for name in words(names))


# Types of elements that TVM computes with.
COMPUTED = _types("FLOAT FLOAT16 DOUBLE BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64")
# Weights may be stored in these, too. What is computed in them is not rounded to them in a kernel
# that computes more.
_STORED = COMPUTED | _types("BFLOAT16 FLOAT8E4M3FN FLOAT8E5M2 INT4 UINT4")


def check_model(model: onnx.ModelProto, name: str, shaped: Container[str]) -> None:
    """Raise ModelError for a model that the standard or ONNX Runtime refuses.

    ``shaped`` are the inputs whose declared shape does not matter. The nodes may be in any order;
    ``sorted_nodes`` brings them into one that computes.
    """
    graph = model.graph
    if not graph.node and not graph.output:
        raise ModelError(f"{name} is not an ONNX model: it holds no graph")
    if not graph.output:
        raise ModelError(f"{name} has no outputs: nothing of it is to be computed")
    newest = defs.onnx_opset_version()
    if opset_of(model) > newest:
        raise ModelError(
            f"{name} is of opset {opset_of(model)}, the package onnx here knows {newest}: update it"
        )
    if opset_of(model) < 1:
        raise ModelError(f"{name} is of opset {opset_of(model)}: the standard begins with 1")
    if model.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"{name} is of IR version {model.ir_version}, the package onnx here knows"
            f" {onnx.IR_VERSION}: update it"
        )
    for tensor in read_weights(graph):
        _check_tensor(tensor, name)
    _check_names(graph, name, opset_of(model))
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name not in weights:
            _check_input(value, name, value.name in shaped)
    for value in graph.output:
        # Without any type it has that of what computes it.
        if value.type.HasField("tensor_type"):
            element = value.type.tensor_type.elem_type
            _check_type(element, f"{name}: output {value.name!r}", COMPUTED)
    _check_grammar(model, name)


def check_text(model: onnx.ModelProto, name: str) -> None:
    """Raise ModelError for names that are no readable text, as flipped bits make them.

    Protobuf hands out text that is not UTF-8 as bytes.
    """
    graphs = [model.graph, *(body for node in all_nodes(model.graph) for body in bodies(node))]
    nodes = list(all_nodes(model.graph))
    nodes += [node for function in model.functions for node in function.node]
    texts = [opset.domain for opset in model.opset_import]
    texts += [f.name for f in model.functions] + [f.domain for f in model.functions]
    for graph in graphs:
        texts += [v.name for v in (*graph.input, *graph.output, *graph.initializer)]
    for node in nodes:
        texts += [node.op_type, node.domain, node.name, *node.input, *node.output]
        texts += [attribute.name for attribute in node.attribute]
    strange = next((t for t in texts if not (isinstance(t, str) and t.isprintable())), None)
    if strange is not None:
        raise ModelError(f"{name} is a damaged ONNX model: it holds the name {strange!r}")


def check_computed(node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], where: str) -> None:
    """Raise ModelError for a node that computes a tensor of a type that TVM does not compute with.

    ``types`` are known by the names of tensors, ``where`` is what the message begins with.
    """
    for key in node.output:
        element = types[key].tensor_type.elem_type if key in types else 0
        if element:
            _check_type(element, f"{where}: its output {key!r}", COMPUTED)


def sorted_nodes(
    nodes: Sequence[onnx.NodeProto], known: Iterable[str], name: str
) -> list[onnx.NodeProto]:
    """The nodes, each after those whose outputs it reads; the given order where that is one.

    ``known`` are the names of inputs and weights.

    Raises ModelError for nodes that wait for each other, and for a name that nothing makes.
    """
    known = set(known)
    made = {output for node in nodes for output in node.output}
    done: list[onnx.NodeProto] = []
    waiting = list(nodes)
    while waiting:
        later = []
        for node in waiting:
            missing = reads(node) - known
            if missing:
                unmade = sorted(missing - made)
                if unmade:
                    raise ModelError(
                        f"{name} is a damaged ONNX model: {node.op_type} {label(node)!r} reads "
                        f"{unmade[0]!r}, which nothing makes"
                    )
                later.append(node)
                continue
            done.append(node)
            known.update(node.output)
        if len(later) == len(waiting):
            circle = ", ".join(repr(label(node)) for node in later[:4])
            raise ModelError(f"{name} is a damaged ONNX model: {circle} wait for each other")
        waiting = later
    return done


def light_copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large weights are inputs, and every input and output has a type and a shape.

    The checker objects to outputs without, which many exporters write and nothing needs, and
    cannot take models of over 2 GB.
    """
    light = onnx.ModelProto()
    graph = model.graph
    # Before 4 weights have to stand among the inputs, too, which nobody holds a file to.
    light.ir_version = min(max(model.ir_version, 4), onnx.IR_VERSION)
    light.opset_import.extend(model.opset_import)
    light.graph.name = graph.name or "graph"
    light.graph.node.extend(graph.node)
    for node in light.graph.node:
        is_deprecated = node.op_type in _DEPRECATED and node.domain in STANDARD
        if is_deprecated or opset_for(node, opset_of(model)) > opset_of(model):
            node.domain = _UNCHECKED
    # Optimizers forget to import the domains of the operators that they put in.
    imported = {opset.domain for opset in model.opset_import} | set(STANDARD)
    for domain in {node.domain for node in all_nodes(light.graph)} - imported:
        light.opset_import.add(domain=domain, version=1)
    light.graph.input.extend(graph.input)
    inputs = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if tensor.ByteSize() <= _SMALL:
            light.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            )
    light.graph.output.extend(graph.output)
    for value in (*light.graph.input, *light.graph.output):
        if value.type.WhichOneof("value") in (None, "tensor_type"):
            kind = value.type.tensor_type
            kind.elem_type = kind.elem_type or TensorProto.FLOAT
            kind.shape.SetInParent()
    return light


def _check_grammar(model: onnx.ModelProto, name: str) -> None:
    light = light_copy(model)
    known = {value.name for value in light.graph.input}
    known |= {tensor.name for tensor in light.graph.initializer}
    ordered = sorted_nodes(light.graph.node, known, name)
    del light.graph.node[:]
    light.graph.node.extend(ordered)
    context = type(checker.DEFAULT_CONTEXT)()
    context.ir_version = light.ir_version
    context.opset_imports = {opset.domain: opset.version for opset in light.opset_import}
    for node in ordered:
        _check_omitted(node, opset_of(model), name)
        if any(True for _ in bodies(node)):
            continue
        try:
            checker.check_node(node, context)
        except checker.ValidationError as error:
            where = f"{name}: {describe(node, opset_of(model))}"
            raise ModelError(f"{where}: {first_line(error)}") from error
    try:
        checker.check_model(light)
    except (checker.ValidationError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name} is a damaged ONNX model: {first_line(error)}") from error


def _check_omitted(node: onnx.NodeProto, opset: int, name: str) -> None:
    """An input without a name is left out, which the checker takes for any input."""
    if "" not in node.input or not defs.has(node.op_type, opset, node.domain):
        return
    formal = defs.get_schema(node.op_type, opset, node.domain).inputs
    for index, value in enumerate(node.input):
        known = formal[min(index, len(formal) - 1)] if formal else None
        # Exporters do leave out single ones that operators can do without, such as roi of Resize.
        if not value and known and known.option == defs.OpSchema.FormalParameterOption.Variadic:
            raise ModelError(
                f"{name}: {describe(node, opset)}: input {index} has no name: it cannot be left out"
            )


def _check_tensor(tensor: onnx.TensorProto, name: str) -> None:
    what = f"{name}: weight {tensor.name!r}"
    _check_type(tensor.data_type, what, _STORED)
    if tensor.data_location == TensorProto.EXTERNAL:
        raise ModelError(f"{what} lies in a file of its own: pass the path of the ONNX file")
    if any(size < 0 for size in tensor.dims):
        raise ModelError(f"{what} has the shape {list(tensor.dims)}: sizes are not negative")
    count = int(np.prod([int(size) for size in tensor.dims], dtype=object)) if tensor.dims else 1
    if tensor.HasField("raw_data"):
        item = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        packed = tensor.data_type in (TensorProto.INT4, TensorProto.UINT4)
        expected = -(-count // 2) if packed else count * item
        if len(tensor.raw_data) != expected:
            raise ModelError(
                f"{what} of shape {list(tensor.dims)} holds {len(tensor.raw_data)} bytes, not "
                f"{expected}: the file is damaged"
            )


def _check_type(element: int, what: str, known: Container[int]) -> None:
    if element not in TensorProto.DataType.values() or element == TensorProto.UNDEFINED:
        raise ModelError(f"{what} has the element type {element}, which ONNX does not define")
    if element not in known:
        kind = TensorProto.DataType.Name(element).lower()
        raise ModelError(f"{what} holds {kind} elements, which TVM does not compute with")


def _check_input(value: onnx.ValueInfoProto, name: str, is_shaped: bool) -> None:
    what = f"{name}: input {value.name!r}"
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise ModelError(f"{what} has no type: declare its element type and shape")
    if kind != "tensor_type":
        article = "an" if kind.startswith("o") else "a"
        raise ModelError(f"{what} is {article} {kind.removesuffix('_type')}, not a tensor")
    _check_type(value.type.tensor_type.elem_type, what, COMPUTED)
    if is_shaped:
        return
    for axis, dim in enumerate(value.type.tensor_type.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value < 0:
            raise ModelError(f"{what} has the size {dim.dim_value} along axis {axis}")
        if dim.HasField("dim_value") and dim.dim_value == 0 and not dim.dim_param:
            raise ModelError(f"{what} is empty: its size along axis {axis} is 0")


def _check_names(graph: onnx.GraphProto, name: str, opset: int) -> None:
    defined = [output for node in graph.node for output in node.output if output]
    weights = {tensor.name for tensor in graph.initializer}
    # A weight may stand among the inputs, too: that is its default value.
    defined += list({value.name for value in graph.input} | weights)
    kinds = {
        "weight": [tensor.name for tensor in graph.initializer],
        "input": [value.name for value in graph.input],
        "tensor": defined,
        "node": [node.name for node in graph.node if node.name],
    }
    for kind, names in kinds.items():
        repeated = next((n for n, count in Counter(names).items() if count > 1), None)
        if repeated is not None:
            raise ModelError(f"{name} is a damaged ONNX model: two {kind}s are called {repeated!r}")
    for node in graph.node:
        if not any(node.output):
            raise ModelError(f"{name}: {describe(node, opset)} has no output")
