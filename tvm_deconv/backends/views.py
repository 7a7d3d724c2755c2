"""Reshapes by a view of the tensor, instead of by a copy.

    call_tir(reshape, (lv,))    =>    reshape(lv)       # which the virtual machine makes a view of

TVM's ``RewriteDataflowReshape`` does so too, but in a scheduled loop nest, where it runs, it does
not see that every element stays in its place, and before anything is scheduled its analysis fails
on some functions of free sizes: there axes of size 1 may come and go, and what was an operator for
that is marked (``transform.legalize``). What a dataflow block gives back is a view, too, unless the
function would return its own argument.
"""

from __future__ import annotations

from math import prod
from typing import Any

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.relax.analysis import has_reshape_pattern
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.s_tir import SBlock, SBlockRealize

from tvm_deconv.annotations import RESHAPED
from tvm_deconv.relax_functions import dataflow_bindings, kernel_of, with_changed


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ViewReshapes")
class ViewReshapes:
    """Relax module pass, to run after FuseTIR and before anything is scheduled."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        def changed(func: relax.Function) -> relax.Function | None:
            views = _views(mod, func)
            return _View(views).visit_expr(func) if views else None

        viewed = with_changed(mod, changed)
        # What nobody calls now is not to be scheduled and compiled.
        return mod if viewed is mod else relax.transform.DeadCodeElimination()(viewed)


def _views(mod: tvm.IRModule, func: relax.Function) -> set[relax.Var]:
    """The variables of dataflow blocks that can be views of what they read."""
    found: set[relax.Var] = set()
    computed: set[relax.Var] = set()
    for var, value in dataflow_bindings(func):
        kernel = kernel_of(mod, value)
        if kernel is None:
            continue
        if not is_reshape(kernel):
            computed.add(var)
        elif isinstance(var, relax.DataflowVar) or value.args[1].fields[0] in computed:
            found.add(var)
    return found


def is_reshape(func: tirx.PrimFunc) -> bool:
    """Whether a function copies one tensor to another with every element in its place."""
    if _is_empty(func):
        return False
    if moves_unit_axes(func) or (RESHAPED in func.attrs and _is_alone(func)):
        return True
    return _keeps_its_size(func) and has_reshape_pattern(func)


def _is_empty(func: tirx.PrimFunc) -> bool:
    """Whether a tensor has no elements: to a reshape of TVM's 0 is the size of what it reads."""
    sizes = [size for param in func.params for size in getattr(param, "shape", None) or ()]
    return any(isinstance(size, tirx.IntImm) and size.value == 0 for size in sizes)


def _is_alone(func: tirx.PrimFunc) -> bool:
    """Whether a function has a single block: nothing was fused into it."""
    blocks: list[SBlock] = []
    tvm_ffi.structural_walk(func.body, (SBlock, blocks.append))
    return sum(block.name_hint != "root" for block in blocks) == 1


def _keeps_its_size(func: tirx.PrimFunc) -> bool:
    """Whether it has one input and one output of known sizes and of as many elements.

    TVM does not ask: the first half of a tensor is a reshape to it.
    """
    shapes: list[Any] = [getattr(buffer, "shape", None) for buffer in func.params]
    if len(shapes) != 2 or any(shape is None for shape in shapes):
        return False
    if not all(isinstance(size, tirx.IntImm) for shape in shapes for size in shape):
        return False
    before, after = ([int(size) for size in shape] for shape in shapes)
    return prod(before) == prod(after)


def moves_unit_axes(func: tirx.PrimFunc) -> bool:
    """Whether a function copies one tensor to another that has other axes of size 1."""
    body: Any = func.body
    while isinstance(body, (SBlockRealize, SBlock, tirx.For)):
        body = body.block if isinstance(body, SBlockRealize) else body.body
    if not (isinstance(body, tirx.BufferStore) and isinstance(body.value, tvm.ir.TensorLoad)):
        return False
    # A single store of a load: there is no other tensor, and no dtype changes.
    sides = [_wide(body.buffer, body.indices), _wide(body.value.source, body.value.indices)]
    return len(sides[0]) == len(sides[1]) and all(
        tvm_ffi.structural_equal(a, b) for a, b in zip(*sides, strict=True)
    )


def _wide(buffer: tirx.Buffer, indices: Any) -> list[Any]:
    """(size, index) of each axis that is not of size 1."""
    return [
        part
        for size, index in zip(buffer.shape, indices, strict=True)
        if not (isinstance(size, tirx.IntImm) and size.value == 1)
        for part in (size, index)
    ]


@mutator
class _View(PyExprMutator):
    def __init__(self, views: set[relax.Var]) -> None:
        super().__init__()
        self.views = views

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        var = binding.var
        if var not in self.views:
            super().visit_var_binding_(binding)
            return
        data = self.visit_expr(binding.value.args[1].fields[0])
        if tvm_ffi.structural_equal(data.ty, var.ty) and isinstance(var, relax.DataflowVar):
            self.set_var_remap(var, data)
            return
        view = self.builder_.emit(relax.op.reshape(data, var.ty.shape))
        self.builder_.emit_normalized(relax.VarBinding(self.visit_var_def(var), view))
