"""A candidate as MetaSchedule sees it: the plain definition of a layer, annotated.

MetaSchedule searches over schedules of one TensorIR function. Tile sizes of our variants are more
than that: they change the definition, the packed weights included. So the function that it sees is
the plain definition of the layer, which says what is computed and nothing about how, and a
candidate is that function with the variant and its parameters as annotations. Only the builder
(``build``) makes a kernel of it.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.logs.trial import candidate_from
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

# Attribute of the plain definition: the layer in words.
LAYER_ATTRIBUTE = "tvm_deconv.layer"
# Annotations of its block begin with this: ``tvm_deconv.variant``, ``tvm_deconv.rows``, ...
_PREFIX = "tvm_deconv."
_VARIANT = _PREFIX + "variant"
_BLOCK = "y"
# Of products of bytes.
SUM_DTYPE = "int32"


def definition(layer: Layer) -> tvm.IRModule:
    """The plain definition: ``main(x NCHW, weight IOHW, y NCHW)``, and the layer as attribute.

    y[n, o, oh, ow] = sum of x[n, i, ih, iw] * weight[i, o, kh, kw] over all i, kh, kw for which
    ih = (oh + p - d*kh) / s and iw likewise are integers inside the input. Of bytes y are the sums.
    """
    conv = layer.conv
    _, height, width = layer.fixed
    dtype, weight_dtype = layer.operands
    sums = SUM_DTYPE if layer.is_of_bytes else ACCUMULATE_DTYPE
    x = te.placeholder(layer.input_shape, dtype, "x")
    weight = te.placeholder(conv.weight_shape, weight_dtype, "weight")
    ic = te.reduce_axis((0, conv.group_inputs), "ic")
    kh = te.reduce_axis((0, conv.h.kernel), "kh")
    kw = te.reduce_axis((0, conv.w.kernel), "kw")

    def source(axis: Axis, o: Any, k: Any, size: int) -> tuple[Any, Any]:
        reached = o + axis.pad_begin - axis.dilation * k
        index = tirx.floordiv(reached, axis.stride)
        whole = tirx.floormod(reached, axis.stride) == 0
        return index, tirx.all(whole, index >= 0, index < size)

    def element(n: Any, o: Any, oh: Any, ow: Any) -> Any:
        group, within = o // conv.group_outputs, o % conv.group_outputs
        (ih, row), (iw, column) = source(conv.h, oh, kh, height), source(conv.w, ow, kw, width)
        channel = group * conv.group_inputs + ic
        pair = x[n, channel, ih, iw], weight[channel, within, kh, kw]
        if layer.is_of_bytes:
            pair = tuple(operand.astype(sums) for operand in pair)
        term = (pair[0] * pair[1]).astype(sums)
        zero = tirx.const(0, sums)
        live = tirx.if_then_else(tirx.all(row, column), term, zero)
        return te.sum(live, axis=[ic, kh, kw])

    y = te.compute(layer.output_shape, element, name=_BLOCK)
    func = te.create_prim_func([x, weight, y], index_dtype_override="int64")
    func = func.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)
    return tvm.IRModule({"main": func.with_attr(LAYER_ATTRIBUTE, str(layer))})


def is_layer(mod: tvm.IRModule) -> bool:
    """Whether a module is a ``definition``, with or without annotations."""
    return LAYER_ATTRIBUTE in (mod["main"].attrs or {})


def annotate(sch: Schedule, variant: str, point: dict[str, Any]) -> None:
    """Write a variant and its parameters (numbers or sampled variables) into a definition."""
    block = sch.get_sblock(_BLOCK)
    sch.annotate(block, _VARIANT, variant)
    for name, value in point.items():
        sch.annotate(block, _PREFIX + name, value)


def candidate_of(sch: Schedule, machine: Machine) -> Candidate:
    """What ``annotate`` wrote into a ``definition``: names are those of the machine's variants.

    Raises LogError for a variant that is not known, VariantError for parameters that it has not.
    """
    layer = Layer.parse(str(sch.mod["main"].attrs[LAYER_ATTRIBUTE]))
    found = sch.get(sch.get_sblock(_BLOCK)).annotations
    noted = {str(name): value for name, value in found.items() if str(name).startswith(_PREFIX)}
    variant = str(noted.pop(_VARIANT))
    point = {name.removeprefix(_PREFIX): int(value) for name, value in noted.items()}
    return candidate_from(layer, variant, point, machine)
