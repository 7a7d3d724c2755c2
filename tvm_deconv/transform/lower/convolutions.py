"""``LowerConvolutions``: convolutions and their epilogues to scheduled TensorIR functions.

    y = conv2d_transpose(x, W); y = relu(add(y, b))
    => y = call_tir(conv_epilogue, (x, packed W, b))

``conv_epilogue`` is a variant of ``tvm_deconv.schedules`` with the pointwise operators inlined into
its store, scheduled for the target, with the weights packed at compile time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

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
from tvm_deconv.schedules.choice import AUTO, Choice, Preferences
from tvm_deconv.schedules.tir.bindings import bind_repeated_reads
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.borders import emit_border, read_border
from tvm_deconv.transform.graph import BROADCAST, dtype_of, shape_of
from tvm_deconv.transform.graph import constant as tensor_constant
from tvm_deconv.transform.rebind import rebind

from .epilogue import RESHAPE
from .layers import LoweredLayer, layers_of, operator
from .repeated import RepeatedRows, read_repeated_rows

# The attribute of a function that names its variant; its global symbol begins with the name, too.
VARIANT_ATTRIBUTE = "tvm_deconv.variant"

# What a function is given: an expression of the original function, or rows made of one.
Argument: TypeAlias = relax.Expr | RepeatedRows

# Operators that TVM writes a number into; others, and numbers of other kinds, stay parameters.
_WITH_NUMBERS = BROADCAST - {"relax.where", "relax.ewise_fma"}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerConvolutions")
class LowerConvolutions:
    """Relax module pass: ``conv2d_transpose`` and stride-1 ``conv2d`` to scheduled PrimFuncs.

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
            layers = {
                layer.epilogue.result: layer for layer in found if isinstance(layer, LoweredLayer)
            }
            if layers:
                lowered = True
                rebuild = _Rebuild(result, layers)
                func = rebuild.visit_expr(func)
                result = rebuild.builder_.get()
                result.update_func(name, func)
        return relax.transform.DeadCodeElimination()(result) if lowered else mod


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the result of each layer by a call of its function; the rest is copied."""

    def __init__(self, mod: tvm.IRModule, layers: dict[relax.Var, LoweredLayer]) -> None:
        super().__init__(mod)
        self.layers = layers
        self.kernel_of = _Kernels()

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        layer = self.layers.get(binding.var)
        if layer is None:
            super().visit_var_binding_(binding)
            return
        func, arguments = self.kernel_of(layer)
        callee = self.builder_.add_func(func, _kernel_name(layer))
        remapped = [self._argument(argument) for argument in arguments]
        rebind(self, binding, relax.call_tir(callee, remapped, binding.var.ty))

    def _argument(self, argument: Argument) -> relax.Expr:
        if isinstance(argument, RepeatedRows):
            return argument.emit_small(self.builder_, self.visit_expr(argument.data))
        return self.visit_expr(argument) if isinstance(argument, relax.Var) else argument


def _kernel_name(layer: LoweredLayer) -> str:
    """``revd2_conv2d_transpose``, or ``revd2_conv2d`` for a convolution that was plain before."""
    return f"{layer.choice.variant.name}_{operator(layer.graph, layer.conv.var)}"


class _Kernels:
    """The function of each layer; layers that differ in nothing but their weights share one."""

    def __init__(self) -> None:
        self.known: list[tuple[ConvTranspose2d, Choice, tvm.tirx.PrimFunc, tvm.tirx.PrimFunc]] = []

    def __call__(self, layer: LoweredLayer) -> tuple[tvm.tirx.PrimFunc, list[Argument]]:
        """The scheduled function, and its arguments in the original function's terms."""
        func, arguments = _fused(layer)
        op, choice = layer.conv.op, layer.choice
        for known_op, known_choice, fused, scheduled in self.known:
            if (op, choice) == (known_op, known_choice) and tvm_ffi.structural_equal(fused, func):
                return scheduled, arguments
        scheduled = choice.variant.schedule(bind_repeated_reads(func), op, choice.parameters)
        scheduled = scheduled.with_attr(VARIANT_ATTRIBUTE, choice.variant.name)
        # Nothing may be fused into a function that is already scheduled.
        scheduled = opaque(scheduled)
        self.known.append((op, choice, func, scheduled))
        return scheduled, arguments


def _fused(layer: LoweredLayer) -> tuple[tvm.tirx.PrimFunc, list[Argument]]:
    """Algorithm and epilogue as one unscheduled PrimFunc, made by Relax's own fusion."""
    conv, variant, parameters = layer.conv, layer.choice.variant, layer.choice.parameters
    builder = relax.BlockBuilder()
    packed = variant.pack_weights(conv.weight, conv.op, parameters)
    packed = packed.astype(variant.weight_dtype(conv.dtype), copy=False)
    inputs = _Parameters()
    # Sizes get variables of their own: a function can only read a size that is a whole dimension
    # of a parameter, and the network may have h*2 there.
    n, channels, h, w = (
        dim if isinstance(dim, int) else tvm.tirx.Var(name, "int64")
        for name, dim in zip("nchw", shape_of(conv.data) or (), strict=True)
    )
    x = inputs.add(conv.data, (n, channels, h, w))
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
    return func, inputs.arguments


class _Parameters:
    """Parameters of the fused function and what they stand for outside."""

    def __init__(self) -> None:
        self.arguments: list[Argument] = []
        self.variables: list[relax.Var] = []

    def add(self, argument: relax.Expr, shape: tuple[Any, ...] | None = None) -> relax.Var:
        """The parameter for ``argument``; ``shape`` is in the function's own variables."""
        for have, var in zip(self.arguments, self.variables, strict=True):
            if not isinstance(have, RepeatedRows) and have.same_as(argument):
                return var
        ty = argument.ty if shape is None else relax.TensorType(shape, dtype_of(argument))
        return self._append(argument, ty)

    def add_rows(self, rows: RepeatedRows, shape: tuple[Any, ...]) -> relax.Var:
        """The parameter for the small map of ``rows``."""
        return self._append(rows, relax.TensorType(shape, dtype_of(rows.data)))

    def _append(self, argument: Argument, ty: relax.TensorType) -> relax.Var:
        self.arguments.append(argument)
        self.variables.append(relax.Var(f"p{len(self.variables)}", ty))
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
            rows = read_repeated_rows(self.graph, operand, set(self.epilogue.members))
            shape = None if rows is None else rows.small_shape(self.out_shape)
            if rows is None or shape is None:
                return self.parameters.add(operand, self.out_shape)
            return _Rows(rows, self.parameters.add_rows(rows, shape))
        if constant.size == 1 and reader in _WITH_NUMBERS and constant.dtype.kind == "f":
            return tensor_constant(constant.reshape(()))
        if constant.ndim == 6:
            table = _phase_rows(constant, self.conv.op, self.lanes)
            return _PhaseTable(self.parameters.add(tensor_constant(table)))
        return self.parameters.add(tensor_constant(constant))

    def _operand(self, var: relax.Var, index: int, operand: Any, like: relax.Expr) -> Any:
        known = self.operands.get((var, index), operand)
        if isinstance(known, _Rows):
            return known.rows.emit_large(self.builder, known.small, self.out_shape)
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


@dataclass(frozen=True)
class _Rows:
    """A residual whose rows repeat: a parameter of fewer rows."""

    rows: RepeatedRows
    small: relax.Var


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
