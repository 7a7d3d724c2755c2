"""``LowerConvolutions``: convolutions and their epilogues to scheduled TensorIR functions.

    y = conv2d_transpose(x, W); y = relu(add(y, b))
    => y = call_tir(conv_epilogue, (x, packed W, b))

``conv_epilogue`` is a variant of ``tvm_deconv.schedules`` with the pointwise operators inlined into
its store, scheduled for the target, with the weights packed at compile time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec, resolve_log
from tvm_deconv.relax_functions import opaque
from tvm_deconv.schedules.choice import AUTO, Preferences
from tvm_deconv.schedules.tir.bindings import bind_repeated_reads
from tvm_deconv.schedules.tir.stacks import on_volumes
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.borders import emit_border, read_border
from tvm_deconv.transform.graph import BROADCAST, dtype_of, same_shape, shape_of
from tvm_deconv.transform.graph import constant as tensor_constant
from tvm_deconv.transform.rebind import rebind

from .epilogue import RESHAPE, without_depth
from .layers import LoweredLayer, layers_of, operator

# The attribute of a function that names its variant; its global symbol begins with the name, too.
VARIANT_ATTRIBUTE = "tvm_deconv.variant"

# Operators that TVM writes a number into; others, and numbers of other kinds, stay parameters.
_WITH_NUMBERS = BROADCAST - {"relax.where", "relax.ewise_fma"}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerConvolutions")
class LowerConvolutions:
    """Relax module pass: ``conv2d_transpose`` and stride-1 ``conv2d`` to scheduled PrimFuncs.

    So are ``conv3d_transpose`` and stride-1 ``conv3d`` for a CPU, in NCDHW (``algebra.volumes``):
    a function for each phase of the depth, the later ones of which write in place.

    Lowers layers in NCHW with constant weights, float32 or float16, any kernel, dilation, groups
    and padding, static or symbolic N, H, W; accumulates in float32. Other layers stay as they are.
    ``target`` is whatever ``tvm_deconv.targets.resolve_target`` takes. ``variant``, ``winograd``
    and ``log`` decide about the variant as ``tvm_deconv.schedules.choice`` says; ``log`` is found
    as ``tvm_deconv.logs.find.resolve_log`` says. Each function is called after its variant
    and operator (``revd2_conv2d_transpose``) and has the former in ``VARIANT_ATTRIBUTE``.

    Raises TargetError for a target that is unknown or has no schedules, VariantError for a variant
    that is unknown or excluded, and LogError for a log that is damaged or not of the target.
    """

    def __init__(
        self,
        target: str | Mapping[str, Any] | tvm.target.Target,
        *,
        variant: str = AUTO,
        winograd: bool = True,
        log: LogSpec = AUTO_LOG,
    ) -> None:
        resolved = resolve_target(target)
        self.machine = machine_of(resolved)
        self.preferences = Preferences(variant, winograd, resolve_log(log, resolved)[0])

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every layer lowered that a variant computes."""
        # Aliases (y = x) would hide the epilogue behind a rewritten layer.
        result = relax.transform.CanonicalizeBindings()(mod)
        lowered = False
        for name, func in result.functions_items():
            found = layers_of(result, func, self.machine, self.preferences)
            layers: dict[relax.Var, list[LoweredLayer]] = {}
            for layer in found:
                if isinstance(layer, LoweredLayer):
                    layers.setdefault(layer.epilogue.result, []).append(layer)
            if layers:
                lowered = True
                rebuild = _Rebuild(result, layers)
                func = rebuild.visit_expr(func)
                result = rebuild.builder_.get()
                result.update_func(name, func)
        return relax.transform.DeadCodeElimination()(result) if lowered else mod


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the result of each layer by a call of its function; the rest is copied.

    Where several layers make one result, those after the first write into the first one's.
    """

    def __init__(self, mod: tvm.IRModule, layers: dict[relax.Var, list[LoweredLayer]]) -> None:
        super().__init__(mod)
        self.layers = layers
        self.kernel_of = _Kernels()

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        layers = self.layers.get(binding.var)
        if layers is None:
            super().visit_var_binding_(binding)
            return
        call = None
        for layer in layers:
            func, arguments = self.kernel_of(layer)
            callee = self.builder_.add_func(func, _kernel_name(layer))
            remapped = [self.visit_expr(a) if isinstance(a, relax.Var) else a for a in arguments]
            if call is None:
                call = relax.call_tir(callee, remapped, binding.var.ty)
            else:
                remapped.append(self.builder_.emit(call))
                place = len(remapped) - 1
                call = relax.op.call_tir_inplace(callee, remapped, place, binding.var.ty)
        rebind(self, binding, call)


def _kernel_name(layer: LoweredLayer) -> str:
    """``revd2_conv2d_transpose``, or ``revd2_conv2d`` for a convolution that was plain before."""
    return f"{layer.choice.variant.name}_{operator(layer.graph, layer.conv.var)}"


class _Kernels:
    """The function of each layer; layers that differ in nothing but their weights share one."""

    def __init__(self) -> None:
        self.known: list[tuple[LoweredLayer, tvm.tirx.PrimFunc, tvm.tirx.PrimFunc]] = []

    def __call__(self, layer: LoweredLayer) -> tuple[tvm.tirx.PrimFunc, list[relax.Expr]]:
        """The scheduled function, and its arguments in the original function's terms."""
        func, arguments, pictures = _fused(layer)
        conv, choice = layer.conv, layer.choice
        for known, fused, scheduled in self.known:
            if _same_loops(known, layer) and tvm_ffi.structural_equal(fused, func):
                return scheduled, arguments
        scheduled = choice.variant.schedule(bind_repeated_reads(func), conv.op, choice.parameters)
        if conv.stack is not None:
            scheduled = on_volumes(scheduled, conv.stack, shape_of(conv.data) or (), pictures)
        scheduled = scheduled.with_attr(VARIANT_ATTRIBUTE, choice.variant.name)
        # Nothing may be fused into a function that is already scheduled.
        scheduled = opaque(scheduled)
        self.known.append((layer, func, scheduled))
        return scheduled, arguments


def _same_loops(a: LoweredLayer, b: LoweredLayer) -> bool:
    """Whether one algorithm computes both over the same pictures."""
    if (a.conv.op, a.choice, a.conv.stack) != (b.conv.op, b.choice, b.conv.stack):
        return False
    return a.conv.stack is None or same_shape(shape_of(a.conv.data), shape_of(b.conv.data))


def _fused(layer: LoweredLayer) -> tuple[tvm.tirx.PrimFunc, list[relax.Expr], list[int]]:
    """Algorithm and epilogue as one unscheduled PrimFunc, made by Relax's own fusion.

    With its arguments, and which of them are operands as large as the output.
    """
    conv, variant, parameters = layer.conv, layer.choice.variant, layer.choice.parameters
    builder = relax.BlockBuilder()
    packed = variant.pack_weights(conv.weight, conv.op, parameters)
    packed = packed.astype(variant.weight_dtype(conv.dtype), copy=False)
    inputs = _Parameters()
    # Sizes get variables of their own: a function can only read a size that is a whole dimension
    # of a parameter, and the network may have h*2 there.
    n, channels, h, w = (
        dim if isinstance(dim, int) else tvm.tirx.Var(name, "int64")
        for name, dim in zip("nchw", conv.picture, strict=True)
    )
    x = inputs.add(conv.data, (n, channels, h, w), apart=conv.stack is not None)
    out_shape = conv.op.output_shape(n, h, w)
    weight = inputs.add(relax.const(packed))
    emit = _EpilogueEmitter(layer, builder, inputs, out_shape)
    emit.declare()
    with builder.function("layer", inputs.variables, attrs={"Primitive": True}, private=True):
        with builder.dataflow():

            def algorithm(x: te.Tensor, weight: te.Tensor) -> te.Tensor:
                return variant.compute(conv.op, parameters, x, weight)

            result = emit(builder.emit_te(algorithm, x, weight, primfunc_name_hint=variant.name))
            output = builder.emit_output(result)
        primitive = builder.emit_func_output(output)
    # FuseTIR makes a PrimFunc of a primitive function where it is called.
    outer = [relax.Var(var.name, var.ty) for var in inputs.variables]
    with builder.function("main", outer):
        with builder.dataflow():
            output = builder.emit_output(relax.Call(primitive, outer))
        builder.emit_func_output(output)
    mod = relax.transform.LegalizeOps()(builder.finalize())
    mod = relax.transform.FuseTIR()(mod)
    (func,) = (f for _, f in mod.functions_items() if isinstance(f, tvm.tirx.PrimFunc))
    return func, inputs.arguments, emit.pictures


class _Parameters:
    """Parameters of the fused function and what they stand for outside."""

    def __init__(self) -> None:
        self.arguments: list[relax.Expr] = []
        self.variables: list[relax.Var] = []
        self._shared: list[tuple[relax.Expr, relax.Var]] = []

    def add(
        self, argument: relax.Expr, shape: tuple[Any, ...] | None = None, *, apart: bool = False
    ) -> relax.Var:
        """The parameter for ``argument``; ``shape`` is in the function's own variables.

        One that stands ``apart`` is not that of the same argument elsewhere: stacks of one volume
        may differ.
        """
        for have, var in self._shared:
            if have.same_as(argument):
                return var
        self.arguments.append(argument)
        ty = argument.ty if shape is None else relax.TensorType(shape, dtype_of(argument))
        self.variables.append(relax.Var(f"p{len(self.variables)}", ty))
        if not apart:
            self._shared.append((argument, self.variables[-1]))
        return self.variables[-1]


class _EpilogueEmitter:
    """Re-emits the epilogue on NCHW tensors, phase constants included."""

    def __init__(
        self,
        layer: LoweredLayer,
        builder: relax.BlockBuilder,
        parameters: _Parameters,
        out_shape: tuple[Any, ...],
    ) -> None:
        self.graph, self.conv, self.epilogue = layer.graph, layer.conv, layer.epilogue
        self.lanes = layer.choice.parameters.lanes
        self.builder, self.parameters, self.out_shape = builder, parameters, out_shape
        self.operands: dict[tuple[relax.Var, int], Any] = {}
        self.lines: dict[relax.Expr, relax.Var] = {}
        self.large: list[relax.Var] = []

    def declare(self) -> None:
        """Turn every operand from outside into a parameter, before the function begins."""
        inside = {self.conv.var, *self.epilogue.members}
        for var in self.epilogue.members:
            call = self.graph.value(var)
            assert isinstance(call, relax.Call)
            border = read_border(self.graph, var)
            for axis, line in () if border is None else border.lines.items():
                self.lines[line] = self._line(line, axis)
            for index, operand in enumerate(call.args):
                if operand not in inside and isinstance(operand.ty, relax.TensorType):
                    self.operands[var, index] = self._outside(operand, self.graph.op(var))

    @property
    def pictures(self) -> list[int]:
        """Positions of the parameters that are as large as the output."""
        return [i for i, var in enumerate(self.parameters.variables) if var in self.large]

    def __call__(self, value: relax.Expr) -> relax.Expr:
        values: dict[relax.Var, relax.Expr] = {self.conv.var: value}
        for var in self.epilogue.members:
            call = self.graph.value(var)
            assert isinstance(call, relax.Call)
            border = read_border(self.graph, var)
            if border is not None:
                lines = {axis: self.lines[line] for axis, line in border.lines.items()}
                values[var] = emit_border(self.builder, values[border.y], lines, border.counts)
                continue
            arguments = [
                values[a] if a in values else self._operand(var, i, a, value)
                for i, a in enumerate(call.args)
            ]
            if self.graph.op(var) == RESHAPE:
                # To and from (N, O, H, r_h, W, r_w): the same elements in the same order.
                values[var] = arguments[0]
            else:
                values[var] = self.builder.emit(relax.Call(call.op, arguments, call.attrs))
        return values[self.epilogue.result]

    def _line(self, line: relax.Expr, axis: int) -> relax.Var:
        """The parameter for what is added to outermost rows (``axis`` 2) or columns (3)."""
        n, _, oh, ow = self.out_shape
        _, channels, _, _ = shape_of(line) or ()
        return self.parameters.add(line, (n, channels, 1, ow if axis == 2 else oh))

    def _outside(self, operand: relax.Expr, reader: str | None) -> Any:
        constant = self.graph.constant(operand)
        if constant is None:
            self.large.append(self.parameters.add(operand, self.out_shape))
            return self.large[-1]
        if self.conv.stack is not None:
            constant = without_depth(constant)
            assert constant is not None
        if constant.size == 1 and reader in _WITH_NUMBERS and constant.dtype.kind == "f":
            return tensor_constant(constant.reshape(()))
        if constant.ndim == 6:
            rows = _phase_rows(constant, self.conv.op, self.lanes)
            return _PhaseTable(self.parameters.add(tensor_constant(rows)))
        return self.parameters.add(tensor_constant(constant))

    def _operand(self, var: relax.Var, index: int, operand: Any, like: relax.Expr) -> Any:
        known = self.operands.get((var, index), operand)
        if not isinstance(known, _PhaseTable):
            return known
        _, c, oh, ow = like.ty.shape.values

        def phase_values(table: te.Tensor) -> te.Tensor:
            channels, rh, period = (int(dim) for dim in table.shape)
            return te.compute(
                (1, c, oh, ow),
                lambda _, o, i, j: table[o if channels > 1 else 0, i % rh, j % period],
            )

        return self.builder.emit_te(phase_values, known.values, primfunc_name_hint="phase_values")


class _PhaseTable:
    """A constant with one value per channel and phase: a parameter made by ``_phase_rows``."""

    def __init__(self, values: relax.Var) -> None:
        self.values = values


def _phase_rows(constant: np.ndarray, op: ConvTranspose2d, lanes: int) -> np.ndarray:
    """(1, C or 1, 1, r_h or 1, 1, r_w or 1) as rows of output columns (C or 1, r_h, r_w*lanes).

    A row holds its r_w values ``lanes`` times, so that the values for a vector of outputs lie side
    by side, whichever vector of a register tile it is.
    """
    rh, rw = op.strides
    phases = np.broadcast_to(constant[0, :, 0, :, 0, :], (constant.shape[1], rh, rw))
    return np.tile(phases, (1, 1, lanes))
