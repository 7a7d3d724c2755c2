"""What can be wrong with a file: each function damages a model or its bytes.

Those of ``MODEL`` change a model, those of ``BYTES`` what is written of it, those of ``EXTERNAL``
the file beside it that holds its weights. The outcome has to be a refusal, or the right result
where the damage does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .choices import Choices

_HUGE = (0, -1, 2**31, 10**12, 2**63 - 1)


# -- bytes -----------------------------------------------------------------------------------------


def truncated(draw: Choices, data: bytes) -> bytes:
    return data[: len(data) - 1 - draw.below(max(1, len(data) - 1))]


def bits_flipped(draw: Choices, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(draw.integer(1, 6)):
        place = draw.below(len(found) * 8)
        found[place // 8] ^= 1 << place % 8
    return bytes(found)


def part_missing(draw: Choices, data: bytes) -> bytes:
    begin = draw.below(len(data))
    return data[:begin] + data[begin + draw.integer(1, 40) :]


def part_twice(draw: Choices, data: bytes) -> bytes:
    begin = draw.below(len(data))
    return data[: begin + draw.integer(1, 40)] + data[begin:]


def noise(draw: Choices, data: bytes) -> bytes:
    size = draw.integer(0, 60)
    return b"\x08" + np.random.default_rng(size).bytes(size)


BYTES: tuple[Callable[[Choices, bytes], bytes], ...] = (
    bits_flipped,
    truncated,
    part_missing,
    part_twice,
    noise,
)


# -- models ----------------------------------------------------------------------------------------


def _node(draw: Choices, model: onnx.ModelProto) -> onnx.NodeProto:
    """One of the model's nodes. Raises IndexError where an earlier change has taken all."""
    if not model.graph.node:
        raise IndexError("no node is left")
    return model.graph.node[-1 - draw.below(len(model.graph.node))]


def _tensor(draw: Choices, model: onnx.ModelProto) -> onnx.TensorProto:
    """An initializer; where there is none, one that the last node reads in place of its input."""
    if not model.graph.initializer:
        model.graph.initializer.append(numpy_helper.from_array(np.ones((2, 3), "float32"), "k"))
        model.graph.node[-1].input[0] = "k"
    return model.graph.initializer[-1 - draw.below(len(model.graph.initializer))]


def field_missing(draw: Choices, model: onnx.ModelProto) -> None:
    """One field of one message of the file."""
    message: onnx.ModelProto = model
    for _ in range(5):
        fields = [(f, v) for f, v in message.ListFields() if f.name != "doc_string"]
        if not fields:
            return
        field, value = fields[-1 - draw.below(len(fields))]
        is_message = field.message_type is not None
        several = hasattr(value, "append") or hasattr(value, "add")
        if is_message and (not several or len(value)) and draw.chance(0.8):
            message = value[-1 - draw.below(len(value))] if several else value
            continue
        message.ClearField(field.name)
        return


def cycle(draw: Choices, model: onnx.ModelProto) -> None:
    """A node reads what a later one, or itself, makes."""
    first = model.graph.node[draw.below(len(model.graph.node))]
    if first.input:
        first.input[draw.below(len(first.input))] = model.graph.node[-1].output[0]


def unsorted(draw: Choices, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])


def name_twice(draw: Choices, model: onnx.ModelProto) -> None:
    node = _node(draw, model)
    way = draw.below(3)
    if way == 0:
        node.output[0] = model.graph.input[0].name
    elif way == 1:
        model.graph.node.append(node)
    else:
        model.graph.input.append(model.graph.input[0])


def name_unknown(draw: Choices, model: onnx.ModelProto) -> None:
    node = _node(draw, model)
    way = draw.below(3)
    if way == 0 and node.input:
        node.input[draw.below(len(node.input))] = draw.pick(("nowhere", ""))
    elif way == 1:
        model.graph.output[0].name = "nowhere"
    else:
        node.output[0] = ""


def operands_missing(draw: Choices, model: onnx.ModelProto) -> None:
    node = _node(draw, model)
    del node.input[draw.below(len(node.input) or 1) :]


def operand_too_many(draw: Choices, model: onnx.ModelProto) -> None:
    _node(draw, model).input.extend([model.graph.input[0].name] * draw.integer(1, 5))


def outputs_or_inputs_missing(draw: Choices, model: onnx.ModelProto) -> None:
    way = draw.below(3)
    if way == 0:
        del model.graph.output[:]
    elif way == 1:
        del model.graph.input[:]
    else:
        del model.graph.node[:]


def dimension(draw: Choices, model: onnx.ModelProto) -> None:
    """Zero, negative or huge, in an input or a weight."""
    size = draw.pick(_HUGE)
    shape = model.graph.input[0].type.tensor_type.shape
    if draw.chance(0.5) and shape.dim:
        shape.dim[draw.below(len(shape.dim))].dim_value = size
        return
    tensor = _tensor(draw, model)
    if tensor.dims:
        tensor.dims[draw.below(len(tensor.dims))] = size
    else:
        tensor.dims.append(size)


def rank(draw: Choices, model: onnx.ModelProto) -> None:
    """An axis too many or too few, or no shape at all."""
    way = draw.below(3)
    kind = model.graph.input[0].type.tensor_type
    if way == 0:
        kind.shape.dim.add().dim_value = 1
    elif way == 1 and kind.shape.dim:
        del kind.shape.dim[-1]
    else:
        kind.ClearField("shape")


def element_type(draw: Choices, model: onnx.ModelProto) -> None:
    number = draw.pick(
        (77, 0, TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.INT4, 5, 14, 9)
    )
    way = draw.below(3)
    if way == 0:
        model.graph.input[0].type.tensor_type.elem_type = number
    elif way == 1:
        _tensor(draw, model).data_type = number
    else:
        model.graph.output[0].type.tensor_type.elem_type = number


def weights_short(draw: Choices, model: onnx.ModelProto) -> None:
    tensor = _tensor(draw, model)
    tensor.raw_data = tensor.raw_data[: draw.below(len(tensor.raw_data) or 1)]


def weights_long(draw: Choices, model: onnx.ModelProto) -> None:
    tensor = _tensor(draw, model)
    tensor.raw_data = tensor.raw_data + b"\x01" * draw.integer(1, 9)


def weights_not_finite(draw: Choices, model: onnx.ModelProto) -> None:
    tensor = _tensor(draw, model)
    array = numpy_helper.to_array(tensor).copy()
    if array.size and array.dtype.kind == "f":
        array.reshape(-1)[draw.below(array.size)] = draw.pick((np.nan, np.inf, -np.inf))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def numbers_changed(draw: Choices, model: onnx.ModelProto) -> None:
    """A constant of integers or few floats (sizes, scales, pads, axes) says something absurd."""
    tensor = _tensor(draw, model)
    array = numpy_helper.to_array(tensor).copy()
    if array.size and array.dtype.kind in "if":
        whole = (*_HUGE, -5, 99)
        value = draw.pick(
            whole if array.dtype.kind == "i" else (0.0, -1.0, 1e9, np.nan, np.inf, 1e-9)
        )
        array.reshape(-1)[draw.below(array.size)] = value
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def attribute(draw: Choices, model: onnx.ModelProto) -> None:
    """An attribute says something absurd, is of another type, unknown or there twice."""
    node = _node(draw, model)
    if not node.attribute:
        node.attribute.append(helper.make_attribute("unknown", 3))
        return
    found = node.attribute[draw.below(len(node.attribute))]
    way = draw.below(5)
    values = (*_HUGE, -5, 99, 7)
    if way == 0 and found.ints:
        found.ints[draw.below(len(found.ints))] = draw.pick(values)
    elif way == 0 and found.type == onnx.AttributeProto.INT:
        found.i = draw.pick(values)
    elif way == 0 and found.type == onnx.AttributeProto.FLOAT:
        found.f = draw.pick((float("nan"), float("inf"), -1.0, 1e30))
    elif way == 0 and found.type == onnx.AttributeProto.STRING:
        found.s = draw.pick((b"FOO", b"", b"\xff\xfe"))
    elif way == 1 and found.ints:
        del found.ints[-1]
    elif way == 2 and found.ints:
        found.ints.append(1)
    elif way == 3:
        name = found.name
        found.CopyFrom(helper.make_attribute(name, draw.pick((1.5, "text", [1, 2], 3, [0.5]))))
    else:
        node.attribute.append(found)


def operator(draw: Choices, model: onnx.ModelProto) -> None:
    node = _node(draw, model)
    way = draw.below(3)
    if way == 0:
        node.op_type = draw.pick(("Unknown", "", "Relu", "Conv", "Loop", "Resize", "Concat"))
    elif way == 1:
        node.domain = draw.pick(("com.example", "com.microsoft", "ai.onnx.ml"))
    else:
        model.opset_import[0].domain = "com.example"


def version(draw: Choices, model: onnx.ModelProto) -> None:
    if draw.chance(0.5):
        model.opset_import[0].version = draw.pick((0, 1, 5, 6, 7, 8, 99, -1))
    else:
        model.ir_version = draw.pick((0, 1, 2, 3, 99, -1))


def function_of_itself(draw: Choices, model: onnx.ModelProto) -> None:
    """A function that calls itself, or the operator it stands for."""
    body = helper.make_node("Again", ["a"], ["b"], domain="own")
    function = helper.make_function("own", "Again", ["a"], ["b"], [body], model.opset_import)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    node = helper.make_node("Again", [model.graph.node[-1].output[0]], ["z"], domain="own")
    model.graph.node.append(node)
    model.graph.output[0].name = "z"


def sparse_weights(draw: Choices, model: onnx.ModelProto) -> None:
    tensor = _tensor(draw, model)
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind != "f" or not array.size:
        return
    values = numpy_helper.from_array(array.reshape(-1)[:1], tensor.name)
    places = numpy_helper.from_array(np.array([draw.below(2 * array.size)], "int64"), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, array.shape))
    model.graph.initializer.remove(tensor)


MODEL: tuple[Callable[[Choices, onnx.ModelProto], None], ...] = (
    attribute,
    field_missing,
    dimension,
    numbers_changed,
    element_type,
    operands_missing,
    operand_too_many,
    cycle,
    unsorted,
    name_twice,
    name_unknown,
    outputs_or_inputs_missing,
    rank,
    weights_short,
    weights_long,
    weights_not_finite,
    operator,
    version,
    function_of_itself,
    sparse_weights,
)


# -- the file beside it
# ------------------------------------------------------------------------------


def external_missing(draw: Choices, path: Path) -> None:
    path.unlink()


def external_short(draw: Choices, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: draw.below(len(data))])


def external_folder(draw: Choices, path: Path) -> None:
    path.unlink()
    path.mkdir()


def external_fine(draw: Choices, path: Path) -> None:
    """Nothing is wrong with it."""


EXTERNAL: tuple[Callable[[Choices, Path], None], ...] = (
    external_short,
    external_missing,
    external_folder,
    external_fine,
)
