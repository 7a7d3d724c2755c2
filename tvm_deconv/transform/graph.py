"""What every matcher asks about a Relax function: who computes, who reads, what is constant.

``Graph`` is a read-only view of one function. Matching never changes the module; a rule that
finds nothing leaves no trace.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax, sym

from tvm_deconv.layer_names import layer_name

from .constants import Constants


def _operators(names: str) -> frozenset[str]:
    return frozenset(f"relax.{name}" for name in names.split())


# Elementwise operators of one tensor. Attributes and scalar arguments are carried along unread.
UNARY = _operators(
    "abs acos acosh asin asinh astype atan atanh ceil clip cos cosh erf exp floor isfinite isinf "
    "isnan log logical_not negative round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc "
    "nn.gelu nn.gelu_tanh nn.leakyrelu nn.relu nn.selu nn.silu nn.softplus"
)

# Elementwise operators of several tensors, broadcast as in NumPy.
BROADCAST = _operators(
    "add atan2 divide equal ewise_fma floor_divide floor_mod greater greater_equal less less_equal "
    "log_add_exp logical_and logical_or logical_xor maximum minimum mod multiply not_equal power "
    "subtract where"
)

# Those of UNARY that map 0 to 0 whatever their attributes, so that they may follow a zero padding.
KEEPS_ZERO = _operators(
    "abs asin asinh astype atan ceil erf floor negative round sign sin sinh sqrt square tan tanh "
    "trunc nn.gelu nn.gelu_tanh nn.leakyrelu nn.relu nn.selu nn.silu"
)


@dataclass(frozen=True)
class Refused:
    """Why a candidate is left alone: the operand and the number, in words."""

    reason: str


class Graph:
    """One Relax function: the value of each variable, its live readers, its constants."""

    def __init__(self, func: relax.Function, mod: tvm.IRModule | None = None) -> None:
        self.func = func
        self.mod = mod
        self.values: dict[relax.Var, relax.Expr] = {}
        self.users: dict[relax.Var, list[relax.Var]] = {}
        self.order: list[relax.Var] = []
        self.outputs: frozenset[relax.Var] = frozenset()
        self._read(func)
        self.constants = Constants(self.values)

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

    def outside_reader(
        self, var: relax.Var, inside: frozenset[relax.Var] | set[relax.Var]
    ) -> str | None:
        """Somebody outside ``inside`` who reads ``var``, in words, or None."""
        if var in self.outputs:
            return "the function's output"
        for user in self.users.get(var, ()):
            if user not in inside:
                return self.describe(user)
        return None

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

    relax.analysis.post_order_visit(expr, visit)
    return list(found)


def shape_of(expr: relax.Expr) -> tuple[Any, ...] | None:
    """Dimensions of a tensor (ints where static, else expressions); None if not known."""
    ty = expr.ty
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        return None
    return tuple(static(dim) for dim in ty.shape.values)


def dtype_of(expr: relax.Expr) -> str:
    return str(expr.ty.dtype)


def static(dim: Any) -> Any:
    """A dimension as int if it is one."""
    return int(dim.value) if isinstance(dim, tvm.tirx.IntImm) else dim


def text(dim: Any) -> str:
    """A dimension as one writes it: ``h * 2``."""
    return re.sub(r"T\.int64\((-?\d+)\)", r"\1", str(dim))


def shape_text(shape: Sequence[Any]) -> str:
    return f"[{', '.join(map(text, shape))}]"


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
