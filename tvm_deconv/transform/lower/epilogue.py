"""Which operators after a convolution are stored with it: its epilogue.

An epilogue is the largest set of pointwise operators behind one convolution that has a single
result. It may branch inside (``x * sigmoid(x)``) and read other tensors of the same shape that do
not depend on the convolution (a residual), and the faces that correct its border behind a folded
resize (``transform.borders``). Between a reshape to (N, O, H, r_h, W, r_w), or that of a
volume, and the reshape back, operands may be constants with one value per phase, as
``RewriteUpsampling`` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.tir.expansion import LARGEST, size_when_inlined
from tvm_deconv.transform.borders import read_border
from tvm_deconv.transform.exact import LEGALIZATIONS
from tvm_deconv.transform.graph import (
    ELEMENTWISE,
    Graph,
    op_name,
    same,
    same_shape,
    shape_of,
    variables,
)

from .read import Convolution

RESHAPE, PRELU = "relax.reshape", "relax.nn.prelu"

# Longer chains than this are no network's; the limit bounds the time of the search.
_MAX_MEMBERS = 32


@dataclass(frozen=True)
class Epilogue:
    """``members`` in order, without the convolution; ``result`` is what later code reads."""

    members: tuple[relax.Var, ...]
    result: relax.Var


def collect(graph: Graph, conv: Convolution, taken: set[relax.Var]) -> Epilogue:
    """The epilogue of ``conv``; empty, with the convolution as its result, if there is none.

    ``taken`` are variables that already belong to another convolution.
    """
    shape = shape_of(conv.var)
    if shape is None:
        return Epilogue((), conv.var)
    members = [conv.var]
    sizes = {conv.var: 1}
    best = Epilogue((), conv.var)
    blocked: set[relax.Var] = set(taken)
    while len(members) < _MAX_MEMBERS:
        readers = {
            user for m in members for user in graph.users.get(m, ()) if user not in blocked
        } - set(members)
        if not readers:
            break
        var = min(readers, key=lambda v: graph.position[v])
        if not _fits(graph, conv, var, members, shape):
            blocked.add(var)
            continue
        size = _size(graph, var, sizes)
        if size > LARGEST:
            blocked.add(var)
            continue
        members.append(var)
        sizes[var] = size
        exits = [m for m in members if graph.outside_reader(m, set(members))]
        if exits == [var] and same_shape(shape_of(var), shape):
            best = Epilogue(tuple(members[1:]), var)
    return best


def _size(graph: Graph, var: relax.Var, sizes: Mapping[relax.Var, int]) -> int:
    """Names in the expression of an element (``schedules.expansion``), given those of operands."""
    border = read_border(graph, var)
    if border is not None:
        return sizes.get(border.y, 1) + border.names
    call = graph.value(var)
    tensors = [a for a in call.args if isinstance(getattr(a, "ty", None), relax.TensorType)]
    own = [sizes.get(a, 1) if isinstance(a, relax.Var) else 1 for a in tensors]
    if op_name(call) == RESHAPE:
        return own[0]
    # One element each: only the form of the arithmetic matters.
    places = [relax.Var(f"p{i}", _single(a.ty)) for i, a in enumerate(tensors)]
    remaining = iter(places)
    arguments = [next(remaining) if a in tensors else a for a in call.args]
    form = relax.Function(places, relax.Call(call.op, arguments, call.attrs), relax.AnyType())
    func = _written_out(_structural(form))
    return sum(own) if func is None else size_when_inlined(func, own)


# Whose stub asks for the hash, too, which it computes itself.
_structural: Any = tvm_ffi.StructuralKey


# A network has hundreds of operators and a handful of forms.
@lru_cache(maxsize=256)
def _written_out(form: tvm_ffi.StructuralKey) -> tvm.tirx.PrimFunc | None:
    """What TVM makes of a function of one call; None if that calls nothing."""
    builder, call = relax.BlockBuilder(), form.key.body.body
    with builder.function("main", list(form.key.params)):
        # A copy: what is emitted gets its type in place, and would be equal to no other form.
        copy = relax.Call(call.op, call.args, call.attrs)
        builder.emit_func_output(builder.emit(copy))
    legal = relax.transform.LegalizeOps(LEGALIZATIONS)(builder.get())
    return next((f for _, f in legal.functions_items() if isinstance(f, tvm.tirx.PrimFunc)), None)


def _single(ty: relax.TensorType) -> relax.TensorType:
    return relax.TensorType([1] * ty.ndim, ty.dtype)


def phase_view(conv: Convolution, shape: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """(N, O, H, r_h, W, r_w) of a convolution's output, of volumes (N, O, D, r_d, H, r_h, W, r_w).

    None if there are broken blocks.
    """
    op = conv.op if conv.stack is None else conv.stack.volume
    axes = (op.h, op.w) if isinstance(op, ConvTranspose2d) else (op.d, op.h, op.w)
    n, o, *sizes = shape
    x = shape_of(conv.data)
    assert x is not None
    view = [n, o]
    for axis, size, out in zip(axes, x[2:], sizes, strict=True):
        blocks = axis.blocks(size)
        if not same(blocks * axis.stride, out):
            return None
        view += [blocks, axis.stride]
    return tuple(view)


def _fits(
    graph: Graph,
    conv: Convolution,
    var: relax.Var,
    members: list[relax.Var],
    shape: tuple[Any, ...],
) -> bool:
    """Whether ``var`` can be computed element by element where the convolution is stored."""
    value, own = graph.value(var), shape_of(var)
    border = read_border(graph, var)
    if border is not None:
        depends = any(_depends(graph, face, conv.var) for face in border.faces.values())
        return border.y in members and not depends
    op = op_name(value)
    if own is None or not isinstance(value, relax.Call):
        return False
    view = phase_view(conv, shape)
    if op == RESHAPE:
        return same_shape(own, shape) or same_shape(own, view)
    plain = same_shape(own, shape)
    if not plain and not same_shape(own, view):
        return False
    if op == PRELU:
        return plain and graph.constant(value.args[1]) is not None
    if op not in ELEMENTWISE:
        return False
    return all(_operand_fits(graph, conv, a, members, own) for a in value.args)


def _operand_fits(
    graph: Graph, conv: Convolution, operand: Any, members: list[relax.Var], own: tuple[Any, ...]
) -> bool:
    if not isinstance(getattr(operand, "ty", None), relax.TensorType):
        return True
    if operand in members:
        return same_shape(shape_of(operand), own)
    constant = graph.constant(operand)
    if constant is not None:
        if len(own) == 5:
            return constant.size == 1 or without_depth(constant) is not None
        # The rows and columns of a phase constant are 1; a full-size constant is a tensor.
        return constant.size == 1 or len(own) == 4 or _is_phase_constant(constant.shape, own)
    if len(own) not in (4, 5) or not same_shape(shape_of(operand), own):
        return False
    return not _depends(graph, operand, conv.var)


def without_depth(constant: np.ndarray) -> np.ndarray | None:
    """A constant of an operator over volumes for one over their stacks; None if rows differ in it.

    Whatever is one number for a channel, or for a column: (1, C, 1, 1, W) => (1, C, 1, W).
    """
    *_, batch, _, depth, height, _ = (1, 1, 1, 1, 1, *constant.shape)
    if not batch == depth == height == 1:
        return None
    return constant if constant.ndim < 3 else constant.squeeze(-3)


def of_phase(constant: np.ndarray, phase: int) -> np.ndarray:
    """A constant per phase of a volume, (1, O, 1, r_d, 1, r_h, 1, r_w), for one phase of depth."""
    return constant[:, :, 0, phase if constant.shape[3] > 1 else 0]


def _depends(graph: Graph, operand: relax.Var, source: relax.Var) -> bool:
    """Whether ``operand`` is computed from ``source``."""
    todo, seen = [operand], {operand}
    while todo:
        var = todo.pop()
        if var is source or var.same_as(source):
            return True
        # Bindings are in order: what stands before the source cannot depend on it.
        if graph.position.get(var, -1) > graph.position[source]:
            reads = set(variables(graph.values[var])) - seen
            seen |= reads
            todo += reads
    return False


def _is_phase_constant(shape: tuple[int, ...], view: tuple[Any, ...]) -> bool:
    """One value for a channel and a phase, or fewer: odd axes are these, even ones are 1."""
    if len(shape) != len(view):
        return False
    return all(have == 1 or (axis % 2 and have == view[axis]) for axis, have in enumerate(shape))
