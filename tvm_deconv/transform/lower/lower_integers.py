"""``LowerIntegers``: convolutions and products of dequantized bytes to functions of the bytes.

What has the same geometry, form and store shares one function; weights and scales are arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.patterns.graph import Refused
from tvm_deconv.relax_functions import holds, opaque, with_rebuilt
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.cpu.integer.variant import INTEGER
from tvm_deconv.transform.choosing import ChooserSpec, chooser_for, refuse_ignored
from tvm_deconv.transform.graph import (
    Graph,
    known_sizes,
    op_name,
    own_names,
    same_shape,
    shape_of,
)
from tvm_deconv.transform.graph import constant as tensor_constant
from tvm_deconv.transform.keep_bytes import DEQUANTIZE
from tvm_deconv.transform.rebind import rebind

from .byte_layer import ByteLayer
from .integer_choice import function_of, multiplies_bytes
from .integer_products import PairLayer, ProductLayer, product_layer
from .integers import IntegerLayer, integer_layer
from .layers import operator

_RESHAPE = "relax.reshape"
# Options of ``LowerConvolutions`` that say nothing about bytes.
_OF_FLOATS = ("variant", "max_weight_growth", "accumulate")


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerIntegers")
class LowerIntegers:
    """Relax module pass: ``quantize(act(conv(dequantize(x), w) + b))`` to one scheduled PrimFunc.

    Takes what ``LowerConvolutions`` takes, of any size, fixed or free, where x is uint8 or int8 of
    one scale and the weights are integers times a scale for each output channel, unless float32 is
    faster, in whose forms ``winograd`` counts Winograd's; and, on processors, such products of a
    matrix and a constant one. Anything else stays as it is, as does a
    module for a GPU that does not multiply bytes. ``log`` may hold tiles that were measured on a
    processor. To run before that pass, when weights are constants. Each function is called
    ``integer_conv2d_transpose``, ``integer_conv2d`` or ``integer_matmul``. Arguments and what is
    raised are those of that pass, but for ``variant``, ``max_weight_growth`` and
    ``accumulate``, which are of floats.
    """

    def __init__(self, target: ChooserSpec, **options: Any) -> None:
        of_floats = {name: options[name] for name in _OF_FLOATS if name in options}
        refuse_ignored(of_floats, "it is of floats, say it to LowerConvolutions")
        self.chooser = chooser_for(target, options)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every such layer lowered; itself where there is none."""
        is_meant = multiplies_bytes(self.chooser.machine)
        if not is_meant or not any(map(has_bytes, dict(mod.functions).values())):
            return mod
        canonical = relax.transform.CanonicalizeBindings()(mod)

        def rebuild(work: tvm.IRModule, func: relax.Function) -> _Rebuild | None:
            if not has_bytes(func):
                return None
            graph = Graph(func, work)
            found: list[ByteLayer] = [
                *layers_of_integers(graph, self.chooser),
                *products_of_integers(graph, self.chooser),
            ]
            layers = {layer.result: layer for layer in found}
            return _Rebuild(work, graph, layers) if layers else None

        lowered = with_rebuilt(canonical, rebuild)
        return mod if lowered is canonical else lowered


def has_bytes(func: tvm.ir.BaseFunc) -> bool:
    """Whether anything of a Relax function is dequantized."""
    is_relax = isinstance(func, relax.Function)
    return is_relax and holds(func, lambda expr: op_name(expr) == DEQUANTIZE)


def layers_of_integers(graph: Graph, chooser: Chooser) -> list[IntegerLayer]:
    """What of a function is computed in integers, in order."""
    live = (var for var in graph.order if var in graph.live)
    found = (integer_layer(graph, var, chooser.machine, chooser.preferences) for var in live)
    return [layer for layer in found if isinstance(layer, IntegerLayer)]


def products_of_integers(graph: Graph, chooser: Chooser) -> list[ProductLayer | PairLayer]:
    """Products of matrices that are computed in integers."""
    found = (layer for _, layer in products_of_bytes(graph, chooser))
    return [layer for layer in found if isinstance(layer, ProductLayer | PairLayer)]


def products_of_bytes(
    graph: Graph, chooser: Chooser
) -> Iterator[tuple[relax.Var, ProductLayer | PairLayer | Refused]]:
    """Products of dequantized matrices, each with the layer that it is, or why it is none."""
    for var in graph.order:
        layer = product_layer(graph, var, chooser.machine) if var in graph.live else None
        if layer is not None:
            yield var, layer


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the result of each layer by a call of its function; the rest is copied."""

    def __init__(self, mod: tvm.IRModule, graph: Graph, layers: dict[relax.Var, ByteLayer]) -> None:
        super().__init__(mod)
        self.graph, self.layers = graph, layers
        self.known: list[tuple[Any, tuple[Any, ...], tvm.ir.GlobalVar]] = []

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        layer = self.layers.get(binding.var)
        if layer is None:
            if op_name(binding.value) == _RESHAPE:
                rebind(self, binding, self._viewed(binding.value.args[0], binding.var))
                return
            super().visit_var_binding_(binding)
            return
        arguments = [
            tensor_constant(operand)
            if isinstance(operand, np.ndarray)
            else self.visit_expr(operand)
            for operand in layer.operands
        ]
        shape, dtype = layer.var.ty.shape, binding.var.ty.dtype
        if layer.other is not None and not same_shape(shape_of(layer.other), shape_of(layer.var)):
            # What is added to phases that are apart, as the map that they are.
            at = len(layer.inputs) + len(layer.arrays) - 1
            arguments[at] = self.builder_.emit(self._viewed(layer.other, layer.var))
        made = relax.call_tir(self._callee(layer), arguments, relax.TensorType(shape, dtype))
        if not same_shape(shape_of(binding.var), shape_of(layer.var)):
            made = relax.op.reshape(self.builder_.emit(made), binding.var.ty.shape)
        rebind(self, binding, made)

    def _viewed(self, tensor: relax.Expr, like: relax.Var) -> relax.Expr:
        """``tensor`` as it is in the new function, of the shape of ``like``: a view of no view."""
        new = self.visit_expr(tensor)
        made = self.lookup_binding(new) if isinstance(new, relax.Var) else None
        if made is not None and op_name(made) == _RESHAPE:
            new = made.args[0]
        return (
            new
            if same_shape(shape_of(new), shape_of(like))
            else relax.op.reshape(new, like.ty.shape)
        )

    def _callee(self, layer: ByteLayer) -> tvm.ir.GlobalVar:
        # A function reads free sizes off its first arguments, by names of its own.
        sizes = known_sizes(layer.dims)
        for kernel, known, callee in self.known:
            if (kernel, known) == (layer.kernel, sizes):
                return callee
        func = opaque(function_of(layer.kernel, own_names(sizes)))
        is_conv = isinstance(layer, IntegerLayer)
        name = f"{INTEGER}_{operator(self.graph, layer.var) if is_conv else 'matmul'}"
        callee = self.builder_.add_func(func, name)
        self.known.append((layer.kernel, sizes, callee))
        return callee
