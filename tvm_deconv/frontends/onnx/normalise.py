"""From a model as exporters write it to a graph in which nothing constant is left to compute.

Functions are written out, also those that define an operator in the standard, nodes stand in order,
free sizes have names that TVM can read, sizes that the caller fixes are fixed, operators on
constants and on known shapes are evaluated, branches and loops are written out where it is known
what they do, and what no output needs is gone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from tvm.relax.frontend.onnx.onnx_frontend import parse_shape_name

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.names import unused

from .bodies import array_of, body_written_out
from .check import check_computed, sorted_nodes
from .facts import Facts
from .functions import written_out
from .nodes import all_nodes, bodies, describe, opset_of, read_weights, reads
from .older import SPREADING, raised
from .rules import check_node


@dataclass(frozen=True)
class Network:
    """What is imported.

    ``constants`` holds the weights and everything computed from them. ``empties`` are tensors
    without elements, of which nothing but the size is asked.
    """

    name: str
    opset: int
    inputs: tuple[onnx.ValueInfoProto, ...]
    outputs: tuple[str, ...]
    nodes: tuple[onnx.NodeProto, ...]
    constants: Mapping[str, np.ndarray]
    empties: frozenset[str]


def normalised(model: onnx.ModelProto, name: str, shapes: Mapping[str, Sequence[int]]) -> Network:
    """The network of a model that ``check.check_model`` accepts, without functions of its own.

    ``shapes`` fixes the sizes of the inputs that it names. The model is not changed.

    Raises ModelError for an operator that breaks one of the ``rules``.
    """
    graph, spelled = model.graph, opset_of(model)
    opset = max(spelled, SPREADING)
    constants = {tensor.name: array_of(tensor, name) for tensor in read_weights(graph)}
    defaults = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in defaults]
    inputs = _with_shapes(inputs, shapes, name)
    known = {value.name for value in inputs} | set(constants)
    types = {value.name: value.type for value in inputs}
    facts = Facts(name, opset, constants, types, known | _names(graph))
    # Each with the opset in which it is to be read.
    waiting = deque((node, spelled) for node in sorted_nodes(graph.node, known, name))
    kept = []
    while waiting:
        node, own = waiting.popleft()
        inner = body_written_out(node, facts)
        if inner is not None:
            waiting.extendleft((step, own) for step in reversed(inner))
            continue
        definition = raised(node, facts, own)
        if definition is None:
            definition = written_out(node, facts)
        if definition is not None:
            waiting.extendleft((step, opset) for step in reversed(definition))
            continue
        node = check_node(node, facts)
        if facts.visit(node) is None:
            check_computed(node, facts.types, f"{name}: {describe(node, opset)}")
            rest, weights = facts.empties.without(node, facts.types, facts.values, facts.fresh)
            for key, array in weights.items():
                facts.set_value(key, array)
            kept += [rest] if rest is not None else []
    for value in graph.output:
        _check_declared(value, facts)
        facts.empties.check_output(value.name, facts.values)
    outputs = tuple(value.name for value in graph.output)
    needed = tuple(_needed(kept, outputs))
    return Network(name, opset, tuple(inputs), outputs, needed, facts.values, facts.empties.names)


def _names(graph: onnx.GraphProto) -> set[str]:
    """Of everything that a graph computes or holds, in branches and bodies, too."""
    nodes = list(all_nodes(graph))
    inner = [body for node in nodes for body in bodies(node)]
    found = {key for node in nodes for key in node.output}
    found |= {value.name for body in inner for value in body.input}
    return found | {tensor.name for body in inner for tensor in body.initializer}


def _check_declared(output: onnx.ValueInfoProto, facts: Facts) -> None:
    """Raise ModelError for an output of another element type than the model says."""
    declared = output.type.tensor_type.elem_type
    known = facts.types.get(output.name)
    computed = known.tensor_type.elem_type if known is not None else declared
    if declared and computed and declared != computed:
        names = {number: name for name, number in onnx.TensorProto.DataType.items()}
        kinds = [names.get(kind, str(kind)).lower() for kind in (declared, computed)]
        raise ModelError(
            f"{facts.name}: output {output.name!r} is declared as {kinds[0]}, but is {kinds[1]}"
        )


def _needed(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= reads(node)
            kept.append(node)
    return kept[::-1]


def _with_shapes(
    inputs: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, Sequence[int]], name: str
) -> list[onnx.ValueInfoProto]:
    """Copies of the inputs with the sizes that ``shapes`` fixes, and a name for each free one.

    TVM takes all unnamed sizes for one and the same, so that a network with free height and width
    would only run on squares, and reads ``batch-size`` as a difference. Sizes of one name are one
    size: fixing it in one input fixes it in all.
    """
    copies = []
    for value in inputs:
        copy = onnx.ValueInfoProto()
        copy.CopyFrom(value)
        copies.append(copy)
    asked = [
        (dim.dim_param, size, value.name)
        for value in copies
        for dim, size in zip(
            value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False
        )
        if dim.dim_param
    ]
    sizes: dict[str, int] = {}
    for param, size, _ in asked:
        sizes.setdefault(param, size)
    for param, size, key in asked:
        for known in (sizes[param], _evaluated(param, sizes)):
            if known not in (None, size):
                raise ModelError(
                    f"{name}: dimension {param} of input {key!r} is asked to be {known} and "
                    f"{size}: the model needs one value"
                )
    for value in copies:
        wanted = shapes.get(value.name)
        if wanted is None:
            continue
        kind = value.type.tensor_type
        del kind.shape.dim[:]
        kind.shape.SetInParent()
        for size in wanted:
            kind.shape.dim.add().dim_value = size
    for value in copies:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                known = _evaluated(dim.dim_param, sizes)
                if known is not None:
                    dim.dim_value = known
    _name_sizes(copies)
    return copies


def _evaluated(text: str, sizes: Mapping[str, int]) -> int | None:
    """The number that ``h`` or ``2*h`` stands for where h is known, read as TVM does."""
    parts = re.split(r"([-+*/])", text.replace(" ", ""))
    words = [str(sizes.get(part, part)) for part in parts]
    if not all(word.isdigit() for word in words[::2]):
        return None
    return int(parse_shape_name("".join(words), {}))


def _name_sizes(inputs: Sequence[onnx.ValueInfoProto]) -> None:
    dims = [
        ((value.name, axis), dim)
        for value in inputs
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.HasField("dim_value")
    ]
    words = {dim.dim_param for _, dim in dims if dim.dim_param.isidentifier()}
    taken = set(words)
    names: dict[str | tuple[str, int], str] = {}
    for place, dim in dims:
        parts = [part for part in re.split(r"[-+*/ ]+", dim.dim_param) if part]
        if parts and all(part in words or part.isdigit() for part in parts):
            continue
        key = dim.dim_param or place
        if key not in names:
            word = re.sub(r"\W", "_", dim.dim_param or "{}_{}".format(*place))
            names[key] = unused(word if word.isidentifier() else f"n_{word}", taken, "_")
        dim.dim_param = names[key]
