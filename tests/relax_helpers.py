"""Building small Relax modules, and running them twice: in float64 NumPy and compiled by TVM."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import reference
import tvm
import tvm_ffi
from quick_network import built
from tvm import relax

from tvm_deconv.backends.views import ViewReshapes
from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import DecomposePixelShuffle, rewrite_upsampling

# Largest error of the compiled module relative to the largest value, per storage type.
TOLERANCE = {"float16": 4e-3, "float32": 2e-6, "float64": 1e-13}


def module(
    body: Callable[[relax.BlockBuilder, relax.Var], relax.Expr],
    shape: tuple[Any, ...],
    dtype: str = "float32",
    **parameters: tuple[int, ...],
) -> tvm.IRModule:
    """``main(x, **parameters)`` with one dataflow block; strings in ``shape`` are symbolic."""
    dims = [tvm.tirx.Var(d, "int64") if isinstance(d, str) else d for d in shape]
    x = relax.Var("x", relax.TensorType(dims, dtype))
    more = [relax.Var(name, relax.TensorType(dims, dtype)) for name, dims in parameters.items()]
    builder = relax.BlockBuilder()
    with builder.function("main", [x, *more]):
        with builder.dataflow():
            result = builder.emit_output(body(builder, x, *more))
        builder.emit_func_output(result)
    return builder.finalize()


CALL_TIR = tvm.ir.Op.get("relax.call_tir")


def kernels(model: Any) -> list[str]:
    """What the virtual machine calls for ``model``, in order; a view is no call."""
    host = resolve_target("host")
    with host:
        passes = [*before_schedules(host, Options(log=None)), ViewReshapes()]
        mod = tvm.transform.Sequential(passes)(load(model))
    values = [b.value for block in mod["main"].body.blocks for b in block.bindings]
    return [v.args[0].name_hint for v in values if getattr(v, "op", None) == CALL_TIR]


def constant(values: np.ndarray) -> relax.Expr:
    return relax.const(values, dtype=str(values.dtype))


def conv(
    builder: relax.BlockBuilder, x: relax.Expr, o: int = 8, k: int = 3, **attributes: Any
) -> relax.Var:
    """Emit a convolution of NCHW ``x`` to ``o`` channels, by default of the same size."""
    c = int(x.ty.shape.values[1].value) // attributes.get("groups", 1)
    attributes.setdefault("padding", k // 2)
    w = np.random.default_rng(o).standard_normal((o, c, k, k)).astype(str(x.ty.dtype))
    return builder.emit(relax.op.nn.conv2d(x, constant(w), **attributes))


def shuffle(builder, x, factor, order="CRD", layout="NCHW"):
    """A shuffle written as reshape, permute_dims, reshape; input and output have ``layout``."""
    rh, rw = factor
    n, c, h, w = (x.ty.shape.values[layout.index(name)] for name in "NCHW")
    o = c // (rh * rw)
    sizes = {"N": n, "O": o, "H": h, "W": w, "p": rh, "q": rw}
    channels = "Opq" if order == "CRD" else "pqO"
    split = layout.replace("C", channels)
    merged = "NOHpWq" if layout == "NCHW" else "NHpWqO"
    y = builder.emit(relax.op.reshape(x, [sizes[k] for k in split]))
    y = builder.emit(relax.op.permute_dims(y, [split.index(k) for k in merged]))
    shape = (n, o, h * rh, w * rw) if layout == "NCHW" else (n, h * rh, w * rw, o)
    return builder.emit(relax.op.reshape(y, shape))


def upsample(builder, x, factor, way, layout="NCHW"):
    """Nearest x factor, written in one of the ways that exporters use."""
    n, c, h, w = (x.ty.shape.values[layout.index(name)] for name in "NCHW")
    rh, rw = factor
    if way in ("half_pixel", "asymmetric"):
        rounding = {"half_pixel": "round", "asymmetric": "floor"}[way]
        size = relax.ShapeExpr([h * rh, w * rw])
        mode = {"coordinate_transformation_mode": way, "rounding_method": rounding}
        resize = relax.op.image.resize2d(x, size, layout=layout, method="nearest_neighbor", **mode)
        return builder.emit(resize)
    if way == "repeat":
        for name, count in (("H", rh), ("W", rw)):
            if count == 1:
                continue
            x = builder.emit(relax.op.repeat(x, count, axis=layout.index(name)))
        return x
    if way == "take":
        for name, size, count in (("H", h, rh), ("W", w, rw)):
            if count == 1:
                continue
            index = constant(np.arange(int(size.value) * count) // count)
            x = builder.emit(relax.op.take(x, index, axis=layout.index(name)))
        return x
    assert way == "broadcast"
    at_h, at_w = layout.index("H"), layout.index("W")
    x = builder.emit(relax.op.expand_dims(x, [at_h + 1, at_w + 2]))
    sizes = {"N": (n,), "C": (c,), "H": (h, rh), "W": (w, rw)}
    wide = [d for name in layout for d in sizes[name]]
    x = builder.emit(relax.op.broadcast_to(x, wide))
    merged = {"N": n, "C": c, "H": h * rh, "W": w * rw}
    return builder.emit(relax.op.reshape(x, [merged[name] for name in layout]))


def enlarged(builder, x, factor, layout="NCHW"):
    """``x`` enlarged linearly along height and width."""
    h, w = (x.ty.shape.values[layout.index(name)] for name in "HW")
    size = relax.ShapeExpr([h * factor[0], w * factor[1]])
    return builder.emit(relax.op.image.resize2d(x, size, layout=layout, method="linear"))


def compiled(mod: tvm.IRModule, *inputs: np.ndarray) -> np.ndarray:
    """Result of the module compiled by the stock pipeline for the host."""
    result = _built(tvm_ffi.StructuralKey(mod))(*(tvm.runtime.tensor(x) for x in inputs))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


@lru_cache(maxsize=64)
def _built(key: tvm_ffi.StructuralKey) -> Callable[..., Any]:
    """``main``, once for modules that are equal, weights and all: importers make many of those."""
    return built(DecomposePixelShuffle()(key.key))


def assert_close(got: np.ndarray, expected: np.ndarray, dtype: str) -> None:
    assert got.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    error = float(np.abs(got.astype(np.float64) - expected).max(initial=0)) / scale
    assert error <= TOLERANCE[dtype], f"relative error {error:.1e} for {dtype}"


def assert_rewritten_exactly(mod: tvm.IRModule, x: np.ndarray, dtype: str, gone: set[str]) -> None:
    """Every layer is rewritten, operators ``gone`` are, and the float64 values are the same."""
    new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    assert not gone & set(operators(new))
    expected = evaluate(mod, x.astype(np.float64))
    assert_close(evaluate(new, x.astype(np.float64)), expected, dtype)


def assert_compiles_to_the_same(mod: tvm.IRModule, x: np.ndarray, dtype: str) -> None:
    """The rewritten module, compiled, against the original evaluated in float64."""
    expected = evaluate(mod, x.astype(np.float64))
    got = compiled(rewrite_upsampling(mod)[0], x)
    scale = max(1.0, np.abs(expected).max())
    assert np.abs(got - expected).max() / scale < 10 * TOLERANCE[dtype]


def assert_rewritten_in_nhwc(mod: tvm.IRModule, shape: tuple[int, ...]) -> None:
    """The layouts that ConvertLayout leaves do not hide the one layer of a float32 network."""
    nhwc = relax.transform.ConvertLayout({"relax.nn.conv2d": ["NHWC", "OHWI"]})(mod)
    assert "permute_dims" in operators(nhwc)
    new, report = rewrite_upsampling(nhwc)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(2).standard_normal(shape).astype("float32")
    np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)


def assert_refused(mod: tvm.IRModule, reason: str) -> None:
    """Nothing is rewritten, the report gives the reason, and the graph is left alone."""
    new, report = rewrite_upsampling(mod)
    assert not report.rewritten
    assert reason in " / ".join(layer.reason for layer in report.refused), report
    assert tvm_ffi.structural_equal(new, mod)


def operators(mod: tvm.IRModule) -> list[str]:
    """Names of the operators that ``main`` calls, without ``relax.``."""
    names = []
    for block in mod["main"].body.blocks:
        for binding in block.bindings:
            if isinstance(binding.value, relax.Call) and isinstance(binding.value.op, tvm.ir.Op):
                names.append(binding.value.op.name.removeprefix("relax."))
    return names


def evaluate(mod: tvm.IRModule, *inputs: np.ndarray) -> np.ndarray:
    """``main`` in float64 NumPy, whatever the types in the module are."""
    func = mod["main"]
    values: dict[relax.Var, Any] = dict(zip(func.params, inputs, strict=True))

    def read(expr: Any) -> Any:
        if isinstance(expr, relax.Var):
            return values[expr]
        if isinstance(expr, tvm.ir.GenericConst):
            array = expr.value.numpy()
            return array.astype(np.float64) if array.dtype.kind == "f" else array
        if isinstance(expr, relax.TupleGetItem):
            return read(expr.tuple_value)[expr.index]
        if isinstance(expr, relax.Tuple):
            return [read(field) for field in expr.fields]
        return expr

    for block in func.body.blocks:
        for binding in block.bindings:
            value = binding.value
            if isinstance(value, relax.Call):
                name = value.op.name.removeprefix("relax.")
                function = _EVALUATE[name]
                values[binding.var] = function(value, *(read(a) for a in value.args))
            else:
                values[binding.var] = read(value)
    return read(func.body.body)


def _shape(call: relax.Call) -> list[int]:
    return [int(d.value) for d in call.ty.shape.values]


def _conv2d(call: relax.Call, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    a = call.attrs
    assert [int(s) for s in a.strides] == [1, 1]
    w = w.transpose([a.kernel_layout.index(name) for name in "OIHW"])
    padding, dilation = [int(p) for p in a.padding], [int(d) for d in a.dilation]
    y = reference.conv2d(reference.to_nchw(a.data_layout, x), w, padding, dilation, int(a.groups))
    return reference.from_nchw(a.out_layout, y)


def _conv2d_transpose(call: relax.Call, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    a = call.attrs
    assert (a.data_layout, a.kernel_layout, a.out_layout) == ("NCHW", "IOHW", "NCHW")
    numbers = ([int(v) for v in v] for v in (a.strides, a.padding, a.output_padding, a.dilation))
    return reference.conv2d_transpose(x, w, *numbers, int(a.groups))


def _resize2d(call: relax.Call, x: np.ndarray, size: Any) -> np.ndarray:
    """Only what the tests build on purpose: linear, half_pixel + round and asymmetric + floor."""
    a = call.attrs
    x = reference.to_nchw(a.layout, x)
    mode = (a.coordinate_transformation_mode, a.rounding_method)
    if a.method == "linear":
        assert mode[0] == "half_pixel"
        factors = [int(d.value) // n for d, n in zip(size.values, x.shape[2:], strict=True)]
        return reference.from_nchw(a.layout, reference.linear(x, factors))
    assert a.method == "nearest_neighbor"
    for axis, target in zip((2, 3), [int(d.value) for d in size.values], strict=True):
        scale = x.shape[axis] / target
        position = np.arange(target)
        if mode == ("half_pixel", "round"):
            index = np.rint((position + 0.5) * scale - 0.5)
        else:
            assert mode == ("asymmetric", "floor")
            index = np.floor(position * scale + 1e-9)
        x = x.take(np.clip(index, 0, x.shape[axis] - 1).astype(int), axis)
    return reference.from_nchw(a.layout, x)


def _pad(call: relax.Call, x: np.ndarray) -> np.ndarray:
    widths = np.array([int(w) for w in call.attrs.pad_width]).reshape(-1, 2)
    mode = {"replicate": "edge"}.get(call.attrs.pad_mode, call.attrs.pad_mode)
    return np.pad(x, widths, mode)


def _batch_norm(call: relax.Call, x: np.ndarray, *parameters: np.ndarray) -> list[np.ndarray]:
    shape = [1] * x.ndim
    shape[call.attrs.axis] = -1
    gamma, beta, mean, variance = (p.reshape(shape) for p in parameters)
    return [(x - mean) / np.sqrt(variance + call.attrs.epsilon) * gamma + beta]


def _prelu(call: relax.Call, x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    shape = [1] * x.ndim
    shape[call.attrs.axis] = -1
    return np.where(x > 0, x, x * slope.reshape(shape))


def _strided_slice(call: relax.Call, x: np.ndarray, axes: Any, begin: Any, end: Any) -> np.ndarray:
    at = [slice(None)] * x.ndim
    for axis, first, last in zip(axes, begin, end, strict=True):
        at[int(axis.value)] = slice(int(first.value), int(last.value))
    return x[tuple(at)]


def _number(expr: Any) -> float:
    return float(expr.value)


_EVALUATE: dict[str, Callable[..., Any]] = {
    **reference.OPERATORS,
    "nn.conv2d": _conv2d,
    "nn.conv2d_transpose": _conv2d_transpose,
    "nn.pixel_shuffle": lambda c, x: reference.pixel_shuffle(x, [c.attrs.upscale_factor] * 2),
    "nn.pad": _pad,
    "nn.batch_norm": _batch_norm,
    "nn.prelu": _prelu,
    "nn.leakyrelu": lambda c, x: np.where(x > 0, x, x * c.attrs.alpha),
    "nn.silu": lambda c, x: x / (1 + np.exp(-x)),
    "image.resize2d": _resize2d,
    "reshape": lambda c, x, shape: x.reshape(_shape(c)),
    "broadcast_to": lambda c, x, shape: np.broadcast_to(x, _shape(c)),
    "expand_dims": lambda c, x: np.expand_dims(x, tuple(int(a) for a in c.attrs.axis)),
    "squeeze": lambda c, x: np.squeeze(x, tuple(int(a) for a in c.attrs.axis)),
    "concat": lambda c, parts: np.concatenate(parts, int(c.attrs.axis)),
    "permute_dims": lambda c, x: x.transpose([int(a) for a in c.attrs.axes]),
    "tile": lambda c, x: np.tile(x, tuple(int(n) for n in c.attrs.repeats)),
    "strided_slice": _strided_slice,
    "clip": lambda c, x, low, high: np.clip(x, _number(low), _number(high)),
}
