"""``LowerConvolutions``: convolutions and their epilogues to scheduled TensorIR functions.

    y = conv2d_transpose(x, W); y = relu(add(y, b))
    => y = call_tir(conv_epilogue, (x, packed W, b))

``conv_epilogue`` is a variant of ``tvm_deconv.schedules`` with the pointwise operators inlined into
its store, scheduled for the target, with the weights packed at compile time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tvm
import tvm_ffi
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.backends import machine_of
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec, resolve_log
from tvm_deconv.relax_functions import opaque, with_rebuilt
from tvm_deconv.schedules.choice import AUTO, Preferences
from tvm_deconv.schedules.tir.bindings import bind_repeated_reads
from tvm_deconv.schedules.tir.stacks import on_volumes
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.graph import same_shape, shape_of
from tvm_deconv.transform.rebind import rebind

from .emitter import Argument, EpilogueEmitter, Parameters
from .layers import LoweredLayer, layers_of, operator
from .repeated import RepeatedRows

# The attribute of a function that names its variant; its global symbol begins with the name, too.
VARIANT_ATTRIBUTE = "tvm_deconv.variant"


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
        canonical = relax.transform.CanonicalizeBindings()(mod)

        def rebuild(work: tvm.IRModule, func: relax.Function) -> _Rebuild | None:
            layers: dict[relax.Var, list[LoweredLayer]] = {}
            for layer in layers_of(work, func, self.machine, self.preferences):
                if isinstance(layer, LoweredLayer):
                    layers.setdefault(layer.epilogue.result, []).append(layer)
            return _Rebuild(work, layers) if layers else None

        lowered = with_rebuilt(canonical, rebuild)
        return mod if lowered is canonical else lowered


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
            remapped = [self._argument(argument) for argument in arguments]
            if call is None:
                call = relax.call_tir(callee, remapped, binding.var.ty)
            else:
                remapped.append(self.builder_.emit(call))
                place = len(remapped) - 1
                call = relax.op.call_tir_inplace(callee, remapped, place, binding.var.ty)
        rebind(self, binding, call)

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
        self.known: list[tuple[LoweredLayer, tvm.tirx.PrimFunc, tvm.tirx.PrimFunc]] = []

    def __call__(self, layer: LoweredLayer) -> tuple[tvm.tirx.PrimFunc, list[Argument]]:
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


def _fused(layer: LoweredLayer) -> tuple[tvm.tirx.PrimFunc, list[Argument], list[int]]:
    """Algorithm and epilogue as one unscheduled PrimFunc, made by Relax's own fusion.

    With its arguments, and which of them are operands as large as the output.
    """
    conv, variant, parameters = layer.conv, layer.choice.variant, layer.choice.parameters
    builder = relax.BlockBuilder()
    packed = variant.pack_weights(conv.weight, conv.op, parameters)
    packed = packed.astype(variant.weight_dtype(conv.dtype), copy=False)
    inputs = Parameters()
    # Sizes get variables of their own: a function can only read a size that is a whole dimension
    # of a parameter, and the network may have h*2 there.
    n, channels, h, w = (
        dim if isinstance(dim, int) else tvm.tirx.Var(name, "int64")
        for name, dim in zip("nchw", conv.picture, strict=True)
    )
    x = inputs.add(conv.data, (n, channels, h, w), apart=conv.stack is not None)
    out_shape = conv.op.output_shape(n, h, w)
    weight = inputs.add(relax.const(packed))
    emit = EpilogueEmitter(layer, builder, inputs, out_shape)
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
