"""Parts of a Concat that kernels write where they belong, instead of a copy of each.

    a = call_tir(f, (x,)); b = call_tir(g, (a,)); y = call_tir(concatenate, (a, b))
    => y1 = call_tir(f1, (x,))                  # writes y1[:, :16]
       y = call_tir_inplace(g1, (y1, y1), 1)    # reads y1[:, :16], writes y1[:, 16:]

Layers of a dense block read all that was computed before them, so that half of what it moves are
copies. Others that read a part read it where it lies, as ``parts`` has it, and a Concat of
neighbours of a larger one is a part itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import tvm
from tvm import relax, sym, te, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.annotations import CONCATENATED
from tvm_deconv.relax_functions import (
    CALL_TIR,
    KERNEL_CALLS,
    dataflow_bindings,
    kernel_of,
    reads_of,
    with_rebuilt,
)
from tvm_deconv.schedules.rest.stage import static_value

from .parts import CouldHaveWhole, Part, WithWholes, are_few
from .views import is_reshape


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.WriteParts")
class WriteParts:
    """Relax module pass, to run after ``ReadParts`` and before anything else is scheduled.

    Inputs that kernels write which could write the whole, and all of whose readers could read it,
    are written there; others are copied. A Concat of nothing but these stays, as do those of
    several images and those with an input twice.
    """

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        def write(work: tvm.IRModule, func: relax.Function) -> _Write | None:
            layout = _Layout(work, func)
            return _Write(work, layout) if layout.parts else None

        return with_rebuilt(mod, write)


@dataclass(frozen=True)
class _Kernel:
    """A call of a kernel: its arguments, and which of them it writes over, if any."""

    name: str
    func: tirx.PrimFunc
    arguments: Sequence[relax.Expr]
    overwritten: int | None

    @property
    def tensors(self) -> list[relax.Expr]:
        """The arguments but for sizes, which are behind them."""
        return [arg for arg in self.arguments if isinstance(arg.ty, relax.TensorType)]

    @property
    def result(self) -> int:
        """Which parameter the result is."""
        return len(self.arguments) if self.overwritten is None else self.overwritten


def _kernel(mod: tvm.IRModule, value: relax.Expr | None) -> _Kernel | None:
    """The kernel that ``value`` calls for one tensor."""
    func = kernel_of(mod, value, KERNEL_CALLS)
    if value is None or func is None or len(value.args) > 2:
        return None
    if not isinstance(value.ty, relax.TensorType):
        return None
    place = None if value.op == CALL_TIR else int(value.attrs.inplace_indices[0])
    return _Kernel(value.args[0].name_hint, func, value.args[1].fields, place)


class _Layout:
    """Where the inputs of a function's Concats are in the results of these.

    ``parts`` has what is no tensor of its own any more: what kernels write, and Concats that are
    parts of larger ones. ``copies`` has the inputs that are copied, for each of the others.
    """

    def __init__(self, mod: tvm.IRModule, func: relax.Function) -> None:
        self.parts: dict[relax.Var, Part] = {}
        self.copies: dict[relax.Var, dict[relax.Expr, Part]] = {}
        # Where an input is, and with it the others of that Concat.
        self._places: dict[relax.Expr, list[tuple[Part, Mapping[relax.Expr, Part]]]] = {}
        self._could = CouldHaveWhole()
        values = dict(dataflow_bindings(func))
        self._kernels = {v: k for v, e in values.items() if (k := _kernel(mod, e)) is not None}
        self._joins = {v: axis for v in values if (axis := self._axis(v)) is not None}
        if not self._joins:
            return
        self._reads = reads_of(func)
        self._readers: dict[relax.Var, list[tuple[_Kernel, int]]] = {}
        for kernel in self._kernels.values():
            for place, given in enumerate(kernel.arguments):
                if isinstance(given, relax.DataflowVar):
                    self._readers.setdefault(given, []).append((kernel, place))
        for var in sorted(self._joins, key=self._size, reverse=True):
            self._place(var)

    def inputs(self, var: relax.Var) -> list[relax.Expr]:
        """Of a Concat, with those of its inputs that are such Concats in place of these."""
        axis = self._joins[var]
        nested = (
            self.inputs(given) if self._joins.get(given) == axis else [given]
            for given in self._kernels[var].tensors
        )
        return [given for inputs in nested for given in inputs]

    def _axis(self, var: relax.Var) -> int | None:
        """The axis of a Concat whose parts lie one behind the other; None for anything else."""
        kernel = self._kernels.get(var)
        axis = (kernel.func.attrs or {}).get(CONCATENATED) if kernel is not None else None
        if kernel is None or axis is None or not isinstance(var, relax.DataflowVar):
            return None
        axis, sizes = int(axis), var.ty.shape.values
        # A kernel that reads parts of others where they lie (``ReadParts``) is given the wholes.
        joined = [given.ty.shape.values for given in kernel.tensors]
        along = sum(static_value(own[axis]) or 0 for own in joined)
        is_plain = along == static_value(sizes[axis]) and all(
            sym.Analyzer().can_prove_equal(size, whole)
            for own in joined
            for other, (size, whole) in enumerate(zip(own, sizes, strict=True))
            if other != axis
        )
        is_flat = all(static_value(size) == 1 for size in sizes[:axis]) and axis + 1 < len(sizes)
        return axis if is_plain and is_flat and not are_few(sizes) else None

    def _size(self, var: relax.Var) -> int:
        return static_value(var.ty.shape.values[self._joins[var]]) or 0

    def _place(self, var: relax.Var) -> None:
        """Place the inputs of a Concat in its result, or it in another where they are already."""
        axis = self._joins[var]
        inputs = self.inputs(var)
        sizes = [static_value(given.ty.shape.values[axis]) or 0 for given in inputs]
        if len(set(inputs)) < len(inputs):
            return
        for first, placed in self._places.get(inputs[0], ()):
            if self._laid_out(first, axis, inputs, sizes).items() <= placed.items():
                if self._is_readable(var, first):
                    self.parts[var] = first
                return
        own = Part(var, (0,) * len(var.ty.shape.values))
        self._add(var, self._laid_out(own, axis, inputs, sizes))

    def _laid_out(
        self, first: Part, axis: int, inputs: Sequence[relax.Expr], sizes: Sequence[int]
    ) -> dict[relax.Expr, Part]:
        """One behind the other."""
        begins = accumulate(sizes, initial=first.offsets[axis])
        before, behind = first.offsets[:axis], first.offsets[axis + 1 :]
        return {
            given: Part(first.whole, (*before, begin, *behind))
            for given, begin in zip(inputs, begins, strict=False)
        }

    def _add(self, whole: relax.Var, found: Mapping[relax.Expr, Part]) -> None:
        copies: dict[relax.Expr, Part] = {}
        added: dict[relax.Var, Part] = {}
        for given, part in found.items():
            versions = self._versions(given)
            if versions and all(self._is_readable(var, part) for var in versions):
                added |= dict.fromkeys(versions, part)
            else:
                copies[given] = part
        if added:
            self.parts |= added
            self.copies[whole] = copies
            for given, part in found.items():
                self._places.setdefault(given, []).append((part, found))

    def _versions(self, given: relax.Expr) -> list[relax.Var]:
        """``given`` and what it was written over; none where that is not a kernel's own result."""
        found: list[relax.Var] = []
        while True:
            kernel = self._kernels.get(given)
            is_own = isinstance(given, relax.DataflowVar) and given not in self.parts
            if kernel is None or not is_own or given in self._joins or is_reshape(kernel.func):
                return []
            found.append(given)
            if kernel.overwritten is None:
                return found
            given = kernel.arguments[kernel.overwritten]

    def _is_readable(self, var: relax.Var, part: Part) -> bool:
        """Whether only kernels read ``var`` and write it, which could do so in the whole."""
        readers = self._readers.get(var, [])
        own = self._kernels[var]
        kernels = [*readers, *([] if var in self._joins else [(own, own.result)])]
        return len(readers) == self._reads[var] and all(
            self._could(kernel.name, kernel.func, place, part) for kernel, place in kernels
        )


@mutator
class _Write(PyExprMutator):
    def __init__(self, mod: tvm.IRModule, layout: _Layout) -> None:
        super().__init__(mod)
        self.mod, self.layout, self.parts = mod, layout, layout.parts
        # The result of a Concat by now, as the kernel gave it that wrote to it last.
        self.written: dict[relax.Var, relax.Var] = {}
        self.copied: set[tuple[relax.Var, relax.Expr]] = set()
        self.copying: dict[tuple, tuple[str, tirx.PrimFunc]] = {}
        self.with_wholes = WithWholes(self.builder_)

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        var = binding.var
        part = self.parts.get(var)
        kernel = _kernel(self.mod, binding.value)
        if var in self.layout.copies:
            self._copy(var, var)
        elif part is None or kernel is None:
            super().visit_var_binding_(binding)
        elif CONCATENATED in (kernel.func.attrs or {}):
            self._copy(var, part.whole)
        else:
            self._write(kernel, part)

    def _copy(self, join: relax.Var, whole: relax.Var) -> None:
        """Copy the inputs of a Concat that no kernel writes to their place."""
        copies = self.layout.copies[whole]
        for given in self.layout.inputs(join):
            if given in copies and (whole, given) not in self.copied:
                self.copied.add((whole, given))
                self._write(self._copying(given), copies[given])

    def _copying(self, given: relax.Expr) -> _Kernel:
        """A kernel that copies a tensor."""
        shape, dtype = given.ty.shape.values, str(given.ty.dtype)
        key = (*shape, dtype)
        if key not in self.copying:
            data = te.placeholder(shape, dtype, "data")
            copy = te.compute(shape, lambda *at: data(*at), "copy")
            made = te.create_prim_func([data, copy])
            self.copying[key] = f"copy_part{len(self.copying) or ''}", made
        return _Kernel(*self.copying[key], [given], None)

    def _write(self, kernel: _Kernel, part: Part) -> None:
        callee, arguments = self._changed(kernel, part)
        begun = self.written.get(part.whole)
        if begun is None:
            call = relax.call_tir(callee, relax.Tuple(arguments), part.whole.ty)
        else:
            if kernel.overwritten is None:
                arguments.append(begun)
            given = relax.Tuple(arguments)
            call = relax.op.call_tir_inplace(callee, given, kernel.result, part.whole.ty)
        self.written[part.whole] = made = self.builder_.emit(call)
        self.set_var_remap(part.whole, made)

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        kernel = _kernel(self.mod, call)
        if kernel is None or not any(given in self.parts for given in kernel.arguments):
            return super().visit_call_(call)
        callee, arguments = self._changed(kernel, None)
        return relax.Call(call.op, [callee, relax.Tuple(arguments)], call.attrs, call.ty_args)

    def _changed(
        self, kernel: _Kernel, written: Part | None
    ) -> tuple[tvm.ir.GlobalVar, list[relax.Expr]]:
        """A kernel that reads and writes wholes, and its arguments."""
        parts = {i: self.parts[arg] for i, arg in enumerate(kernel.arguments) if arg in self.parts}
        given = [parts[i].whole if i in parts else arg for i, arg in enumerate(kernel.arguments)]
        if written is not None:
            parts[kernel.result] = written
        callee = self.with_wholes(kernel.name, kernel.func, parts)
        return callee, [self.visit_expr(arg) for arg in given]
