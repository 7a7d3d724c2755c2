"""Building small Relay modules, and running them twice: in float64 NumPy and compiled by TVM."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import relay_reference
import tvm
from quick_library import graph_of
from tvm import relay

from tvm_deconv.relay import rewrite_upsampling

# This TVM was built for RISC-V. For numbers neither the processor's own name is needed nor LLVM's
# optimizations, which take most of the time.
TARGET = "llvm -mtriple=x86_64-linux-gnu -opt-level=0"

# Largest error relative to the largest value, per storage type.
TOLERANCE = {"float16": 4e-3, "float32": 2e-6}


def variable(shape: tuple[Any, ...], dtype: str = "float32", name: str = "x") -> relay.Var:
    """A parameter; strings in ``shape`` are free sizes."""
    dims = [relay.Any() if isinstance(dim, str) else dim for dim in shape]
    return relay.var(name, shape=dims, dtype=dtype)


def module(
    body: Callable[..., relay.Expr],
    shape: tuple[Any, ...],
    dtype: str = "float32",
    **parameters: tuple[int, ...],
) -> tvm.IRModule:
    """``main(x, **parameters)`` with types."""
    x = variable(shape, dtype)
    more = [variable(dims, dtype, name) for name, dims in parameters.items()]
    mod = tvm.IRModule.from_expr(relay.Function([x, *more], body(x, *more)))
    return relay.transform.InferType()(mod)


def shape_of(expr: relay.Expr) -> list[Any]:
    dims = relay.frontend.common.infer_type(expr).checked_type.shape
    return [d if isinstance(d, tvm.tir.Any) else int(d) for d in dims]


def constant(values: np.ndarray) -> relay.Expr:
    return relay.const(values, str(values.dtype))


def conv(x: relay.Expr, o: int = 8, k: int = 3, **attributes: Any) -> relay.Expr:
    """A convolution of NCHW ``x`` to ``o`` channels, by default of the same size."""
    c = shape_of(x)[1] // attributes.get("groups", 1)
    attributes.setdefault("padding", k // 2)
    w = np.random.default_rng(o).standard_normal((o, c, k, k))
    w = w.astype(relay.frontend.common.infer_type(x).checked_type.dtype)
    return relay.nn.conv2d(x, constant(w), channels=o, kernel_size=(k, k), **attributes)


def conv_as(x, w, layout, **attributes):
    """A convolution by OIHW ``w``; ``x`` has ``layout``, and the weights what goes with it."""
    kernel_layout = "OIHW" if layout == "NCHW" else "HWIO"
    return relay.nn.conv2d(
        x,
        constant(w.transpose(["OIHW".index(name) for name in kernel_layout])),
        channels=w.shape[0],
        kernel_size=w.shape[2:],
        data_layout=layout,
        kernel_layout=kernel_layout,
        **attributes,
    )


def shuffle(x, factor, order="CRD", layout="NCHW"):
    """A shuffle written as reshape, transpose, reshape; input and output have ``layout``."""
    rh, rw = factor
    shape = shape_of(x)
    n, c, h, w = (shape[layout.index(name)] for name in "NCHW")
    o = c // (rh * rw)
    sizes = {"N": n, "O": o, "H": h, "W": w, "p": rh, "q": rw}
    split = layout.replace("C", "Opq" if order == "CRD" else "pqO")
    merged = "NOHpWq" if layout == "NCHW" else "NHpWqO"
    y = relay.reshape(x, [sizes[k] for k in split])
    y = relay.transpose(y, [split.index(k) for k in merged])
    shape = (n, o, h * rh, w * rw) if layout == "NCHW" else (n, h * rh, w * rw, o)
    return relay.reshape(y, shape)


def resize(x, size, layout="NCHW", mode="half_pixel", rounding="round", **attributes):
    attributes = {"method": "nearest_neighbor", **attributes}
    return relay.image.resize2d(
        x,
        size,
        layout=layout,
        coordinate_transformation_mode=mode,
        rounding_method=rounding,
        **attributes,
    )


def upsample(x, factor, way, layout="NCHW"):
    """Nearest x factor, written in one of the ways that importers use."""
    shape = shape_of(x)
    n, c, h, w = (shape[layout.index(name)] for name in "NCHW")
    rh, rw = factor
    at_h, at_w = layout.index("H"), layout.index("W")
    if way in ("half_pixel", "asymmetric"):
        rounding = {"half_pixel": "round", "asymmetric": "floor"}[way]
        return resize(x, (h * rh, w * rw), layout, way, rounding)
    if way == "upsampling":
        return relay.nn.upsampling(x, float(rh), float(rw), layout)
    for axis, size, count in ((at_h, h, rh), (at_w, w, rw)):
        if way == "repeat" and count > 1:
            x = relay.repeat(x, count, axis)
        if way == "take" and count > 1:
            x = relay.take(x, constant(np.arange(size * count, dtype="int64") // count), axis)
    if way in ("repeat", "take"):
        return x
    assert way == "broadcast"
    ones = {"N": [n], "C": [c], "H": [h, 1], "W": [w, 1]}
    wide = {**ones, "H": [h, rh], "W": [w, rw]}
    merged = {"N": n, "C": c, "H": h * rh, "W": w * rw}
    x = relay.reshape(x, [d for name in layout for d in ones[name]])
    x = relay.broadcast_to(x, [d for name in layout for d in wide[name]])
    return relay.reshape(x, [merged[name] for name in layout])


def padding(x, widths, mode, value=0.0, layout="NCHW"):
    """``nn.pad`` of (top, left, bottom, right)."""
    top, left, bottom, right = widths
    sides = {"N": (0, 0), "C": (0, 0), "H": (top, bottom), "W": (left, right)}
    return relay.nn.pad(x, [sides[name] for name in layout], value, pad_mode=mode)


def compiled(mod: tvm.IRModule, x: np.ndarray, name: str = "x") -> np.ndarray:
    """The first result of the module, compiled for the host: our kernels, with packed weights."""
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(mod, TARGET)
    run = graph_of(library)
    run.set_input(name, x)
    run.run()
    return run.get_output(0).numpy()


def assert_close(got: np.ndarray, expected: np.ndarray, dtype: str = "float32") -> None:
    assert got.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    error = float(np.abs(got.astype(np.float64) - expected).max(initial=0)) / scale
    assert error <= TOLERANCE[dtype], f"relative error {error:.1e} for {dtype}"


def assert_rewritten_exactly(mod, x, gone: set[str], layers: int = 1) -> tvm.IRModule:
    """Every layer is rewritten, operators ``gone`` are, and the float64 values are the same."""
    new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["rewritten"] * layers, report
    assert not gone & set(operators(new))
    values = x.astype(np.float64)
    expected = relay_reference.evaluate(mod, values)
    assert_close(relay_reference.evaluate(new, values), expected, str(x.dtype))
    return new


def assert_refused(mod: tvm.IRModule, reason: str) -> None:
    """Nothing is rewritten, the report gives the reason, and the module is the caller's own."""
    new, report = rewrite_upsampling(mod)
    assert not report.rewritten
    assert reason in " / ".join(layer.reason for layer in report.refused), report
    assert new.same_as(mod)


def plain(reason: str) -> str:
    """A reason without the names of layers and with one name for each operator."""
    reason = re.sub(r"(?<=[a-z0-9_]) \((?:lv|gv|\w+_)\d*\)", "", reason.replace("relax.", ""))
    reason = re.sub(r"\b(?:lv\d*|[a-z]\w*_\d+)\b", "it", reason)
    return reason.replace("permute_dims", "transpose").replace("concatenate", "concat")


def operators(mod: tvm.IRModule) -> list[str]:
    """Names of the operators that ``main`` calls, operands first."""
    names: list[str] = []

    def visit(expr: relay.Expr) -> None:
        if isinstance(expr, relay.Call) and isinstance(expr.op, tvm.ir.Op):
            names.append(str(expr.op.name))

    relay.analysis.post_order_visit(mod["main"], visit)
    return names
