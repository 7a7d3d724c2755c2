"""``CheckSizes``: what the sizes of a call must be, asked when it is made.

An operator of free size promises that its sizes will fit: a reshape keeps the number of elements, a
reflection is narrower than the tensor, a window is no larger. TVM compiles the promise, and reads
or writes beyond its tensors where it is broken. What is not provable is therefore computed from the
sizes of the inputs on entry, and compared::

    def main(x: Tensor((n, 4, h, w))):
        s = shape([h, h * 4, w])
        _ = match_cast(s, Shape([max(h, 1), h // 2 * 8, max(w, 3)]))
        ...

The VM raises RuntimeError with both numbers and the formula for what is wanted, which
``tvm_deconv.size_errors`` puts into words.

No input may be empty, as none of fixed size may: every schedule and every proof here takes sizes
for positive. A tensor inside may be, where a crop leaves nothing, until something is computed of
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, takewhile
from math import prod
from typing import Any, NamedTuple, TypeAlias

import tvm
import tvm_ffi
from tvm import relax, sym, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed

from .constants import Constants
from .graph import ELEMENTWISE, op_name, shape_of

Shape: TypeAlias = Sequence[Any]

_CONVOLUTIONS = frozenset(
    f"relax.nn.conv{rank}d{kind}" for rank in (1, 2, 3) for kind in ("", "_transpose")
)
# Those that are right for tensors without elements. Others divide by a size (TVM bounds the buffers
# of softmax and of products of matrices by such divisions, and takes joined loops apart by them),
# which ends the process where it is 0, or have no result: a mean, a window, an index.
# (call_tir is a loop of our own, whose converter asks for what it needs.)
_MOVING = (
    "broadcast_to call_tir concat dynamic_strided_slice expand_dims flatten flip full full_like "
    "nn.pad ones permute_dims reshape shape_of split squeeze strided_slice take zeros"
)
_OF_NOTHING = ELEMENTWISE | {"relax.nn.prelu"} | {f"relax.{name}" for name in _MOVING.split()}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.CheckSizes")
class CheckSizes:
    """Relax module pass: functions of free size refuse sizes that they cannot have."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, _checked)


class _Check(NamedTuple):
    """``size`` has to be ``wanted``; ``excess`` is zero where it is."""

    size: tirx.PrimExpr
    wanted: tirx.PrimExpr
    excess: tirx.PrimExpr


def _checked(func: relax.Function) -> relax.Function | None:
    checks = _unproved(func)
    return _Checked(checks).visit_expr(func) if checks else None


def _unproved(func: relax.Function) -> list[_Check]:
    """What does not hold for all sizes of the inputs."""
    named = [var for param in func.params for var in relax.analysis.tir_vars_in_type(param.ty)]
    sizes = list(dict.fromkeys(named))
    if not sizes:
        return []
    analyzer = sym.Analyzer()
    for var in sizes:
        analyzer.bind(var, tvm.ir.Range.from_min_extent(1, tirx.Var("most", "int64")))
    given = [size for param in func.params for size in _sizes(param)]
    asked = [_at_least(1, size) for size in given if not isinstance(size, int)]
    # Having asked that, sizes are positive.
    asked += [
        check
        for check in _checks(func)
        if not analyzer.can_prove_equal(analyzer.simplify(check.excess), 0)
    ]
    found: list[_Check] = []
    for check in asked:
        known = all(var in sizes for var in tirx.analysis.undefined_vars(check.excess))
        if known and not any(
            tvm_ffi.structural_equal(check.excess, other.excess) for other in found
        ):
            found.append(check)
    return found


def _checks(func: relax.Function) -> Iterator[_Check]:
    """What has to hold, for every operator."""
    bindings = [binding for block in func.body.blocks for binding in block.bindings]
    constants = Constants({binding.var: binding.value for binding in bindings})
    for binding in bindings:
        call, shape = binding.value, shape_of(binding.var)
        if not isinstance(call, relax.Call) or shape is None:
            continue
        nothing = op_name(call) in _OF_NOTHING
        read = () if nothing else chain.from_iterable(map(_sizes, call.args))
        for size in (*shape, *read):
            if not isinstance(size, int):
                yield _at_least(0 if nothing else 1, size)
        if call.args and isinstance(call.args[0].ty, relax.TensorType):
            yield from _checks_of(call, shape_of(call.args[0]) or (), shape, constants)


def _checks_of(
    call: relax.Call, before: Shape, shape: Shape, constants: Constants
) -> Iterator[_Check]:
    """Those of an operator with a first operand of shape ``before`` and a result of ``shape``."""
    op, attrs = op_name(call), call.attrs
    if op in _CONVOLUTIONS and before:
        yield from _channels(call, before)
    elif op == "relax.reshape" and before:
        yield _equal(_product(before), _product(shape))
    elif op == "relax.matmul" and before:
        other = shape_of(call.args[1])
        if other:
            wanted = other[-2 if len(other) > 1 else 0]
            yield _equal(_product(before[-1:]), _product([wanted]))
    elif op == "relax.take" and before and attrs.axis is not None:
        indices = constants.places(call.args[1])
        if indices is not None and indices.size:
            least = max(int(indices.max()) + 1, -int(indices.min()))
            yield _at_least(least, before[int(attrs.axis)])
    elif op == "relax.nn.pad" and str(attrs.pad_mode) in ("reflect", "circular", "replicate"):
        # A reflection leaves out the sample at the edge.
        edge = 1 if str(attrs.pad_mode) == "reflect" else 0
        widths = [int(width) for width in attrs.pad_width]
        for size, begin, end in zip(before, widths[::2], widths[1::2], strict=False):
            if begin or end:
                read = 1 if str(attrs.pad_mode) == "replicate" else max(begin, end) + edge
                yield _at_least(read, size)


def _sizes(operand: relax.Expr) -> Iterator[Any]:
    """Sizes of a tensor, or of those of a tuple."""
    if isinstance(operand, relax.Tuple):
        yield from chain.from_iterable(map(_sizes, operand.fields))
    elif isinstance(operand, relax.Var):
        yield from shape_of(operand) or ()


def _channels(call: relax.Call, before: Shape) -> Iterator[_Check]:
    """Those of the input that the weights do not read."""
    weights, attrs = shape_of(call.args[1]), call.attrs
    if weights is None:
        return
    # A transposed convolution's weights name the input's channels of all groups.
    groups = 1 if "transpose" in str(op_name(call)) else int(attrs.groups)
    read = weights[str(attrs.kernel_layout).index("I")] * groups
    channels = before[str(attrs.data_layout).index("C")]
    if not isinstance(channels, int):
        yield _equal(_product([channels]), _product([read]))


def _at_least(least: int, size: Any) -> _Check:
    low, size = tirx.IntImm("int64", least), _product([size])
    return _Check(size, tirx.max(size, low), tirx.max(low - size, tirx.IntImm("int64", 0)))


def _equal(size: tirx.PrimExpr, wanted: tirx.PrimExpr) -> _Check:
    # TVM takes a cast to a plain size for its definition, by a formula that it may be in itself,
    # and ends with the stack.
    is_plain = isinstance(wanted, tirx.Var)
    asked = tirx.max(wanted, tirx.IntImm("int64", 0)) if is_plain else wanted
    return _Check(size, asked, size - wanted)


def _product(shape: Shape) -> tirx.PrimExpr:
    return prod(shape, start=tirx.IntImm("int64", 1))


@mutator
class _Checked(PyExprMutator):
    """Puts the check before everything else but what a reader of models asks itself."""

    def __init__(self, checks: list[_Check]) -> None:
        super().__init__()
        self.checks = checks

    def visit_seq_expr_(self, seq: relax.SeqExpr) -> relax.Expr:
        if not self.checks:
            return super().visit_seq_expr_(seq)
        self.builder_._begin_binding_block()
        computed = self.builder_.emit(relax.ShapeExpr([check.size for check in self.checks]))
        wanted = relax.ShapeType([check.wanted for check in self.checks])
        self.builder_.match_cast(computed, wanted)
        first = self.builder_._end_block()
        self.checks = []
        rest = super().visit_seq_expr_(seq)
        asked = list(takewhile(_only_asks, rest.blocks))
        return relax.SeqExpr([*asked, first, *rest.blocks[len(asked) :]], rest.body)


def _only_asks(block: relax.BindingBlock) -> bool:
    return all(isinstance(binding.var.ty, relax.ShapeType) for binding in block.bindings)
