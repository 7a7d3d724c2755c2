"""Parts of a tensor that kernels read where they lie, instead of a copy of each.

    parts = call_tir(split, (x,)); y = call_tir(conv2d, (parts[1], w))
    => y = call_tir(conv2d1, (x, w))            # reads x[n, 16 + c, i, j] for part[n, c, i, j]

Networks that set some channels aside after each layer and go on with the rest have a dozen of
these copies; in an IMDN they were a sixth of its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import tvm
import tvm_ffi
from tvm import relax, sym, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import dataflow_bindings, kernel_of, reads_of, with_rebuilt
from tvm_deconv.schedules.rest.default import is_written_out
from tvm_deconv.schedules.rest.stage import Load, Stage, simplify_under, stages_of, static_value
from tvm_deconv.schedules.tir.edit import const_like, moving

# Elements. To copy less takes no longer than the microseconds of a call, and another function for
# what reads it takes some ten milliseconds to compile.
_FEWEST = 4096

# Of a part's first element, along each axis.
Offsets: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """The part of ``whole`` that begins at ``offsets``."""

    whole: relax.Var
    offsets: Offsets


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ReadParts")
class ReadParts:
    """Relax module pass, to run after FuseTIR and before anything else is scheduled.

    A copy stays, and all that read it, where something else than a kernel reads one of its parts.
    """

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        def read(work: tvm.IRModule, func: relax.Function) -> _Read | None:
            parts = _parts(work, func)
            return _Read(work, parts) if parts else None

        return with_rebuilt(mod, read)


def _parts(mod: tvm.IRModule, func: relax.Function) -> dict[relax.Var, Part]:
    """The parts that only kernels read which can read the whole, by their variables."""
    copies: dict[relax.Var, list[Part]] = {}
    parts: dict[relax.Var, Part] = {}
    copy_of: dict[relax.Var, relax.Var] = {}
    reads = reads_of(func)
    known: Counter[relax.Var] = Counter()
    offsets: dict[str, list[Offsets] | None] = {}
    could = CouldHaveWhole()

    def copied(call: relax.Call, kernel: tirx.PrimFunc) -> list[Part] | None:
        """The parts that a call copies; None where it does anything else, or copies little."""
        given = call.args[1].fields
        # Sizes that a call hands on behind its tensors are known to that function alone.
        if len(given) != 1 or not isinstance(given[0], relax.Var) or len(call.args) > 2:
            return None
        name = call.args[0].name_hint
        if name not in offsets:
            offsets[name] = _worth_sparing(kernel)
        own = offsets[name]
        return None if own is None else [Part(given[0], at) for at in own]

    for var, value in dataflow_bindings(func):
        kernel = kernel_of(mod, value)
        if isinstance(value, relax.TupleGetItem) and value.tuple_value in copies:
            copy = value.tuple_value
            if isinstance(var, relax.DataflowVar):
                parts[var], copy_of[var] = copies[copy][value.index], copy
                known[copy] += 1
        elif kernel is not None:
            for place, given in enumerate(value.args[1].fields):
                part = parts.get(given)
                name = value.args[0].name_hint
                if part is not None and could(name, kernel, place, part):
                    known[given] += 1
            made = copied(value, kernel) if isinstance(var, relax.DataflowVar) else None
            if made is None:
                continue
            copies[var] = made
            if not isinstance(var.ty, relax.TupleType):
                parts[var], copy_of[var] = made[0], var
    tuples = [copy for copy in copies if isinstance(copy.ty, relax.TupleType)]
    needed = {copy for copy in tuples if reads[copy] > known[copy]}
    needed |= {copy_of[part] for part in parts if reads[part] > known[part]}
    return {var: part for var, part in parts.items() if copy_of[var] not in needed}


def _worth_sparing(func: tirx.PrimFunc) -> list[Offsets] | None:
    """``offsets_of_parts``, where the copies are long enough."""
    sizes = [size for param in func.params[1:] for size in param.shape]
    return None if are_few(sizes) else offsets_of_parts(func)


def are_few(sizes: Sequence[Any]) -> bool:
    """Whether a tensor of these sizes is known to have so few elements that a copy is cheap."""
    known = [own for size in sizes if (own := static_value(size)) is not None]
    return len(known) == len(sizes) and prod(known) < _FEWEST


def offsets_of_parts(func: tirx.PrimFunc) -> list[Offsets] | None:
    """The offsets of the parts that ``func`` copies; None where it does anything else.

    Its first parameter is what it copies parts of, and the others are the parts, in order. They
    have whole rows, so that what is read by vectors stays so.
    """
    given, *results = func.params
    stages = stages_of(func)
    if stages is None or len(stages) != len(results) or not all(map(_has_axes, func.params)):
        return None
    found: dict[tirx.Var, Offsets] = {}
    for stage in stages:
        offsets = _offsets(stage, given)
        if offsets is None:
            return None
        found[stage.stores()[0].buffer] = offsets
    return [found[result] for result in results] if set(found) == set(results) else None


def _has_axes(param: Any) -> bool:
    return len(getattr(param, "shape", None) or ()) > 0


def _offsets(stage: Stage, given: tirx.Var) -> Offsets | None:
    """Where what ``stage`` stores begins in ``given``, of which it is a part."""
    store: Any = stage.body
    if stage.init is not None or not isinstance(store, tirx.BufferStore):
        return None
    load, result = store.value, store.buffer
    if not isinstance(load, Load) or not load.source.same_as(given):
        return None
    if len(given.shape) != len(result.shape) or not _is_all(stage, store):
        return None
    offsets = [
        static_value(simplify_under(stage.axes, before - after))
        for before, after in zip(load.indices, store.indices, strict=True)
    ]
    is_same = False
    for offset, size, whole in zip(offsets, result.shape, given.shape, strict=True):
        is_same = sym.Analyzer().can_prove_equal(size, whole)
        if offset is None or (not is_same and None in (static_value(size), static_value(whole))):
            return None
    # Of the last axis.
    if offsets[-1] != 0 or not is_same:
        return None
    return tuple(offset for offset in offsets if offset is not None)


def _is_all(stage: Stage, store: tirx.BufferStore) -> bool:
    """Whether a stage stores every element of its result."""
    axes = {axis.var: axis.extent for axis in stage.axes}
    return all(
        sym.Analyzer().can_prove_equal(axes.get(at, 1), size)
        for at, size in zip(store.indices, store.buffer.shape, strict=True)
    )


def with_wholes(func: tirx.PrimFunc, parts: Mapping[int, Part]) -> tirx.PrimFunc | None:
    """``func`` with the wholes for those parameters, of which it reads and writes the parts.

    None where it does more with one than to read and to write its elements, and for what is written
    out: a recurrence is written anew for the machine, whatever its body has become.
    """
    if is_written_out(func):
        return None
    params, body = list(func.params), func.body
    for place, part in parts.items():
        own = params[place]
        sizes = part.whole.ty.shape.values
        shape = [
            size if static_value(size) is None else whole
            for size, whole in zip(own.shape, sizes, strict=True)
        ]
        whole = tirx.decl_buffer(shape, own.dtype, f"{own.name}_whole")

        def moved(indices: Sequence[Any], offsets: Offsets = part.offsets) -> list[Any]:
            return [_moved(at, offset) for at, offset in zip(indices, offsets, strict=True)]

        body = tvm_ffi.structural_map(body, moving(own, whole, moved, list))
        left: list[tirx.Var] = []
        tvm_ffi.structural_walk(body, (tirx.Var, left.append))
        if any(var.same_as(own) for var in left):
            return None
        params[place] = whole
    return tirx.PrimFunc(params, body, func.ret_type, func.attrs)


class CouldHaveWhole:
    """Whether a kernel could have a whole for a parameter, found once for each kernel and place.

    It does not matter which part of which whole.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], bool] = {}

    def __call__(self, name: str, kernel: tirx.PrimFunc, place: int, part: Part) -> bool:
        key = name, place
        if key not in self._known:
            self._known[key] = with_wholes(kernel, {place: part}) is not None
        return self._known[key]


class WithWholes:
    """Adds ``with_wholes`` of kernels to what is built, once for each kernel and its parts."""

    def __init__(self, builder: relax.BlockBuilder) -> None:
        self._builder = builder
        self._known: dict[Any, tvm.ir.GlobalVar] = {}

    def __call__(
        self, name: str, kernel: tirx.PrimFunc, parts: Mapping[int, Part]
    ) -> tvm.ir.GlobalVar:
        places = ((i, part.offsets, tuple(part.whole.ty.shape.values)) for i, part in parts.items())
        key = name, *places
        if key not in self._known:
            self._known[key] = self._builder.add_func(with_wholes(kernel, parts), name)
        return self._known[key]


def _moved(at: Any, offset: int) -> Any:
    if not offset:
        return at
    if isinstance(at, tirx.Ramp):
        return tirx.Ramp(at.base + const_like(at.base, offset), at.stride, at.lanes)
    return at + tirx.const(offset, str(at.ty.dtype))


@mutator
class _Read(PyExprMutator):
    def __init__(self, mod: tvm.IRModule, parts: Mapping[relax.Var, Part]) -> None:
        super().__init__(mod)
        self.mod, self.parts = mod, parts
        self.with_wholes = WithWholes(self.builder_)

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        kernel = kernel_of(self.mod, call)
        given = [] if kernel is None else call.args[1].fields
        parts = {i: self.parts[arg] for i, arg in enumerate(given) if arg in self.parts}
        if kernel is None or not parts:
            return super().visit_call_(call)
        callee = self.with_wholes(call.args[0].name_hint, kernel, parts)
        wholes = [parts[i].whole if i in parts else arg for i, arg in enumerate(given)]
        arguments = relax.Tuple([self.visit_expr(whole) for whole in wholes])
        rest = [self.visit_expr(arg) for arg in call.args[2:]]
        return relax.Call(call.op, [callee, arguments, *rest], call.attrs, call.ty_args)
