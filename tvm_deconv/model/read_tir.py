"""TensorIR to the loop nests of ``loop_nest``: what loads, stores and computes, and under what.

Read are blocks, serial, parallel, unrolled, vectorised and thread loops, tests, choices and named
values. Arithmetic of single integers (of indices) is not work. ``if_then_else`` and tests run one
side, ``Select`` both. A load or store of a vector counts its lanes, a broadcast value one word.
Calls for their effect alone (prefetches, barriers) move nothing that is counted here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

from tvm import ir, tirx
from tvm.s_tir import SBlockRealize
from tvm.target.codegen import llvm_lookup_intrinsic_id
from tvm.tirx import ForKind

from tvm_deconv.errors import VariantError
from tvm_deconv.schedules.tir.edit import FUNCTION

from .loop_nest import NONE, Event, Index, LoopNest, Names, NestWork, block, branch, loop

_BINARY = {
    tirx.Add: "({} + {})",
    tirx.Sub: "({} - {})",
    tirx.Mul: "({} * {})",
    tirx.FloorDiv: "({} // {})",
    tirx.FloorMod: "({} % {})",
    tirx.Div: "quotient({}, {})",
    tirx.Mod: "remainder({}, {})",
    tirx.Min: "min({}, {})",
    tirx.Max: "max({}, {})",
    tirx.EQ: "({} == {})",
    tirx.NE: "({} != {})",
    tirx.LT: "({} < {})",
    tirx.LE: "({} <= {})",
    tirx.GT: "({} > {})",
    tirx.GE: "({} >= {})",
    tirx.And: "({} and {})",
    tirx.Or: "({} or {})",
    tirx.BitwiseOr: "({} | {})",
}

_NOTHING = NestWork({})


class Reader:
    """Reads one function; ``sizes`` gives the values of shape variables by name.

    With ``registers``, iterations of an unrolled loop share what they load, like lanes do. A loop
    bound to a thread index inside another one that is bound to it is the same thread, no new loop.
    """

    def __init__(self, sizes: Mapping[str, int], registers: bool) -> None:
        self.sizes = sizes
        self.sharing = {ForKind.VECTORIZED, ForKind.UNROLLED} if registers else {ForKind.VECTORIZED}
        self.bound: dict[Any, Index] = {}
        self.buffers: dict[Any, str] = {}
        self.threads: dict[str, Index] = {}
        self.loops = 0

    def name_of(self, buffer: Any) -> str:
        """The buffer's name, with a number if another one is called the same."""
        if buffer not in self.buffers:
            taken = sum(name.split(" ")[0] == buffer.name for name in self.buffers.values())
            self.buffers[buffer] = buffer.name + (f" {taken + 1}" if taken else "")
        return self.buffers[buffer]

    def statement(self, stmt: Any) -> LoopNest:
        """Raises VariantError for a statement that is not understood."""
        if isinstance(stmt, tirx.SeqStmt):
            return block([self.statement(part) for part in stmt.seq])
        if isinstance(stmt, tirx.For):
            return self._loop(stmt)
        if isinstance(stmt, tirx.AttrStmt) and stmt.attr_key == FUNCTION:
            return self.statement(stmt.body)
        if isinstance(stmt, SBlockRealize):
            return self._block(stmt)
        if isinstance(stmt, tirx.IfThenElse):
            otherwise = _NOTHING if stmt.else_case is None else self.statement(stmt.else_case)
            then = self.statement(stmt.then_case)
            return branch(self.conditions(stmt.condition), then, otherwise)
        if isinstance(stmt, tirx.BufferStore):
            work = _Work(self)
            work.store(stmt)
            return work.nest()
        if isinstance(stmt, tirx.Bind):
            work = _Work(self)
            if _is_index(stmt.value):
                self.bound[stmt.var] = self.index(stmt.value)
            else:
                work.value(stmt.value)
            return work.nest()
        if isinstance(stmt, (tirx.Evaluate, tirx.AllocBuffer)):
            return _NOTHING
        raise VariantError(f"cannot count a loop nest with a statement of {type(stmt).__name__}")

    def conditions(self, expr: Any) -> list[Index]:
        """What must hold, all together; nothing for a constant that is true."""
        if isinstance(expr, tirx.And):
            return [*self.conditions(expr.a), *self.conditions(expr.b)]
        if _is_call(expr, "prim.likely"):
            return self.conditions(expr.args[0])
        if isinstance(expr, tirx.IntImm) and int(expr):
            return []
        return [self.index(expr)]

    def index(self, expr: Any) -> Index:
        """An integer expression. Raises VariantError for one that reads data or a free variable."""
        kind = type(expr)
        if kind in _BINARY:
            return _joined(_BINARY[kind], self.index(expr.a), self.index(expr.b))
        if isinstance(expr, tirx.IntImm):
            return Index(f"({int(expr)})")
        if isinstance(expr, ir.Var) and expr in self.bound:
            return self.bound[expr]
        if isinstance(expr, ir.Var) and expr.name in self.sizes:
            return Index(f"({self.sizes[expr.name]})")
        if isinstance(expr, tirx.Cast):
            return _joined("int({})", self.index(expr.value))
        if isinstance(expr, tirx.Not):
            return _joined("(not {})", self.index(expr.a))
        if isinstance(expr, tirx.Ramp):
            return self.index(expr.base)
        if isinstance(expr, tirx.Select):
            parts = (expr.true_value, expr.condition, expr.false_value)
            return _joined("({} if {} else {})", *map(self.index, parts))
        if _is_call(expr, "prim.if_then_else"):
            condition, then, otherwise = map(self.index, expr.args)
            return _joined("({} if {} else {})", then, condition, otherwise)
        if _is_call(expr, "prim.likely"):
            return self.index(expr.args[0])
        if _is_call(expr, "tirx.call_llvm_intrin") and int(expr.args[0]) == _unsigned_max():
            _, first, second = expr.args
            if isinstance(second, tirx.Cast) and isinstance(second.value, ir.TensorLoad):
                # What is read is as much as the first: ``tir.hiding.unforeseen``.
                return self.index(first)
            # Of what is not negative, as all places are.
            return _joined("max({}, {})", self.index(first), self.index(second))
        advice = f"; known sizes are {dict(self.sizes)}" if isinstance(expr, ir.Var) else ""
        raise VariantError(f"cannot tell the value of {expr} without running the kernel{advice}")

    def _loop(self, stmt: tirx.For) -> LoopNest:
        if stmt.step is not None and int(stmt.step) != 1:
            raise VariantError(f"cannot count a loop with a step of {stmt.step}")
        thread = stmt.thread_binding.thread_tag if stmt.thread_binding is not None else None
        if thread in self.threads:
            self.bound[stmt.loop_var] = self.threads[thread]
            return self.statement(stmt.body)
        self.loops += 1
        name = f"v{self.loops}"
        counter = Index(name, frozenset([name]))
        self.bound[stmt.loop_var] = _joined("({} + {})", self.index(stmt.min), counter)
        extent = self.index(stmt.extent)
        if thread is None:
            return loop(name, extent, self.statement(stmt.body), stmt.kind in self.sharing)
        self.threads[thread] = counter
        body = self.statement(stmt.body)
        del self.threads[thread]
        return loop(name, extent, body)

    def _block(self, realize: SBlockRealize) -> LoopNest:
        stmt = realize.block
        if stmt.match_buffers:
            raise VariantError(f"cannot count the block {stmt.name_hint}: it has buffer views")
        firsts = []
        for axis, value in zip(stmt.iter_vars, realize.iter_values, strict=True):
            self.bound[axis.var] = self.index(value)
            if axis.iter_type == tirx.IterVar.CommReduce:
                begin = self.index(axis.dom.min)
                firsts.append(_joined("({} == {})", self.bound[axis.var], begin))
        parts = [self.statement(stmt.body)]
        if stmt.init is not None:
            parts.insert(0, branch(firsts, self.statement(stmt.init), _NOTHING))
        return branch(self.conditions(realize.predicate), block(parts), _NOTHING)


class _Work:
    """What one statement computes: events, and the branches of its choices."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.events: Counter[Event] = Counter()
        self.choices: list[LoopNest] = []

    def nest(self) -> LoopNest:
        return block([NestWork(self.events), *self.choices] if self.events else self.choices)

    def store(self, stmt: tirx.BufferStore) -> None:
        lanes = self._indices(stmt.indices)[1]
        self.events[Event("store", self.reader.name_of(stmt.buffer))] += lanes
        self.value(stmt.value)

    def value(self, expr: Any) -> None:
        """Count what it takes to compute ``expr``."""
        if isinstance(expr, ir.TensorLoad):
            names, lanes = self._indices(expr.indices)
            self.events[Event("load", self.reader.name_of(expr.source), names)] += lanes
        elif isinstance(expr, tirx.Add | tirx.Sub) and not _is_index(expr):
            self._sum(expr.a, expr.b, _lanes(expr))
        elif _is_modular(expr, "add", "sub"):
            self._sum(expr.args[1], expr.args[2], _lanes(expr))
        elif _is_modular(expr, "mul"):
            self.events[Event("multiply")] += _lanes(expr)
            self._all(*expr.args[1:3])
        elif isinstance(expr, tirx.Mul) and not _is_index(expr):
            self.events[Event("multiply")] += _lanes(expr)
            self._all(expr.a, expr.b)
        elif _is_call(expr, "prim.if_then_else"):
            condition, *sides = expr.args
            self._choose(condition, *map(self._value_apart, sides))
        elif isinstance(expr, tirx.Let):
            self._let(expr)
        else:
            self._all(*_operands(expr))

    def _sum(self, a: Any, b: Any, lanes: int) -> None:
        """A product inside a sum makes it a multiply-add; of two products, one does.

        A sum with a choice is a choice of sums, and with 0 none: a tap that is missing costs
        nothing.
        """
        for term, other in ((b, a), (a, b)):
            if _is_call(term, "prim.if_then_else"):
                condition, *sides = term.args
                self._choose(condition, *(self._sum_apart(side, other, lanes) for side in sides))
                return
            if _is_zero(term):
                self.value(other)
                return
        for term, other in ((b, a), (a, b)):
            if isinstance(term, tirx.Mul):
                self.events[Event("multiply_add")] += lanes
                self._all(term.a, term.b, other)
                return
        self.events[Event("add")] += lanes
        self._all(a, b)

    def _choose(self, condition: Any, then: LoopNest, otherwise: LoopNest) -> None:
        self.choices.append(branch(self.reader.conditions(condition), then, otherwise))

    def _let(self, expr: tirx.Let) -> None:
        if _is_index(expr.value):
            self.reader.bound[expr.var] = self.reader.index(expr.value)
        else:
            self.value(expr.value)
        self.value(expr.body)

    def _all(self, *exprs: Any) -> None:
        for expr in exprs:
            self.value(expr)

    def _value_apart(self, expr: Any) -> LoopNest:
        work = _Work(self.reader)
        work.value(expr)
        return work.nest()

    def _sum_apart(self, a: Any, b: Any, lanes: int) -> LoopNest:
        work = _Work(self.reader)
        work._sum(a, b, lanes)
        return work.nest()

    def _indices(self, indices: Any) -> tuple[Names, int]:
        """The loop variables that they depend on, and how many words they name."""
        found = [self.reader.index(index) for index in indices]
        lanes = [_lanes(index) for index in indices]
        return NONE.union(*(index.names for index in found)), max(lanes, default=1)


def _operands(expr: Any) -> list[Any]:
    names = ("a", "b", "value", "condition", "true_value", "false_value", "args", "vectors")
    found: list[Any] = []
    for name in names:
        part = getattr(expr, name, None)
        if isinstance(part, ir.Expr):
            found.append(part)
        elif name in ("args", "vectors") and part is not None:
            found.extend(p for p in part if isinstance(p, ir.Expr))
    return found


def _joined(form: str, *parts: Index) -> Index:
    names = NONE.union(*(part.names for part in parts))
    return Index(form.format(*(part.source for part in parts)), names)


@cache
def _unsigned_max() -> int:
    return llvm_lookup_intrinsic_id("llvm.umax")


def _is_call(expr: Any, name: str) -> bool:
    return isinstance(expr, ir.Call) and getattr(expr.op, "name", None) == name


def _is_modular(expr: Any, *operations: str) -> bool:
    """Whether it is one of these of numbers that wrap around (``products.Modular``)."""
    if not _is_call(expr, "tirx.call_llvm_pure_intrin"):
        return False
    return int(expr.args[0]) in [llvm_lookup_intrinsic_id(f"llvm.vp.{one}") for one in operations]


def _is_zero(expr: Any) -> bool:
    value = expr.value if isinstance(expr, tirx.Broadcast) else expr
    return isinstance(value, tirx.FloatImm) and float(value) == 0


def _is_index(expr: Any) -> bool:
    """Whether it is one integer or truth value; vectors of them are data."""
    dtype = str(getattr(expr.ty, "dtype", "handle"))
    return dtype.startswith(("int", "uint", "bool")) and _lanes(expr) == 1


def _lanes(expr: Any) -> int:
    return int(expr.ty.dtype.lanes)
