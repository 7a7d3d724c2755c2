"""TVM's legalisation and fusion, with our own code for padding, quantization and reshapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import tvm
from tvm import relax, te, tirx, topi
from tvm.relax.backend.cpu_generic import pipeline as stock
from tvm.target import Target

from tvm_deconv.annotations import CONCATENATED, RESHAPED
from tvm_deconv.pads import pad_by_sizes
from tvm_deconv.patterns.layouts import begins_and_ends
from tvm_deconv.relax_functions import CALL_TIR

from .exact import LEGALIZATIONS
from .fuse import FuseNamed
from .graph import CONCAT, PAD, dtype_of, shape_of
from .keep_bytes import QUANTIZE

_FUSION = "FuseOps"
_RESHAPES = ("relax.flatten", "relax.reshape")
# All of their values are numbers of float32.
_STORED = ("int8", "uint8", "int16", "uint16")
_POOLS = {f"relax.nn.max_pool{n}d": getattr(topi.nn, f"pool{n}d") for n in (1, 2, 3)}


def legalize_passes(target: Target) -> list[tvm.transform.Pass]:
    """From operators to fused functions; TVM has the same passes for every kind of device."""
    _, *rest = stock.legalize_passes(target)
    pools = {name: _max_pool(pool) for name, pool in _POOLS.items()}
    reshapes = dict.fromkeys(_RESHAPES, _reshape)
    own = {PAD: _pad, QUANTIZE: _quantize, CONCAT: _concat_once()}
    own |= {**pools, **reshapes, **LEGALIZATIONS}
    rest = [FuseNamed() if made.info.name == _FUSION else made for made in rest]
    return [relax.transform.LegalizeOps(own), *rest]


def _stock(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    return call.op.get_attr("FLegalize")(builder, call)


def _concat_once() -> Callable[..., relax.Expr]:
    """TVM's, marked, one function for all of the same fixed sizes: dense blocks have hundreds."""
    known: dict[tuple, tirx.PrimFunc] = {}

    def legalize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        parts = call.args[0]
        tensors = parts.fields[:] if isinstance(parts, relax.Tuple) else []
        shapes = [shape_of(tensor) for tensor in tensors]
        is_fixed = bool(shapes) and all(
            shape and all(isinstance(size, int) for size in shape) for shape in shapes
        )
        key = (call.attrs.axis, dtype_of(call), *shapes)
        if is_fixed and key in known:
            return relax.call_tir(builder.add_func(known[key], "concatenate"), parts, call.ty)
        made = _stock(builder, call)
        axis, rank = call.attrs.axis, len(call.ty.shape.values) if call.ty.shape else 0
        if not (isinstance(made, relax.Call) and made.op == CALL_TIR and rank):
            return made
        kernel = made.args[0]
        marked = builder.get()[kernel].with_attr(
            CONCATENATED, 0 if axis is None else int(axis) % rank
        )
        builder.update_func(kernel, marked)
        if is_fixed:
            known[key] = marked
        return made

    return legalize


def _reshape(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """Marked, where nobody could tell from the quotients and remainders of free sizes."""
    made = _stock(builder, call)
    shapes = [shape_of(side) for side in (call, call.args[0])]
    known = all(isinstance(size, int) for shape in shapes for size in shape or ())
    if known or not isinstance(made, relax.Call) or made.op != CALL_TIR:
        return made
    kernel = made.args[0]
    builder.update_func(kernel, builder.get()[kernel].with_attr(RESHAPED, True))
    return made


def _pad(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """TVM's repeats every axis, also where nothing is added: reads that take long to simplify.

    Sizes are in the words of the call: FuseTIR does not take TVM's h - 5 for h - 7 + 2.
    """
    mode, out = str(call.attrs.pad_mode), shape_of(call)
    fixed = out is not None and all(isinstance(size, int) for size in out)
    if out is None or (mode == "constant" and fixed):
        return _stock(builder, call)
    befores = [int(width) for width in call.attrs.pad_width][::2]
    value = float(call.attrs.pad_value)
    return builder.call_te(pad_by_sizes, call.args[0], befores, out, mode, value)


def _quantize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """As ONNX Runtime does it: NaN is the least integer, and float16 is divided as float32."""
    dtype, axis = str(call.attrs.out_dtype), int(call.attrs.axis)
    if dtype not in _STORED:
        return _stock(builder, call)
    low, high = (
        tirx.const(float(end(dtype).value), "float32") for end in (tirx.min_value, tirx.max_value)
    )
    scale, zero = (_number(argument) for argument in call.args[1:3])

    def quantize(x: te.Tensor, *tensors: te.Tensor) -> te.Tensor:
        given = iter(tensors)
        parameters = [next(given) if isinstance(p, relax.Expr) else p for p in (scale, zero)]

        def stored(*at: Any) -> Any:
            by, offset = (_at(p, at, axis) for p in parameters)
            units = te.round(x(*at).astype("float32") / by) + offset
            # In this order ``schedules.tir.nan_maxima`` makes the lower limit of NaN.
            return tirx.min(tirx.max(units, low), high).astype(dtype)

        return te.compute(x.shape, stored, name="quantized")

    tensors = [p for p in (scale, zero) if isinstance(p, relax.Expr)]
    return builder.call_te(quantize, call.args[0], *tensors, primfunc_name_hint="quantize")


def _number(parameter: relax.Expr) -> Any:
    """A constant without axes as a number of float32; anything else as it is."""
    if not isinstance(parameter, tvm.ir.GenericConst) or parameter.ty.ndim:
        return parameter
    return tirx.const(float(parameter.value.numpy()), "float32")


def _at(parameter: Any, at: Sequence[Any], axis: int) -> Any:
    """The element for the place ``at`` of a tensor of one, or of one for each along ``axis``."""
    if not isinstance(parameter, te.Tensor):
        return parameter
    one = all(isinstance(size, tirx.IntImm) and size.value == 1 for size in parameter.shape)
    place = [0] * len(parameter.shape) if one else [at[axis]]
    return parameter(*place).astype("float32")


def _max_pool(pool: Callable[..., te.Tensor]) -> Callable[..., relax.Expr]:
    """TVM's padding is the smallest finite number, which is larger than a map's -inf."""

    def legalize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        attrs, x = call.attrs, call.args[0]
        layout = str(attrs.layout)
        widths = [int(width) for width in attrs.padding]
        is_float = str(dtype_of(x)).startswith("float")
        places = [layout.index(axis) for axis in "DHW" if axis in layout]
        sizes, out = (_along(places, y) for y in (x, call))
        is_fixed = all(isinstance(size, int) for size in (*sizes, *out))
        goes_beyond = any(widths) if not attrs.ceil_mode else is_fixed
        if not goes_beyond or not is_float or attrs.out_layout != layout:
            return _stock(builder, call)
        sides = begins_and_ends(widths, len(places))
        both = [dict(zip(places, side, strict=True)) for side in sides]
        before, after = ([side.get(axis, 0) for axis in range(len(layout))] for side in both)
        if attrs.ceil_mode:
            # As far as the last window reaches.
            windows = zip(attrs.pool_size, attrs.strides, attrs.dilation, strict=True)
            for place, size, count, numbers in zip(places, sizes, out, windows, strict=True):
                kernel, stride, dilation = map(int, numbers)
                end = (count - 1) * stride + (kernel - 1) * dilation + 1
                after[place] = max(end - size - before[place], 0)

        def max_pool(x: te.Tensor) -> te.Tensor:
            padded = topi.nn.pad(x, before, after, -math.inf)
            windows = attrs.pool_size, attrs.strides, attrs.dilation, [0] * len(widths)
            return pool(padded, *windows, pool_type="max", ceil_mode=False, layout=layout)

        hint = str(call.op.name).rsplit(".", 1)[-1]
        return builder.call_te(max_pool, x, primfunc_name_hint=hint)

    return legalize


def _along(places: list[int], x: relax.Expr) -> list[Any]:
    shape = shape_of(x)
    return [None] if shape is None else [shape[place] for place in places]
