"""What the rules ask about a Relay function: ``patterns.graph.Graph`` on a graph of expressions.

Relay has no bindings: a tensor is the expression that computes it, and one that is read twice
occurs twice. Calls, tuples and their items are looked at. Anything else that has expressions inside
(``if``, ``let``, a function) is one reader of all of them, and nothing in it is rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any

import numpy as np
import tvm
from tvm import relay

from tvm_deconv.patterns import graph as patterns
from tvm_deconv.patterns.linear import not_folded, read_linear

from .constants import Constants
from .vocabulary import native, translate

_PLAIN = (relay.Call, relay.Tuple, relay.TupleGetItem)
# The expressions in one of another kind.
_FIELDS = {
    relay.Function: ("body",),
    relay.Let: ("value", "body"),
    relay.If: ("cond", "true_branch", "false_branch"),
    relay.RefCreate: ("value",),
    relay.RefRead: ("ref",),
    relay.RefWrite: ("ref", "value"),
}
_LEAVES = (relay.Var, relay.GlobalVar, relay.Constant, tvm.ir.Op)


class Graph(patterns.Graph):
    """One Relay function whose types are inferred. ``reads`` has the operands of each tensor."""

    bind_parameters = "tvm.relay.build_module.bind_params_by_name"

    def __init__(self, func: relay.Function) -> None:
        outside = frozenset(_ordered(func.body, _operands)) | frozenset(func.params)
        self.reads = {
            expr: _operands(expr) if isinstance(expr, _PLAIN) else _inside(expr, outside)
            for expr in outside - frozenset(func.params)
        }
        self.order = list(_ordered(func.body, self.reads.__getitem__))
        self.users: dict[relay.Expr, list[relay.Expr]] = {}
        for expr in self.order:
            for read in dict.fromkeys(self.reads[expr]):
                self.users.setdefault(read, []).append(expr)
        self.position = {expr: index for index, expr in enumerate(self.order)}
        self.live = outside
        self.outputs = frozenset(_fields(func.body))
        self.constants = Constants()
        self._calls: dict[relay.Expr, patterns.Call | None] = {}
        self._numbers = _numbered(self.order)

    def call(self, tensor: relay.Expr) -> patterns.Call | None:
        if tensor not in self._calls:
            self._calls[tensor] = translate(tensor)
        return self._calls[tensor]

    def is_tensor(self, argument: Any) -> bool:
        return isinstance(argument.checked_type, relay.TensorType)

    def is_variable(self, argument: Any) -> bool:
        return not isinstance(argument, relay.Constant) and self.is_tensor(argument)

    def constant(self, tensor: relay.Expr) -> np.ndarray | None:
        return self.constants.evaluate(tensor)

    def shape(self, tensor: relay.Expr) -> tuple[Any, ...] | None:
        """Of a tensor with a free size None: TVM compiles no transposed convolution of one."""
        if not self.is_tensor(tensor):
            return None
        dims = list(tensor.checked_type.shape)
        fixed = all(isinstance(dim, tvm.tir.IntImm) for dim in dims)
        return tuple(int(dim) for dim in dims) if fixed else None

    def dtype(self, tensor: relay.Expr) -> str:
        return str(tensor.checked_type.dtype)

    def same(self, a: Any, b: Any) -> bool:
        return bool(a == b)

    def text(self, dim: Any) -> str:
        return str(dim)

    def name(self, tensor: relay.Expr) -> str:
        span = getattr(tensor, "span", None)
        named = None if span is None else _source(span)
        return named or self._numbers.get(tensor, "?")

    def describe(self, tensor: relay.Expr) -> str:
        if isinstance(tensor, relay.Constant):
            return "a constant"
        if isinstance(tensor, relay.Var):
            return f"parameter {tensor.name_hint}"
        if isinstance(tensor, relay.Tuple) and self.users.get(tensor):
            return self.describe(self.users[tensor][0])
        return f"{_operator(tensor)} ({self.name(tensor)})"

    def spell(self, op: str) -> str:
        return native(op)

    def resampled(self, tensor: relay.Expr) -> str | None:
        return not_folded(self, tensor)

    def interpolated(self, tensor: relay.Expr) -> patterns.Interpolated | None:
        found = read_linear(self, tensor)
        return found if isinstance(found, patterns.Interpolated) else None


def _ordered(
    body: relay.Expr, reads_of: Callable[[relay.Expr], Sequence[relay.Expr]]
) -> Iterator[relay.Expr]:
    """All expressions that are no leaves, each once, after what it reads."""
    seen: set[relay.Expr] = set()
    # Not recursive: networks are deeper than Python's stack.
    todo = [(body, False)]
    while todo:
        expr, is_ready = todo.pop()
        if is_ready:
            yield expr
        elif expr not in seen and not isinstance(expr, _LEAVES):
            seen.add(expr)
            todo.append((expr, True))
            todo += [(read, False) for read in reversed(reads_of(expr))]


def _operands(expr: relay.Expr) -> Sequence[relay.Expr]:
    """What a call, a tuple or an item of one reads; nothing for what is not looked into."""
    if isinstance(expr, relay.Call):
        return list(expr.args) if isinstance(expr.op, tvm.ir.Op) else [expr.op, *expr.args]
    if isinstance(expr, relay.Tuple):
        return list(expr.fields)
    return [expr.tuple_value] if isinstance(expr, relay.TupleGetItem) else []


def _inside(expr: relay.Expr, outside: Set[relay.Expr]) -> list[relay.Expr]:
    """The expressions of ``outside`` that occur in one that is not looked into."""
    found: dict[relay.Expr, None] = {}
    seen: set[relay.Expr] = set()
    todo = _parts(expr)
    while todo:
        part = todo.pop()
        if part in outside:
            found[part] = None
        elif part not in seen:
            seen.add(part)
            todo += _parts(part)
    return list(found)


def _parts(expr: relay.Expr) -> list[relay.Expr]:
    if isinstance(expr, relay.Match):
        return [expr.data, *(clause.rhs for clause in expr.clauses)]
    fields = next((names for kind, names in _FIELDS.items() if isinstance(expr, kind)), None)
    return [*_operands(expr)] if fields is None else [getattr(expr, name) for name in fields]


def _fields(expr: relay.Expr) -> Iterator[relay.Expr]:
    yield expr
    if isinstance(expr, relay.Tuple):
        for field in expr.fields:
            yield from _fields(field)


def _numbered(order: list[relay.Expr]) -> dict[relay.Expr, str]:
    """``conv2d_2`` for the second call of ``nn.conv2d``: names for a model that has none."""
    counts: dict[str, int] = {}
    names: dict[relay.Expr, str] = {}
    for expr in order:
        kind = _operator(expr).rpartition(".")[2]
        counts[kind] = counts.get(kind, 0) + (not isinstance(expr, relay.TupleGetItem))
        names[expr] = f"{kind}_{counts[kind]}"
    return names


def _operator(expr: relay.Expr) -> str:
    while isinstance(expr, relay.TupleGetItem):
        expr = expr.tuple_value
    if isinstance(expr, relay.Call) and isinstance(expr.op, tvm.ir.Op):
        return str(expr.op.name)
    return type(expr).__name__


def _source(span: Any) -> str:
    """The model's node in a span; importers write ``output@@node`` for a node that is a result."""
    parts = list(getattr(span, "spans", None) or [span])
    return str(parts[-1].source_name.name).rpartition("@@")[2]
