"""What a program of free sizes requires of them, asked whenever it runs.

``torch.export`` proves a graph for a range of each size (``Dim("h", min=4, max=64)``) and under the
conditions that its tracer has met, which it keeps as Python: ``(L['x'].size()[2] % 4) == 0``. The
program's own ``module()`` refuses all other sizes. Here each of these becomes a condition on the
sizes that ``main`` is called with::

    _ = match_cast(shape([x_axis2]), Shape([Select(x_axis2 % 4 == 0, x_axis2, -1)]))

which ``tvm_deconv.size_errors`` puts into words. What holds for all sizes is left out.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
import tvm
import tvm_ffi
from torch import fx
from torch.export import ExportedProgram
from tvm import relax, sym, tirx

from tvm_deconv.errors import ModelError

from .sizes import BUILDERS, Sizes, as_float, integer, is_float

_ASSERTION = "aten._assert_scalar.default"

# From here on PyTorch asks for the smallest size: it lets 0 and 1 pass where 2 is allowed.
_LEAST_ASKED = 3

# Sizes in a condition that the analyzer is asked about: of the long ones of a transformer (10 ms
# for each) it proves none.
_MOST_TO_PROVE = 6
_AT_A_TIME = 8

_RELATIONS: dict[str, Callable[[Any, Any], tirx.Expr]] = {
    "==": tirx.EQ,
    "!=": tirx.NE,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SYMBOLS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_DIVISIONS = {ast.FloorDiv: "FloorDiv", ast.Mod: "PythonMod", ast.Div: "IntTrueDiv"}
_FUNCTIONS = {
    "max": "Max",
    "min": "Min",
    "torch.sym_float": "ToFloat",
    "math.trunc": "TruncToInt",
    "math.floor": "FloorToInt",
    "math.ceil": "CeilToInt",
    "round": "RoundToInt",
    "math.sqrt": "OpaqueUnaryFn_sqrt",
}


@dataclass(frozen=True)
class Input:
    """A tensor that the program is given: its number among all arguments, and its node.

    ``shape`` has what its dimensions are called, ``recorded`` what PyTorch calls them.
    """

    number: int
    node: fx.Node
    shape: Sequence[tirx.Expr]

    @property
    def recorded(self) -> Sequence[Any]:
        return self.node.meta["val"].shape


def ask(builder: relax.BlockBuilder, conditions: Iterable[tirx.Expr]) -> None:
    """Emit code that raises RuntimeError for sizes that are not as they have to be.

    A few are asked at a time: the error has the text of all of them.
    """
    analyzer = sym.Analyzer()
    asked: list[tuple[tirx.Var, tirx.Expr]] = []
    for condition in conditions:
        mentions: list[tirx.Var] = []
        tvm_ffi.structural_walk(condition, (tirx.Var, mentions.append))
        for var in mentions:
            analyzer.bind(var, tvm.ir.Range.from_min_extent(1, tirx.Var("most", "int64")), True)
        proved = len(mentions) <= _MOST_TO_PROVE and analyzer.can_prove(condition)
        if mentions and not proved:
            size = mentions[0]
            asked.append((size, tirx.Select(condition, size, tirx.IntImm("int64", -1))))
    for begin in range(0, len(asked), _AT_A_TIME):
        sizes, wanted = zip(*asked[begin : begin + _AT_A_TIME], strict=True)
        given = builder.emit(relax.ShapeExpr(sizes))
        ty = relax.ShapeType(wanted)
        # Not by match_cast(), which looks for a proof of the contrary: it takes seconds.
        builder.emit_normalized(relax.MatchCast(relax.Var("asked", ty), given, ty))


def required(
    program: ExportedProgram, inputs: Sequence[Input], sizes: Sizes
) -> Iterator[tirx.Expr]:
    """The conditions: ranges first, then the others, short ones before long ones.

    Raises ModelError for one that cannot be read.
    """
    for given in inputs:
        for size, recorded in zip(given.shape, given.recorded, strict=True):
            yield from _in_range(program, size, recorded)
    for node in program.graph.nodes:
        if str(node.target) == _ASSERTION and _is_of_sizes(node.args[0], sizes):
            yield _truth(node.args[0].meta["val"].node.expr, sizes)
    guards = getattr(program, "_guards_code", [])
    for guard in sorted(dict.fromkeys(guards), key=len):
        yield _Reader(guard, inputs).condition()


def _in_range(program: ExportedProgram, size: tirx.Expr, recorded: Any) -> Iterator[tirx.Expr]:
    bounds = None
    if not isinstance(recorded, int):
        bounds = program.range_constraints.get(recorded.node.expr)
    if bounds is None:
        return
    if isinstance(bounds.lower, sympy.Integer) and bounds.lower >= _LEAST_ASKED:
        yield size >= integer(int(bounds.lower))
    if isinstance(bounds.upper, sympy.Integer):
        yield size <= integer(int(bounds.upper))


def _is_of_sizes(condition: Any, sizes: Sizes) -> bool:
    """Not of data, which is asked for where it is used."""
    record = condition.meta.get("val") if isinstance(condition, fx.Node) else None
    if not isinstance(record, torch.SymBool):
        return False
    return all(symbol.name in sizes.variables for symbol in record.node.expr.free_symbols)


def _truth(expr: Any, sizes: Sizes) -> tirx.Expr:
    if isinstance(expr, (sympy.And, sympy.Or)):
        parts = [_truth(arg, sizes) for arg in expr.args]
        return tirx.all(*parts) if isinstance(expr, sympy.And) else tirx.any(*parts)
    if isinstance(expr, sympy.Not):
        return tirx.Not(_truth(expr.args[0], sizes))
    if isinstance(expr, sympy.core.relational.Relational):
        return _related(expr.rel_op, *(integer(sizes(arg)) for arg in expr.args))
    raise ModelError(f"the program asserts {expr} of its sizes, which cannot be asked")


def _related(relation: str, a: tirx.Expr, b: tirx.Expr) -> tirx.Expr:
    if is_float(a) or is_float(b):
        a, b = as_float(a), as_float(b)
    return _RELATIONS[relation](a, b)


class _Reader:
    """One guard of PyTorch's, from Python to TensorIR."""

    def __init__(self, text: str, inputs: Sequence[Input]) -> None:
        self._text, self._inputs = text, inputs
        # A division by 0, which Python refuses, ends a process.
        self._positive: list[tirx.Expr] = []

    def condition(self) -> tirx.Expr:
        found = self._truth(ast.parse(self._text.strip(), mode="eval").body)
        return tirx.all(*self._positive, found)

    def _truth(self, node: ast.expr) -> tirx.Expr:
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(value) for value in node.values]
            return tirx.all(*parts) if isinstance(node.op, ast.And) else tirx.any(*parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return tirx.Not(self._truth(node.operand))
        if isinstance(node, ast.Compare):
            values = [self._value(value) for value in (node.left, *node.comparators)]
            relations = [_SYMBOLS.get(type(op), "") for op in node.ops]
            if all(relations):
                pairs = zip(relations, values, values[1:], strict=False)
                return tirx.all(*(_related(*pair) for pair in pairs))
        raise self._unread()

    def _value(self, node: ast.expr) -> tirx.Expr:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return integer(node.value)
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            return tirx.FloatImm("float64", node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return BUILDERS["Mul"](integer(-1), self._value(node.operand))
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in _FUNCTIONS:
            build = BUILDERS[_FUNCTIONS[ast.unparse(node.func)]]
            return build(*(self._value(argument) for argument in node.args))
        return self._size(node)

    def _operation(self, node: ast.BinOp) -> tirx.Expr:
        a, b = self._value(node.left), self._value(node.right)
        if isinstance(node.op, ast.Add):
            return BUILDERS["Add"](a, b)
        if isinstance(node.op, ast.Sub):
            return BUILDERS["Add"](a, BUILDERS["Mul"](integer(-1), b))
        if isinstance(node.op, ast.Mult):
            return BUILDERS["Mul"](a, b)
        if isinstance(node.op, ast.Pow):
            return BUILDERS["Pow"](a, b)
        if type(node.op) not in _DIVISIONS or is_float(b):
            raise self._unread()
        if not isinstance(b, tirx.IntImm):
            self._positive.append(b > 0)
            b = tirx.max(b, integer(1))
        return BUILDERS[_DIVISIONS[type(node.op)]](a, b)

    def _size(self, node: ast.expr) -> tirx.Expr:
        """``L['x'][0].size()[2]``: the size of an argument along an axis."""
        match node:
            case ast.Subscript(
                value=ast.Call(func=ast.Attribute(value=source, attr="size"), args=[]),
                slice=ast.Constant(value=int(axis)),
            ):
                path = self._path(source)
                name = _words("_".join(map(str, path)))
                for given in self._inputs:
                    if path == ["flat_args", given.number] or name == _words(given.node.name):
                        return given.shape[axis]
        raise self._unread()

    def _path(self, source: ast.expr) -> list[Any]:
        """``['x', 0]`` of ``L['x'][0]``."""
        match source:
            case ast.Name(id="L"):
                return []
            case ast.Subscript(value=value, slice=ast.Constant(value=key)):
                return [*self._path(value), key]
            case ast.Attribute(value=value, attr=key):
                return [*self._path(value), key]
        raise self._unread()

    def _unread(self) -> ModelError:
        return ModelError(
            f"the program requires {self._text}, which cannot be asked when it runs: "
            "export it with fixed sizes"
        )


def _words(name: str) -> list[str]:
    """A name as PyTorch makes it of a path: small letters, digits and lines between them."""
    return re.findall(r"[a-z0-9]+", name.lower())
