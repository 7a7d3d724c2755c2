"""Functions written out: those that a model defines, and operators that are defined by others.

Attention, SwiGLU, RotaryEmbedding and others have a definition in operators that there are
converters for, which the standard gives as a function of the node's attributes and types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import onnx
from onnx import defs, helper, inliner

from tvm_deconv.errors import ModelError, first_line

from . import microsoft, qonnx
from .bodies import is_loop
from .facts import Facts
from .known import is_known, is_strange
from .nodes import STANDARD, all_nodes, bodies, label, opset_of

_DOMAIN = "written.out"
# Of a model with its functions written out; large language models have some ten thousand.
_MOST_NODES = 500_000


def inlined(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with the functions that it defines itself written out where they are called.

    Raises ModelError for a function that calls itself, or means other operators than the model.
    """
    if not model.functions:
        return model
    calls = {
        (function.domain, function.name): {
            (node.domain, node.op_type) for top in function.node for node in _with_inner(top)
        }
        for function in model.functions
    }
    for start in calls:
        reached, waiting = set(), set(calls[start])
        while waiting:
            called = waiting.pop()
            reached.add(called)
            waiting |= calls.get(called, set()) - reached
        if start in reached:
            raise ModelError(f"{name}: function {start[1]!r} calls itself: unroll it")
    _check_nodes(model, name)
    try:
        return inliner.inline_local_functions(_defaults_given(_of_one_opset(model, name)))
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{name}: its functions are damaged: {first_line(error)}") from error


def _check_nodes(model: onnx.ModelProto, name: str) -> None:
    """Raise ModelError for functions, none of which calls itself, that are too much written out.

    A few that each call the one before several times are millions of nodes.
    """
    called: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for function in model.functions:
        inner = (node for top in function.node for node in _with_inner(top))
        names = called.setdefault((function.domain, function.name), [])
        names.extend((node.domain, node.op_type) for node in inner)
    counts: dict[tuple[str, str], int] = {}
    while waiting := [key for key in called if key not in counts]:
        for key in waiting:
            if all(other in counts or other not in called for other in called[key]):
                counts[key] = sum(counts.get(other, 1) for other in called[key])
    nodes = sum(counts.get((node.domain, node.op_type), 1) for node in all_nodes(model.graph))
    if nodes > _MOST_NODES:
        raise ModelError(
            f"{name}: its functions are {nodes} nodes where they are written out, {_MOST_NODES} at "
            "most are read: export the model without functions that call others many times"
        )


def _of_one_opset(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """With functions of the model's own opset, which alone the inliner writes out.

    One of another opset stays what it is where its operators did not change between the two.
    """
    wanted = opset_of(model)
    if all(_opset(function) in (None, wanted) for function in model.functions):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for function in copy.functions:
        own = _opset(function)
        if own in (None, wanted):
            continue
        for node in (inner for top in function.node for inner in _with_inner(top)):
            if node.domain in STANDARD and _since(node, own) != _since(node, wanted):
                raise ModelError(
                    f"{name}: function {function.name!r} is of opset {own}, where {node.op_type} "
                    f"is not what it is in opset {wanted} of the model: export both alike"
                )
        for opset in function.opset_import:
            if opset.domain in STANDARD:
                opset.version = wanted
    return copy


def _defaults_given(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the default values of a function's attributes at its calls: the inliner forgets them."""
    if not any(function.attribute_proto for function in model.functions):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    defaults = {
        (function.domain, function.name, function.overload): list(function.attribute_proto)
        for function in copy.functions
    }
    inside = (inner for f in copy.functions for top in f.node for inner in _with_inner(top))
    for node in (*all_nodes(copy.graph), *inside):
        given = {attribute.name for attribute in node.attribute}
        values = defaults.get((node.domain, node.op_type, node.overload), ())
        node.attribute.extend(value for value in values if value.name not in given)
    return copy


def _opset(function: onnx.FunctionProto) -> int | None:
    """The version of the standard's operators that a function names, if it does."""
    versions = [o.version for o in function.opset_import if o.domain in STANDARD]
    return max(versions, default=None)


def _since(node: onnx.NodeProto, opset: int) -> int | None:
    """The opset that brought an operator as it is in this one; None where it is not in it."""
    try:
        return defs.get_schema(node.op_type, opset, "").since_version
    except defs.SchemaError:
        return None


def _with_inner(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    yield node
    for body in bodies(node):
        yield from all_nodes(body)


def is_defined(node: onnx.NodeProto) -> bool:
    """Whether there is a definition, of the standard or of ours, but no converter."""
    if qonnx.is_quantizer(node) or microsoft.is_joined(node):
        return True
    if is_known(node) or node.domain not in STANDARD or not defs.has(node.op_type):
        return False
    schema: Any = defs.get_schema(node.op_type)  # the types of onnx leave functions out
    return bool(schema.has_function or schema.has_context_dependent_function)


def never_imported(graph: onnx.GraphProto) -> Callable[[onnx.NodeProto], bool]:
    """Says of a node, before anything is evaluated, whether there is no way to import it.

    One of the standard may be folded away, unless it reads an input of the graph.
    """
    given = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}

    def is_missing(node: onnx.NodeProto) -> bool:
        if is_known(node) or is_defined(node) or is_loop(node):
            return False
        return is_strange(node) or bool(given & set(node.input))

    return is_missing


def written_out(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto] | None:
    """The nodes of the definition of a node; None where there is none.

    They are called by the node's name and operator; tensors inside have its output before them.
    """
    if qonnx.is_quantizer(node):
        return qonnx.written_out(node, facts)
    if microsoft.is_joined(node):
        return microsoft.written_out(node, facts)
    if not is_defined(node) or any(key and key not in facts.types for key in node.input):
        return None
    schema = defs.get_schema(node.op_type, facts.opset, "")
    call = _with_defaults(node, schema)
    types = [facts.types.get(key, onnx.TypeProto()) for key in node.input]
    function = _definition(call, schema, types, facts.opset)
    if function is None:
        return None
    function.domain = call.domain = _DOMAIN
    del function.opset_import[:]
    function.opset_import.append(helper.make_opsetid("", facts.opset))
    given = dict(zip(node.input, types, strict=True))
    graph = helper.make_graph(
        [call],
        "graph",
        [helper.make_value_info(key, kind) for key, kind in given.items() if key],
        [onnx.ValueInfoProto(name=key) for key in node.output if key],
    )
    opsets = [helper.make_opsetid("", facts.opset), helper.make_opsetid(_DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=[function])
    steps = list(inliner.inline_local_functions(model).graph.node)
    outside = {"", *node.input, *node.output}
    made = dict.fromkeys(key for step in steps for key in step.output if key not in outside)
    names = {key: facts.fresh(f"{node.output[0]}/{key}") for key in made}
    for step in steps:
        step.name = f"{label(node)}/{node.op_type}"
        for keys in (step.input, step.output):
            keys[:] = [names.get(key, key) for key in keys]
    return steps


def _with_defaults(node: onnx.NodeProto, schema: defs.OpSchema) -> onnx.NodeProto:
    """A definition refers to attributes by name, and takes no notice of their defaults."""
    call = onnx.NodeProto()
    call.CopyFrom(node)
    given = {attribute.name for attribute in node.attribute}
    call.attribute.extend(
        attribute.default_value
        for name, attribute in schema.attributes.items()
        if name not in given and attribute.default_value.name
    )
    return call


def _definition(
    node: onnx.NodeProto, schema: Any, types: list[onnx.TypeProto], opset: int
) -> onnx.FunctionProto | None:
    """The newest that the opset has."""
    function = onnx.FunctionProto()
    plain = [v for v in schema.function_opset_versions if v <= opset]
    dependent = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
    if plain:
        function.ParseFromString(schema.get_function_with_opset_version(max(plain)))
    elif dependent:
        written = schema.get_context_dependent_function_with_opset_version(
            max(dependent), node.SerializeToString(), [kind.SerializeToString() for kind in types]
        )
        function.ParseFromString(written)
    return function if function.node else None
