"""``LowerConvolutions``: convolutions and their epilogues to scheduled TensorIR functions.

    y = conv2d_transpose(x, W); y = relu(add(y, b))
    => y = call_tir(conv_epilogue, (x, packed W, b))

``conv_epilogue`` is a variant of ``tvm_deconv.schedules`` with the pointwise operators inlined into
its store, scheduled for the target, with the weights packed at compile time.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import tvm
import tvm_ffi
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import opaque, with_rebuilt
from tvm_deconv.schedules.cpu.processors import available_processors
from tvm_deconv.schedules.tir.bindings import bind_repeated_reads
from tvm_deconv.schedules.tir.stacks import of_stack, on_volumes, with_sizes
from tvm_deconv.transform.choosing import ChooserSpec, chooser_for
from tvm_deconv.transform.exact import LEGALIZATIONS
from tvm_deconv.transform.graph import Graph, same_shape, shape_of
from tvm_deconv.transform.rebind import rebind

from .activations import with_activations
from .budget import within_budget
from .emitter import Argument, EpilogueEmitter, Parameters
from .layers import LoweredLayer, layers_of, operator
from .repeated import RepeatedRows

# A layer, and its weights as they are being packed.
_Packing: TypeAlias = tuple[LoweredLayer, Future[relax.Expr]]

# The attribute of a function that names its variant; its global symbol begins with the name, too.
VARIANT_ATTRIBUTE = "tvm_deconv.variant"


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerConvolutions")
class LowerConvolutions:
    """Relax module pass: ``conv2d_transpose`` and stride-1 ``conv2d`` to scheduled PrimFuncs.

    So are ``conv3d_transpose`` and stride-1 ``conv3d`` for a CPU, in NCDHW (``algebra.volumes``):
    a function for each phase of the depth, the later ones of which write in place.

    Lowers layers in NCHW with constant weights, float32 or float16, any kernel, dilation, groups
    and padding, static or symbolic N, H, W; accumulates in float32, unless ``accumulate`` is
    ``"float16"``. Other layers stay as they are.
    ``target``, ``options`` (``variant``, ``winograd``, ``log``, ``max_weight_growth``,
    ``accumulate``) and what is raised are those of ``tvm_deconv.transform.choosing.chooser_for``.
    Each function is called after its variant and operator (``revd2_conv2d_transpose``) and has the
    former in ``VARIANT_ATTRIBUTE``.
    """

    def __init__(self, target: ChooserSpec, **options: Any) -> None:
        self.chooser = chooser_for(target, options)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every layer lowered that a variant computes."""
        # Aliases (y = x) would hide the epilogue behind a rewritten layer.
        canonical = relax.transform.CanonicalizeBindings()(mod)

        def rebuild(work: tvm.IRModule, func: relax.Function) -> _Rebuild | None:
            found = layers_of(Graph(func, work), self.chooser)
            lowered = [layer for layer in found if isinstance(layer, LoweredLayer)]
            layers: dict[relax.Var, list[_Packing]] = {}
            for layer in with_activations(within_budget(lowered, self.chooser).layers):
                packing = layer, pool.submit(_packed, layer)
                layers.setdefault(layer.epilogue.result, []).append(packing)
            return _Rebuild(work, layers) if layers else None

        # NumPy lets other threads run while it computes: one of them schedules the first kernels.
        with ThreadPoolExecutor(available_processors()) as pool:
            lowered = with_rebuilt(canonical, rebuild)
        return mod if lowered is canonical else lowered


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the result of each layer by a call of its function; the rest is copied.

    Where several layers make one result, those after the first write into the first one's.
    """

    def __init__(self, mod: tvm.IRModule, layers: dict[relax.Var, list[_Packing]]) -> None:
        super().__init__(mod)
        self.layers = layers
        self.kernel_of = _Kernels(self.builder_)

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        layers = self.layers.get(binding.var)
        if layers is None:
            super().visit_var_binding_(binding)
            return
        call = None
        for layer, weight in layers:
            callee, arguments = self.kernel_of(layer, weight.result())
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


def _packed(layer: LoweredLayer) -> relax.Expr:
    """The weights of a layer as its kernel reads them."""
    conv, variant = layer.conv, layer.choice.variant
    packed = variant.pack_weights(conv.weight, conv.op, layer.choice.parameters)
    return relax.const(packed.astype(variant.weight_dtype(conv.dtype), copy=False))


class _Kernels:
    """The function of each layer; layers that differ in nothing but their weights share one."""

    def __init__(self, builder: relax.BlockBuilder) -> None:
        self.builder = builder
        self.known: dict[Any, list[tuple[LoweredLayer, tvm.IRModule, tvm.ir.GlobalVar]]] = {}

    def __call__(
        self, layer: LoweredLayer, weight: relax.Expr
    ) -> tuple[tvm.ir.GlobalVar, list[Argument]]:
        """The scheduled function, and its arguments in the original function's terms."""
        parts = _Parts(layer, weight)
        # Compared before the sums are written out, which takes longer than anything else here: a
        # network has hundreds of layers of a handful of kinds.
        store = parts.store()
        conv, choice = layer.conv, layer.choice
        loops = conv.op, choice.variant.name, choice.parameters, conv.stack
        alike = self.known.setdefault(loops, [])
        for known, its_store, callee in alike:
            if _same_volumes(known, layer) and tvm_ffi.structural_equal(its_store, store):
                return callee, parts.arguments
        func = bind_repeated_reads(_Parts(layer, weight).fused())
        if conv.stack is not None:
            func = of_stack(func)
        func = choice.variant.schedule(func, conv.op, choice.parameters)
        if conv.stack is not None:
            shape, has_sizes = shape_of(conv.data) or (), parts.inputs.names is not None
            func = on_volumes(func, conv.stack, shape, parts.pictures, has_sizes)
        func = func.with_attr(VARIANT_ATTRIBUTE, choice.variant.name)
        # Nothing may be fused into a function that is already scheduled.
        callee = self.builder.add_func(opaque(func), _kernel_name(layer))
        alike.append((layer, store, callee))
        return callee, parts.arguments


def _same_volumes(a: LoweredLayer, b: LoweredLayer) -> bool:
    """Whether both are over volumes of the same size, or over none."""
    return a.conv.stack is None or same_shape(shape_of(a.conv.data), shape_of(b.conv.data))


class _Parts:
    """What a layer's function is made of, and its ``arguments`` in the original function's terms.

    ``weight`` are the packed weights. ``pictures`` are the positions of arguments that are operands
    as large as the output.
    """

    def __init__(self, layer: LoweredLayer, weight: relax.Expr) -> None:
        self.layer = layer
        conv = layer.conv
        self.builder = relax.BlockBuilder()
        self.inputs = Parameters()
        # Sizes get variables of their own: a function can only read a size that is a whole
        # dimension of a parameter, and the network may have h*2 there.
        n, channels, h, w = (
            dim if isinstance(dim, int) else tvm.tirx.Var(name, "int64")
            for name, dim in zip("nchw", conv.picture, strict=True)
        )
        self.x = self.inputs.add(layer.source, (n, channels, h, w), apart=conv.stack is not None)
        self.out_shape = conv.op.output_shape(n, h, w)
        self.weight = self.inputs.add(weight)
        self.emit = EpilogueEmitter(layer, self.builder, self.inputs, self.out_shape)
        self.emit.declare()

    @property
    def arguments(self) -> list[Argument]:
        return self.inputs.arguments

    @property
    def pictures(self) -> list[int]:
        return self.emit.pictures

    def store(self) -> tvm.IRModule:
        """What is done with x and the sums: a function of them, besides the parameters."""
        builder, ty = self.builder, relax.TensorType(self.out_shape, self.layer.conv.dtype)
        sums = relax.Var("sums", ty)
        with builder.function("store", [*self.inputs.declared, sums]):
            with builder.dataflow():
                data = builder.emit_output(self._data())
                result = builder.emit_output(self.emit(sums))
            builder.emit_func_output(relax.Tuple([data, result]))
        return builder.finalize()

    def _data(self) -> relax.Expr:
        """What is convolved: x, or its activation."""
        call = self.layer.activation
        if call is None:
            return self.x
        return self.builder.emit(relax.Call(call.op, [self.x], call.attrs))

    def fused(self) -> tvm.tirx.PrimFunc:
        """Algorithm and epilogue as one unscheduled PrimFunc, made by Relax's own fusion."""
        conv, builder, inputs = self.layer.conv, self.builder, self.inputs
        variant, parameters = self.layer.choice.variant, self.layer.choice.parameters
        with builder.function("layer", inputs.declared, attrs={"Primitive": True}, private=True):
            with builder.dataflow():

                def algorithm(x: te.Tensor, weight: te.Tensor) -> te.Tensor:
                    return variant.compute(conv.op, parameters, x, weight)

                sums = builder.emit_te(
                    algorithm, self._data(), self.weight, primfunc_name_hint=variant.name
                )
                output = builder.emit_output(self.emit(sums))
            primitive = builder.emit_func_output(output)
        # FuseTIR makes a PrimFunc of a primitive function where it is called.
        outer = [relax.Var(var.name, var.ty) for var in inputs.declared]
        with builder.function("main", outer):
            with builder.dataflow():
                output = builder.emit_output(relax.Call(primitive, outer))
            builder.emit_func_output(output)
        mod = relax.transform.LegalizeOps(LEGALIZATIONS)(builder.finalize())
        mod = relax.transform.FuseTIR()(mod)
        (func,) = (f for _, f in mod.functions_items() if isinstance(f, tvm.tirx.PrimFunc))
        return func if inputs.names is None else with_sizes(func)
