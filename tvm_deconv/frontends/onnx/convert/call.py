"""What a converter is given: one node with its inputs as Relax, its attributes and its opset."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import tvm
from onnx import helper
from tvm import relax, tirx
from tvm.relax.frontend.onnx import onnx_frontend

from tvm_deconv.frontends.onnx.formulas import sizes_analyzer
from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.onnx.sizes import SizeVector
from tvm_deconv.schedules.algorithms.expressions import static


@dataclass(frozen=True)
class Call:
    """One node. ``attributes`` hold text as ``str``; ``inputs`` hold None where left out.

    ``known`` has what is computed from sizes, by the name of the tensor.
    """

    builder: relax.BlockBuilder
    opset: int
    node: onnx.NodeProto
    inputs: Sequence[Any]
    attributes: dict[str, Any]
    known: Mapping[str, SizeVector] = field(default_factory=dict)

    def input(self, index: int) -> Any:
        """Input ``index`` as it is: a tensor, a constant, a shape; None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def tensor(self, index: int) -> relax.Expr:
        """Input ``index`` as a tensor; a shape becomes a vector of int64.

        Raises ModelError where it is left out.
        """
        value = self.input(index)
        if value is None:
            refuse(f"input {index} is left out")
        return self.as_tensor(value)

    def as_tensor(self, value: Any) -> relax.Expr:
        if tvm.ir.is_prim_expr(value):
            shape = self.emit(relax.op.shape_to_tensor(relax.ShapeExpr([value])))
            return self.emit(relax.op.reshape(shape, ()))
        if isinstance(value.ty, relax.ShapeType):
            return self.emit(relax.op.shape_to_tensor(value))
        return value

    def constant(self, index: int, what: str) -> np.ndarray | None:
        """Values of input ``index``, None where it is left out.

        Raises ModelError where they are only known at run time; ``what`` names them.
        """
        value = self.input(index)
        if value is None:
            return None
        if isinstance(value, tvm.ir.GenericConst):
            return value.value.numpy()
        if isinstance(value, relax.ShapeExpr):
            sizes = [static(dim) for dim in value.values]
            if all(isinstance(size, int) for size in sizes):
                return np.array(sizes, np.int64)
        if isinstance(value, tirx.IntImm):
            return np.array(int(value), np.int64)
        refuse(f"its {what} are computed at run time: they must be constants of the model")

    def sizes(self, index: int, what: str) -> list[Any] | None:
        """Elements of the vector at input ``index``: ints, or expressions of free sizes.

        None where it is left out. Raises ModelError where they depend on more than sizes.
        """
        value = self.input(index)
        if isinstance(value, relax.ShapeExpr):
            return [static(size) for size in value.values]
        if value is not None and tvm.ir.is_prim_expr(value):
            return [static(value)]
        found = self.constant(index, what)
        return None if found is None else [int(size) for size in found.ravel()]

    def scales(self, index: int) -> list[Any] | None:
        """Elements of the scales at input ``index``: float32 numbers, Fractions and sizes.

        None where it is left out. Raises ModelError where they depend on more than sizes.
        """
        vector = self.known.get(self.node.input[index]) if index < len(self.node.input) else None
        if vector is None or vector.is_constant:
            found = self.constant(index, "scales")
            return None if found is None else list(found.astype(np.float32).ravel())
        numbers = (int, float)
        return [np.float32(v) if isinstance(v, numbers) else v for v in vector.values.ravel()]

    def get(self, name: str, default: Any) -> Any:
        return self.attributes.get(name, default)

    def choice(self, name: str, default: str, known: Collection[str]) -> str:
        """An attribute of text that is one of ``known``.

        Raises ModelError for any other.
        """
        value = self.get(name, default)
        if value not in known:
            refuse(f"{name} is {value!r}: give one of {', '.join(known)}")
        return value

    def dtype(self, element: int) -> str:
        """The name of one of ONNX's element types."""
        return str(helper.tensor_dtype_to_np_dtype(element))

    def emit(self, value: relax.Expr) -> relax.Expr:
        return self.builder.emit(value)

    def require(
        self, sizes: Sequence[tirx.PrimExpr], what: str, wanted: Sequence[Any] | None = None
    ) -> None:
        """Ask when the model is run whether formulas are ``wanted`` (0), where it is not provable.

        Raises ModelError with ``what`` it is about where one never is.
        """
        pairs = list(zip(sizes, wanted or [0] * len(sizes), strict=True))
        analyzer = sizes_analyzer(*sizes)
        open_ = [(a, b) for a, b in pairs if not analyzer.can_prove_equal(a, b)]
        if any(isinstance(analyzer.simplify(a - b), tirx.IntImm) for a, b in open_):
            refuse(what)
        if open_:
            computed = self.emit(relax.ShapeExpr([analyzer.simplify(a) for a, _ in open_]))
            self.builder.match_cast(computed, relax.ShapeType([b for _, b in open_]))

    def number(self, value: float, like: relax.Expr) -> relax.Expr:
        """A scalar of the dtype of ``like``."""
        return relax.const(value, str(like.ty.dtype))


def by_tvm(call: Call) -> relax.Expr:
    """TVM's own converter; text attributes are bytes to it."""
    options = {
        key: value.encode() if isinstance(value, str) else value
        for key, value in call.attributes.items()
    }
    options["tvm_custom"] = {"name": call.node.name, "num_outputs": len(call.node.output)}
    converter = onnx_frontend._get_convert_map()[call.node.op_type].get_converter(call.opset)
    inputs = onnx_frontend.onnx_input(call.inputs)
    return converter(call.builder, inputs, options, [{}, {}])


def shape_of(value: relax.Expr) -> list[Any]:
    """Sizes of a tensor, ints where fixed, else expressions.

    Raises ModelError where not even the number of axes is known.
    """
    shape = known_shape(value)
    if shape is None:
        refuse("the shape of its input is only known at run time: fix the shapes of the inputs")
    return shape


def known_shape(value: Any) -> list[Any] | None:
    """As ``shape_of``; None for a tensor of unknown shape, and for what is no tensor."""
    ty = value.ty if isinstance(value, relax.Expr) else None
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        return None
    # A slice is a list, made in half the time that TVM's iterator takes.
    return [static(dim) for dim in ty.shape.values[:]]


def dtype_of(value: relax.Expr) -> str:
    return str(value.ty.dtype)


def is_float(value: relax.Expr) -> bool:
    return dtype_of(value).startswith(("float", "bfloat"))


def normal_axis(axis: int, rank: int, what: str = "axis") -> int:
    """``axis`` counted from 0.

    Raises ModelError for one that the tensor does not have.
    """
    if not -rank <= axis < rank:
        refuse(f"{what} {axis} is not one of a tensor with {rank} axes")
    return axis % rank
