"""ONNX Runtime and onnx.reference as functions of a model and its inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

DOUBLE, FLOAT = int(TensorProto.DOUBLE), int(TensorProto.FLOAT)
_LACKS = ("NOT_IMPLEMENTED", "Could not find an implementation", "mode only supports")


class Refused(Exception):
    """The runtime refuses the model or its inputs; ``lacks``: it only has no kernel for it."""

    def __init__(self, reason: str, lacks: bool = False) -> None:
        super().__init__(reason)
        self.lacks = lacks


_unused = False


def leave_out_onnxruntime(left_out: bool) -> None:
    """From now on ONNX Runtime refuses everything, or does no longer.

    It dies of some damaged models, which we have to survive.
    """
    global _unused
    _unused = left_out


def run_onnxruntime(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray], optimized: bool = False
) -> list[np.ndarray]:
    """Results by ONNX Runtime, by default as the graph stands.

    Raises Refused.
    """
    if _unused:
        raise Refused("ONNX Runtime dies of this model")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return session.run(None, dict(inputs))
    except Exception as error:  # its classes have no common base but this
        reason = str(error)
        raise Refused(reason, any(word in reason for word in _LACKS)) from error


def run_reference(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Results by the evaluator of the onnx package, which is slow and has everything.

    Raises Refused.
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = ReferenceEvaluator(model).run(None, dict(inputs))
    except Exception as error:  # it raises whatever NumPy does
        raise Refused(f"{type(error).__name__}: {error}") from error
    return [np.asarray(array) for array in found]


def run_anywhere(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """By ONNX Runtime, in float32 where it has no kernel for float64.

    onnx.reference is no help there: it resizes in float32, too, and adds no bias in groups.

    Raises Refused.
    """
    try:
        return run_onnxruntime(model, inputs)
    except Refused as refused:
        if not (refused.lacks and uses_float64(model)):
            raise
    narrow = {name: _narrow(array) for name, array in inputs.items()}
    found = run_onnxruntime(_in_float32(model), narrow)
    try:
        return [array.astype("float64") if array.dtype == np.float32 else array for array in found]
    except MemoryError as error:
        raise Refused("too large") from error


def run_in_turns(
    model: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray],
    may_stray: Callable[[onnx.NodeProto], bool],
    strays: Callable[[onnx.NodeProto, Mapping[str, np.ndarray], Sequence[np.ndarray]], bool],
) -> list[np.ndarray]:
    """Node by node: by onnx.reference where ONNX Runtime strays, the others by ONNX Runtime. Their
    order in the model is any: each is computed when what it reads is there.

    ``strays`` is asked of a node that ``may_stray``, what the nodes before gave, and what
    onnx.reference gives for it.

    Raises Refused.
    """
    values = dict(inputs)
    values |= {tensor.name: _array_of(tensor) for tensor in model.graph.initializer}
    left = list(model.graph.node)
    while left:
        node = next((node for node in left if all(n in values for n in node.input if n)), None)
        if node is None:
            raise Refused(f"{left[0].op_type} reads what nothing has made")
        left.remove(node)
        read = [name for name in dict.fromkeys(node.input) if name]
        graph = helper.make_graph(
            [node],
            "node",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(values[name].dtype), values[name].shape
                )
                for name in read
            ],
            [helper.make_empty_tensor_value_info(name) for name in node.output if name],
        )
        alone = helper.make_model(
            graph, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        feed = {name: values[name] for name in read}
        found = run_reference(_with_new_resize(alone, values), feed) if may_stray(node) else None
        if found is None or not strays(node, values, found):
            found = run_anywhere(alone, feed)
        values |= dict(zip([name for name in node.output if name], found, strict=True))
    return [values[value.name] for value in model.graph.output]


def _with_new_resize(alone: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """A resize of before opset 11, which onnx.reference lacks, as the equal one of opset 13.

    Raises Refused where nearest enlarges along one axis and shrinks along another.
    """
    (node,) = alone.graph.node
    opset = max(found.version for found in alone.opset_import)
    if node.op_type not in ("Resize", "Upsample") or opset >= 11:
        return alone
    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    scales = values[node.input[1]] if len(node.input) > 1 else np.float32(attributes["scales"])
    if (scales < 1).any() and (scales > 1).any():
        raise Refused("a nearest resize that enlarges and shrinks is no single one of opset 13")
    resize = helper.make_node(
        "Resize",
        [node.input[0], "", "scales"],
        list(node.output),
        mode=attributes.get("mode", "nearest"),
        coordinate_transformation_mode="asymmetric",
        nearest_mode="ceil" if (scales < 1).any() else "floor",
    )
    graph = helper.make_graph(
        [resize],
        "node",
        [value for value in alone.graph.input if value.name == node.input[0]],
        list(alone.graph.output),
        [numpy_helper.from_array(np.asarray(scales, np.float32), "scales")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def uses_float64(model: onnx.ModelProto) -> bool:
    """Whether an input is float64."""
    return any(value.type.tensor_type.elem_type == DOUBLE for value in model.graph.input)


def _in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with float32 in place of float64."""
    narrow = onnx.ModelProto()
    narrow.CopyFrom(model)
    graph = narrow.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == DOUBLE:
            value.type.tensor_type.elem_type = FLOAT
    for tensor in graph.initializer:
        _narrow_tensor(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _narrow_tensor(attribute.t)
            if node.op_type == "Cast" and attribute.i == DOUBLE:
                attribute.i = FLOAT
    return narrow


def _narrow_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == DOUBLE:
        array = _narrow(_array_of(tensor))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _array_of(tensor: onnx.TensorProto) -> np.ndarray:
    """Raises Refused for a tensor that was damaged on purpose."""
    try:
        return numpy_helper.to_array(tensor)
    except (TypeError, ValueError) as error:
        raise Refused(f"weight {tensor.name!r} is damaged: {error}") from error


def _narrow(array: np.ndarray) -> np.ndarray:
    return array.astype("float32") if array.dtype == np.float64 else array
