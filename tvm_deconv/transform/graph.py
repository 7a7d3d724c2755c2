"""What every matcher asks about a Relax function: who computes, who reads, what is constant.

``Graph`` is a read-only view of one function, in Relax's own terms and in those of the rules
(``patterns.graph``).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax, sym

from tvm_deconv.annotations import ONE_DIMENSIONAL, RESAMPLED
from tvm_deconv.layer_names import layer_name
from tvm_deconv.patterns import graph as patterns
from tvm_deconv.patterns import operators
from tvm_deconv.patterns.linear import not_folded
from tvm_deconv.relax_functions import Remembered
from tvm_deconv.schedules.algorithms.expressions import static
from tvm_deconv.size_errors import readable

from .constants import Constants
from .interpolation import read_interpolated, read_repeated


def _operators(names: frozenset[str]) -> frozenset[str]:
    return frozenset(f"relax.{name}" for name in names)


# Elementwise operators of one tensor and of several.
UNARY = _operators(operators.UNARY)
BROADCAST = _operators(operators.BROADCAST)
ELEMENTWISE = UNARY | BROADCAST
PIXEL_SHUFFLE = "relax.nn.pixel_shuffle"
CONCAT = f"relax.{operators.CONCAT}"
STRIDED_SLICE = "relax.strided_slice"
PAD, RESIZE = f"relax.{operators.PAD}", f"relax.{operators.RESIZE}"
# What copies elements of its first operand, and what of that only has other axes.
COPIES = _operators(operators.COPIES) | {PIXEL_SHUFFLE}
VIEWS = _operators(operators.VIEWS)


class Graph(patterns.Graph):
    """One Relax function: the value of each variable, its live readers, its constants."""

    bind_parameters = "relax.transform.BindParams"
    has_winograd = True

    def __init__(self, func: relax.Function, mod: tvm.IRModule | None = None) -> None:
        self.func = func
        self.mod = mod
        self.values: dict[relax.Var, relax.Expr] = {}
        self.users: dict[relax.Var, list[relax.Var]] = {}
        self.order: list[relax.Var] = []
        self.outputs: frozenset[relax.Var] = frozenset()
        self._read(func)
        self.constants = Constants(self.values)
        # Every rule asks about every tensor, and some of them once for each of its readers.
        self._calls = Remembered(self._call)
        self._shapes = Remembered(shape_of)
        self._interpolated = Remembered(
            lambda tensor: read_interpolated(self, self.annotation, tensor)
        )
        attrs = func.attrs or {}
        self.lines = frozenset(map(str, attrs.get(ONE_DIMENSIONAL, ())))

    def value(self, expr: relax.Expr) -> Any:
        """The expression that computes ``expr``; None for a parameter."""
        return self.values.get(expr) if isinstance(expr, relax.Var) else expr

    def op(self, expr: relax.Expr) -> str | None:
        """Operator name of the call that computes ``expr``, or None."""
        return op_name(self.value(expr))

    def annotation(self, expr: relax.Expr, key: str) -> str | None:
        """Attribute ``key`` of the PrimFunc that ``expr`` calls, or None."""
        call = self.value(expr)
        if self.mod is None or op_name(call) != "relax.call_tir":
            return None
        attrs = self.mod[call.args[0]].attrs
        return None if attrs is None or key not in attrs else str(attrs[key])

    def describe(self, expr: relax.Expr) -> str:
        """``relax.add (/up/Add)``, ``parameter x``: an operand in the words of a report."""
        if not isinstance(expr, relax.Var):
            return "a constant" if isinstance(expr, tvm.ir.GenericConst) else str(expr)
        if expr not in self.values:
            return f"parameter {expr.name}"
        value = self.values[expr]
        if isinstance(value, relax.TupleGetItem):
            value = self.value(value.tuple_value)
        return f"{op_name(value) or type(value).__name__} ({layer_name(expr)})"

    def constant(self, expr: relax.Expr) -> np.ndarray | None:
        """Value of an expression that depends on constants only, or None."""
        return self.constants.evaluate(expr)

    def call(self, tensor: relax.Expr) -> patterns.Call | None:
        return self._calls(tensor)

    def _call(self, tensor: relax.Expr) -> patterns.Call | None:
        value = self.value(tensor)
        inner: tuple[relax.Var, ...] = ()
        if isinstance(value, relax.TupleGetItem):
            norm = self.value(value.tuple_value)
            if value.index or op_name(norm) != f"relax.{operators.BATCH_NORM}":
                return None
            value, inner = norm, (value.tuple_value,)
        name = op_name(value)
        if name is None:
            return None
        attrs = value.attrs
        if name == PIXEL_SHUFFLE:
            name, factor = f"relax.{operators.SHUFFLE}", int(attrs.upscale_factor)
            attrs = SimpleNamespace(block_size=factor, mode="CRD", layout="NCHW")
        args = tuple(value.args)
        if name == CONCAT:
            parts = self.value(args[0])
            if not isinstance(parts, relax.Tuple):
                return None
            args = tuple(parts.fields)
        if name == STRIDED_SLICE:
            begin = slice_begin(value)
            if begin is not None:
                name, args = f"relax.{operators.SLICE}", args[:1]
                attrs = SimpleNamespace(begin=begin)
        return patterns.Call(name.removeprefix("relax."), args, attrs, inner)

    def is_tensor(self, argument: Any) -> bool:
        return isinstance(argument, relax.Expr) and isinstance(argument.ty, relax.TensorType)

    def is_variable(self, argument: Any) -> bool:
        return isinstance(argument, relax.Var)

    def shape(self, tensor: relax.Expr) -> tuple[Any, ...] | None:
        return self._shapes(tensor)

    def dtype(self, tensor: relax.Expr) -> str:
        return dtype_of(tensor)

    def same(self, a: Any, b: Any) -> bool:
        return same(a, b)

    def text(self, dim: Any) -> str:
        return readable(dim)

    def name(self, tensor: relax.Expr) -> str:
        return layer_name(tensor)

    def spell(self, op: str) -> str:
        return f"relax.{op}"

    def resampled(self, tensor: relax.Expr) -> str | None:
        return self.annotation(tensor, RESAMPLED) or not_folded(self, tensor)

    def interpolated(self, tensor: relax.Expr) -> patterns.Interpolated | None:
        return self._interpolated(tensor)

    def repeated(self, tensor: relax.Expr) -> patterns.Repeated | None:
        return read_repeated(self, self.annotation, tensor)

    def is_line(self, tensor: relax.Expr) -> bool:
        shape = shape_of(tensor)
        is_row = shape is not None and len(shape) == 4 and shape[2] == 1
        return is_row and layer_name(tensor) in self.lines

    def _read(self, func: relax.Function) -> None:
        bindings = []
        for block in func.body.blocks:
            pure = isinstance(block, relax.DataflowBlock)
            bindings += [(b.var, b.value, pure) for b in block.bindings]
        self.outputs = frozenset(variables(func.body.body))
        live = set(self.outputs)
        for var, value, pure in reversed(bindings):
            self.values[var] = value
            self.order.append(var)
            if pure and var not in live:
                continue
            for read in variables(value):
                live.add(read)
                self.users.setdefault(read, []).append(var)
        self.order.reverse()
        self.live = frozenset(live)
        self.position = {var: index for index, var in enumerate(self.order)}


def constant(values: np.ndarray) -> relax.Expr:
    """The array as a constant of its own dtype; ``relax.const`` alone makes float64 float32."""
    return relax.const(values, dtype=str(values.dtype))


def slice_begin(call: relax.Call) -> tuple[int, ...] | None:
    """Where a ``strided_slice`` begins along each axis; None if it steps or that is not known."""
    shape = shape_of(call.args[0])
    axes, begins, *rest = (_numbers(argument) for argument in call.args[1:])
    steps = rest[1] if len(rest) > 1 else ()
    if shape is None or axes is None or begins is None or steps is None:
        return None
    if any(step != 1 for step in steps):
        return None
    return patterns.begin_of_slice(shape, axes, begins)


def _numbers(values: relax.Expr) -> list[int] | None:
    """The numbers of a tuple of them; None if some are not known."""
    if not isinstance(values, relax.Tuple):
        return None
    known = all(isinstance(field, tvm.tirx.IntImm) for field in values.fields)
    return [int(field.value) for field in values.fields] if known else None


def is_var(expr: Any, var: relax.Var) -> bool:
    """True if ``expr`` is the variable ``var``; the Python wrappers of one variable may differ."""
    return isinstance(expr, relax.Var) and bool(expr.same_as(var))


def op_name(expr: Any) -> str | None:
    """``relax.nn.conv2d`` for a call of that operator, None for anything else."""
    if isinstance(expr, relax.Call) and isinstance(expr.op, tvm.ir.Op):
        return str(expr.op.name)
    return None


def variables(expr: relax.Expr) -> list[relax.Var]:
    """Variables that an expression reads, each once, in order."""
    found: dict[relax.Var, None] = {}

    def visit(node: Any) -> None:
        if isinstance(node, relax.Var):
            found.setdefault(node)

    # Most are calls of operators, whose operands say it without a walk in C++ that comes back here.
    pending = list(reversed(expr.args)) if op_name(expr) else [expr]
    while pending:
        operand = pending.pop()
        if isinstance(operand, relax.Var):
            found.setdefault(operand)
        elif isinstance(operand, relax.Tuple):
            pending += reversed(operand.fields)
        elif not isinstance(operand, tvm.ir.GenericConst):
            relax.analysis.post_order_visit(operand, visit)
    return list(found)


def shape_of(expr: relax.Expr) -> tuple[Any, ...] | None:
    """Dimensions of a tensor (ints where static, else expressions); None if not known."""
    ty = expr.ty
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        return None
    # A slice is a list, made in half the time that TVM's iterator takes.
    return tuple([static(dim) for dim in ty.shape.values[:]])


def dtype_of(expr: relax.Expr) -> str:
    return str(expr.ty.dtype)


def known_sizes(dims: Sequence[Any]) -> tuple[int | None, ...]:
    """Sizes of a shape, None for those that are free."""
    return tuple(dim if isinstance(dim, int) else None for dim in dims)


def own_names(sizes: Sequence[int | None]) -> list[Any]:
    """Sizes for a function: a variable of its own for each that is not known."""
    return [
        tvm.tirx.Var(f"n{axis}", "int64") if size is None else size
        for axis, size in enumerate(sizes)
    ]


def same(a: Any, b: Any) -> bool:
    """True if two dimensions are provably equal."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    a, b = (tvm.tirx.const(x, "int64") if isinstance(x, int) else x for x in (a, b))
    return bool(tvm_ffi.structural_equal(a, b)) or bool(sym.Analyzer().can_prove_equal(a, b))


def same_shape(a: Sequence[Any] | None, b: Sequence[Any] | None) -> bool:
    """True if both shapes are known and provably equal."""
    if a is None or b is None or len(a) != len(b):
        return False
    return all(same(x, y) for x, y in zip(a, b, strict=True))
