"""The ONNX graph that a TFLite network becomes, as it grows, with one layout for all of it.

TFLite's images are NHWC, those of our rules and templates NCHW. A tensor of the file may stand in
the graph in several orders of its axes (its *forms*), and a form is made when somebody asks for it:

- Convolutions, pools and resizes ask for NCHW and give NCHW. What works on any order takes the one
  that is there. So transposes stand where images come in and where results leave.
- A tensor of a quantised file stands there as the integers that are stored. Where its ``real``
  values are asked for, a DequantizeLinear makes them, so that the graph is one of quantised ONNX
  files.
- TRANSPOSE makes nothing: its result has the forms of its input under other names, so that pairs of
  transposes, which converters from PyTorch write around each layer, are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.names import unused
from tvm_deconv.frontends.onnx.facts import Facts
from tvm_deconv.frontends.onnx.rules import check_node

from .quantization import Quantization
from .read import DTYPES, File, Operator

OPSET = 17

# Of activations with a scale.
_STORED = ("int8", "uint8", "int16")

Order = tuple[int, ...]
"""Axis ``i`` of a form is axis ``order[i]`` of the file's tensor."""

NCHW: Order = (0, 3, 1, 2)


class Translation:
    """``nodes`` and constants of the graph, and what is known of each of its values.

    ``shapes`` fixes the sizes of the inputs that it names. With ``images_are_nchw`` inputs of four
    axes are NCHW in the graph; else all are as in the file. Values have the names of their tensors
    in the first form that is made, with the order of axes behind it in others.
    """

    def __init__(
        self, file: File, shapes: Mapping[str, Sequence[int]], images_are_nchw: bool = False
    ) -> None:
        self.file, self.images_are_nchw = file, images_are_nchw
        self.names = [tensor.name for tensor in file.tensors]
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.forms: dict[int, dict[Order, str]] = {}
        self._real: dict[tuple[int, Order], str] = {}
        self._parameters: dict[tuple[float, int, str], tuple[str, str]] = {}
        self.inputs = [self._input(index, shapes) for index in file.inputs]
        types = {value.name: value.type for value in self.inputs}
        self.facts = Facts(file.name, OPSET, {}, types)
        self._taken = set(self.names)

    def _input(self, index: int, shapes: Mapping[str, Sequence[int]]) -> onnx.ValueInfoProto:
        tensor, name = self.file.tensors[index], self.names[index]
        if tensor.dtype not in DTYPES.values():
            raise ModelError(
                f"{self.file.name}: input {name!r} holds {tensor.dtype} elements, which are not "
                "computed with"
            )
        sizes = shapes.get(name, tensor.shape)
        rank = len(sizes)
        order = NCHW if self.images_are_nchw and rank == 4 else tuple(range(rank))
        self.forms[index] = {order: name}
        element = helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        # Free sizes stay without a name: each is one of its own.
        return helper.make_tensor_value_info(name, element, [sizes[axis] for axis in order])

    def where(self, operator: Operator) -> str:
        """Model and operator, for messages: ``net.tflite: CONV_2D 3 'conv/BiasAdd'``."""
        outputs = [self.names[index] for index in operator.outputs if index >= 0]
        return f"{self.file.name}: {operator.name} {operator.index} {(outputs or ['?'])[0]!r}"

    def constant(self, array: np.ndarray, name: str) -> str:
        """A constant of the graph, called ``name`` or nearly so."""
        name = self.unused(name)
        self.constants[name] = array
        self.facts.set_value(name, array)
        return name

    def meant(
        self,
        stored: np.ndarray,
        scales: np.ndarray,
        zero_points: np.ndarray | None,
        axis: int,
        name: str,
    ) -> str:
        """Weights of integers by a DequantizeLinear, which runtimes look for; the name of them.

        ``scales`` and ``zero_points`` (None: 0) have one element, or one for each along ``axis``.
        """
        operands = [self.constant(stored, name)]
        by_channel = scales.size > 1
        shape = (-1,) if by_channel else ()
        operands.append(self.constant(scales.reshape(shape).astype(np.float32), f"{name}:scale"))
        if zero_points is not None:
            zeros = zero_points.reshape(shape).astype(stored.dtype)
            operands.append(self.constant(zeros, f"{name}:zero_point"))
        output = self.unused(f"{name}:real")
        how: dict[str, Any] = {"axis": axis} if by_channel else {}
        # Not evaluated: they would be floats in the model then.
        self.nodes.append(
            helper.make_node("DequantizeLinear", operands, [output], self.unused(name), **how)
        )
        kind = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, stored.shape)
        self.facts.types[output] = kind
        return output

    def node(self, kind: str, label: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node of the standard with one output; the name of the output."""
        return self.outputs(kind, label, inputs, [output], **attributes)[0]

    def outputs(
        self, kind: str, label: str, inputs: list[str], outputs: list[str], **attributes: Any
    ) -> list[str]:
        """Append a node with several outputs, unless they are constants.

        Raises ModelError where its inputs do not fit together.
        """
        names = [self.unused(name) for name in outputs]
        node = helper.make_node(kind, inputs, names, name=self.unused(label), **attributes)
        found = self.facts.visit(check_node(node, self.facts))
        if found is None:
            self.nodes.append(node)
        else:
            self.constants |= dict(zip(names, found, strict=True))
        return names

    def unused(self, name: str) -> str:
        """``name``, or one like it that is not taken; it is taken then."""
        return unused(name, self._taken)

    def shape(self, index: int) -> list[int | None]:
        """Sizes of a tensor in the file's order, None where free."""
        data = self.file.tensors[index].data
        if data is not None:
            return list(data.shape)
        order, name = next(iter(self._forms_of(index).items()))
        sizes = self.facts.shape(name)
        if sizes is None:
            raise ModelError(f"the rank of {self.names[index]!r} follows from data: fix it")
        return [sizes[order.index(axis)] for axis in range(len(sizes))]

    def value(self, index: int) -> np.ndarray | None:
        """The elements of a tensor that does not depend on the inputs' data."""
        data = self.file.tensors[index].data
        if data is not None:
            return data
        order, name = next(iter(self._forms_of(index).items()))
        found = self.facts.values.get(name)
        return None if found is None else found.transpose(np.argsort(order))

    def orders(self, index: int) -> list[Order]:
        """The orders of axes in which a tensor is there; none of a constant, which has any."""
        return [] if self.file.tensors[index].data is not None else list(self._forms_of(index))

    def form(self, index: int, order: Order | None = None, label: str = "") -> str:
        """The name of a tensor's form in ``order``, the file's where None."""
        tensor = self.file.tensors[index]
        if tensor.data is not None:
            forms = self.forms.setdefault(index, {})
            order = order or tuple(range(tensor.data.ndim))
            if order not in forms:
                forms[order] = self._first_name(index, tensor.data.transpose(order))
            return forms[order]
        forms = self._forms_of(index)
        source, name = next(iter(forms.items()))
        order = order or tuple(range(len(source)))
        if order not in forms:
            moved = [source.index(axis) for axis in order]
            output = f"{self.names[index]}:{''.join(map(str, order))}"
            forms[order] = self.node("Transpose", label or output, [name], output, perm=moved)
        return forms[order]

    def real(self, index: int, order: Order | None = None, label: str = "") -> str:
        """The name of a tensor's form in ``order``, of real numbers: dequantised where it is."""
        quantization, tensor = self.quantization(index), self.file.tensors[index]
        if quantization is None:
            return self.form(index, order, label)
        order = order or tuple(range(len(self.shape(index))))
        if (index, order) not in self._real:
            if tensor.data is not None:
                array = quantization.real(tensor.data).transpose(order)
                name = self._first_name(index, array)
            else:
                name = self.dequantized(self.form(index, order, label), index)
            self._real[index, order] = name
        return self._real[index, order]

    def quantization(self, index: int) -> Quantization | None:
        """The scales of a tensor of integers that stand for real numbers."""
        return self.file.tensors[index].quantization

    def described(self, index: int) -> str:
        """A tensor with its type and scales, for messages."""
        quantization, tensor = self.quantization(index), self.file.tensors[index]
        what = f"tensor {index} {self.names[index]!r} of {tensor.dtype}"
        return what if quantization is None else f"{what} with {quantization}"

    def dequantized(self, value: str, index: int) -> str:
        """New nodes that give stored ``value`` the scale of tensor ``index``."""
        output = f"{self.names[index]}:real"
        scale, zero = self._scale(index)
        if self.file.tensors[index].dtype != "int16":
            return self.node("DequantizeLinear", output, [value, scale, zero], output)
        wide = self.node("Cast", output, [value], output, to=onnx.TensorProto.FLOAT)
        return self.node(
            "Mul", output, [self.node("Sub", output, [wide, zero], output), scale], output
        )

    def quantized(self, value: str, index: int, label: str) -> str:
        """New nodes that round real ``value`` to the integers of tensor ``index``."""
        output = f"{self.names[index]}:stored"
        scale, zero = self._scale(index)
        if self.file.tensors[index].dtype != "int16":
            return self.node("QuantizeLinear", label, [value, scale, zero], output)
        for kind, *operands in (
            ("Div", scale),
            ("Round",),
            ("Add", zero),
            ("Clip", *self._int16()),
        ):
            value = self.node(kind, label, [value, *operands], output)
        return self.node("Cast", label, [value], output, to=onnx.TensorProto.INT16)

    def _int16(self) -> tuple[str, str]:
        """Constants of float32, the limits of the type."""
        limits = np.iinfo(np.int16)
        low, high = (np.float32(limit) for limit in (limits.min, limits.max))
        return self.constant(low, "int16:min"), self.constant(high, "int16:max")

    def _scale(self, index: int) -> tuple[str, str]:
        """Constants of the one scale and zero point of tensor ``index``.

        QuantizeLinear has int16 in newer opsets only: there the zero point is of float32, too.
        """
        quantization, dtype = self.file.tensors[index].quantization, self.file.tensors[index].dtype
        if quantization is None or not quantization.is_single or dtype not in _STORED:
            raise ModelError(
                f"reads or makes {self.described(index)}: only {', '.join(_STORED)} with one scale "
                "are computed"
            )
        key = (quantization.scales[0], quantization.zero_points[0], dtype)
        if key not in self._parameters:
            name = self.names[index]
            scale = self.constant(np.float32(key[0]), f"{name}:scale")
            kind = "float32" if dtype == "int16" else dtype
            zero = self.constant(np.array(key[1], kind), f"{name}:zero_point")
            self._parameters[key] = scale, zero
        return self._parameters[key]

    def _first_name(self, index: int, array: np.ndarray) -> str:
        return self.constant(np.asarray(array, order="C"), f"{self.names[index]}:constant")

    def _forms_of(self, index: int) -> dict[Order, str]:
        if index not in self.forms:
            raise ModelError(
                f"reads tensor {index} {self.names[index]!r} before anything computes it: the file "
                "is damaged"
            )
        return self.forms[index]

    def define(self, index: int, forms: Mapping[Order, str]) -> None:
        """Note the forms of a tensor that an operator computes."""
        if index in self.forms or self.file.tensors[index].data is not None:
            raise ModelError(
                f"computes tensor {index} {self.names[index]!r}, which is there already: the file "
                "is damaged"
            )
        self.forms[index] = dict(forms)

    def rename(self, node: onnx.NodeProto, value: str, index: int) -> str:
        """Call what a node computes as the tensor is called; nothing reads it yet."""
        name = self.names[index]
        node.output[list(node.output).index(value)] = name
        if value in self.facts.types:
            self.facts.types[name] = self.facts.types.pop(value)
        if value in self.facts.partial:
            self.facts.partial[name] = self.facts.partial.pop(value)
        return name

    def model(self, outputs: Sequence[str]) -> onnx.ModelProto:
        """The whole as a model whose outputs are the values of these names."""
        used = {name for node in self.nodes for name in node.input} | set(outputs)
        weights = [
            numpy_helper.from_array(array, name)
            for name, array in self.constants.items()
            if name in used
        ]
        results = [
            onnx.ValueInfoProto(name=name, type=self.facts.types.get(name)) for name in outputs
        ]
        graph = helper.make_graph(self.nodes, self.file.name, self.inputs, results, weights)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)
