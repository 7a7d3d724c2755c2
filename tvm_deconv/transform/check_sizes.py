"""``CheckSizes``: what the sizes of a call must be, asked when it is made.

An operator of free size promises that its sizes will fit: a reshape keeps the number of elements, a
reflection is narrower than the tensor, a window is no larger. TVM compiles the promise, and reads
or writes beyond its tensors where it is broken. What is not provable is therefore computed from the
sizes of the inputs on entry, and must be zero::

    def main(x: Tensor((n, 4, h, w))):
        s = shape([max(1 - h, 0), h % 2, max(3 - w, 0)])
        _ = match_cast(s, Shape([0, 0, 0]))     # the VM raises RuntimeError
        ...

No input may be empty, as none of fixed size may: every schedule and every proof here takes sizes
for positive. A tensor inside may be, where a crop leaves nothing, until something is computed of
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any, TypeAlias

import tvm
import tvm_ffi
from tvm import relax, sym, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed

from .constants import Constants
from .graph import BROADCAST, UNARY, op_name, shape_of

Shape: TypeAlias = Sequence[Any]

_CONVOLUTIONS = frozenset(
    f"relax.nn.conv{rank}d{kind}" for rank in (1, 2, 3) for kind in ("", "_transpose")
)
# Those that are right for tensors without elements. Others divide by a size (TVM bounds the buffers
# of softmax and of products of matrices by such divisions, and takes joined loops apart by them),
# which ends the process where it is 0, or have no result: a mean, a window, an index.
_MOVING = (
    "broadcast_to concat dynamic_strided_slice expand_dims flatten flip full full_like nn.pad ones "
    "permute_dims reshape shape_of split squeeze strided_slice take zeros"
)
_OF_NOTHING = UNARY | BROADCAST | {"relax.nn.prelu"} | {f"relax.{name}" for name in _MOVING.split()}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.CheckSizes")
class CheckSizes:
    """Relax module pass: functions of free size refuse sizes that they cannot have."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_changed(mod, _checked)


def _checked(func: relax.Function) -> relax.Function | None:
    excesses = _unproved(func)
    return _Checked(excesses).visit_expr(func) if excesses else None


def _unproved(func: relax.Function) -> list[tirx.PrimExpr]:
    """Expressions in the sizes of the inputs that are zero for the sizes that they can have."""
    named = [var for param in func.params for var in relax.analysis.tir_vars_in_type(param.ty)]
    sizes = list(dict.fromkeys(named))
    if not sizes:
        return []
    analyzer = sym.Analyzer()
    for var in sizes:
        analyzer.bind(var, tvm.ir.Range.from_min_extent(1, tirx.Var("most", "int64")))
    given = [size for param in func.params for size in _sizes(param)]
    asked = [_above(1, size) for size in given if not isinstance(size, int)]
    # Having asked that, sizes are positive.
    inner = (analyzer.simplify(excess) for excess in _excesses(func))
    asked += [excess for excess in inner if not analyzer.can_prove_equal(excess, 0)]
    found: list[tirx.PrimExpr] = []
    for excess in asked:
        known = all(var in sizes for var in tirx.analysis.undefined_vars(excess))
        if known and not any(tvm_ffi.structural_equal(excess, other) for other in found):
            found.append(excess)
    return found


def _excesses(func: relax.Function) -> Iterator[tirx.PrimExpr]:
    """What must be zero, for every operator."""
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
                yield _above(0 if nothing else 1, size)
        if call.args and isinstance(call.args[0].ty, relax.TensorType):
            yield from _excesses_of(call, shape_of(call.args[0]) or (), shape, constants)


def _excesses_of(
    call: relax.Call, before: Shape, shape: Shape, constants: Constants
) -> Iterator[tirx.PrimExpr]:
    """Those of an operator with a first operand of shape ``before`` and a result of ``shape``."""
    op, attrs = op_name(call), call.attrs
    if op in _CONVOLUTIONS and before:
        yield from _channels(call, before)
    elif op == "relax.reshape" and before:
        yield _product(before) - _product(shape)
    elif op == "relax.matmul" and before:
        other = shape_of(call.args[1])
        if other:
            yield _product(before[-1:]) - _product([other[-2 if len(other) > 1 else 0]])
    elif op == "relax.take" and before and attrs.axis is not None:
        indices = constants.places(call.args[1])
        if indices is not None and indices.size:
            least = max(int(indices.max()) + 1, -int(indices.min()))
            yield _above(least, before[int(attrs.axis)])
    elif op == "relax.nn.pad" and str(attrs.pad_mode) in ("reflect", "circular", "replicate"):
        # A reflection leaves out the sample at the edge.
        edge = 1 if str(attrs.pad_mode) == "reflect" else 0
        widths = [int(width) for width in attrs.pad_width]
        for size, begin, end in zip(before, widths[::2], widths[1::2], strict=False):
            if begin or end:
                read = 1 if str(attrs.pad_mode) == "replicate" else max(begin, end) + edge
                yield _above(read, size)


def _sizes(operand: relax.Expr) -> Iterator[Any]:
    """Sizes of a tensor, or of those of a tuple."""
    if isinstance(operand, relax.Tuple):
        yield from chain.from_iterable(map(_sizes, operand.fields))
    elif isinstance(operand, relax.Var):
        yield from shape_of(operand) or ()


def _channels(call: relax.Call, before: Shape) -> Iterator[tirx.PrimExpr]:
    """Those of the input that the weights do not read."""
    weights, attrs = shape_of(call.args[1]), call.attrs
    if weights is None:
        return
    # A transposed convolution's weights name the input's channels of all groups.
    groups = 1 if "transpose" in str(op_name(call)) else int(attrs.groups)
    read = weights[str(attrs.kernel_layout).index("I")] * groups
    channels = before[str(attrs.data_layout).index("C")]
    if not isinstance(channels, int):
        yield _product([channels]) - _product([read])


def _above(least: int, size: Any) -> tirx.PrimExpr:
    """How much ``size`` is below ``least``; 0 if it is not."""
    return tirx.max(tirx.IntImm("int64", least) - size, tirx.IntImm("int64", 0))


def _product(shape: Shape) -> tirx.PrimExpr:
    return prod(shape, start=tirx.IntImm("int64", 1))


@mutator
class _Checked(PyExprMutator):
    """Puts the check before everything else."""

    def __init__(self, excesses: list[tirx.PrimExpr]) -> None:
        super().__init__()
        self.excesses: list[tirx.PrimExpr] = excesses

    def visit_seq_expr_(self, seq: relax.SeqExpr) -> relax.Expr:
        if not self.excesses:
            return super().visit_seq_expr_(seq)
        wanted = relax.ShapeType([0] * len(self.excesses))
        self.builder_._begin_binding_block()
        computed = self.builder_.emit(relax.ShapeExpr(self.excesses))
        self.builder_.match_cast(computed, wanted)
        first = self.builder_._end_block()
        self.excesses = []
        rest = super().visit_seq_expr_(seq)
        return relax.SeqExpr([first, *rest.blocks], rest.body)
