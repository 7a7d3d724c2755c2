"""Compiles one layer by one variant into a library that TVM's runtime alone can load and run.

The kernel computes the layer as trained, bias and activation included: it takes input, packed
weights, phase bias (O, r, r) and, for a PReLU, slopes (O,), and writes the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tvm import te, tirx
from tvm.target import Target

from tvm_deconv.backends.cuda.packing import resources_of
from tvm_deconv.backends.linking import compiled, link, linker
from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.variant import Variant
from tvm_deconv.targets import resolve_target
from tvm_deconv.workloads.spec import LEAKY_SLOPE, LayerSpec

ENTRY = "main"
HOST = "host"
# No feature of this machine's processor may get in: the library is loaded on another.
_HOST_CODE = {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64"}


def target_of(arch: str) -> Target:
    """The target of an architecture such as ``sm_90``; ``host`` is this machine's processor.

    Raises TargetError for anything else.
    """
    if arch == HOST:
        return resolve_target(HOST)
    if not arch.startswith("sm_"):
        raise TargetError(f"architecture {arch!r} is not of the form sm_90: give one, or host")
    return resolve_target({"kind": "cuda", "arch": arch, "host": _HOST_CODE})


def scheduled(
    spec: LayerSpec, dtype: str, variant: Variant, parameters: Any
) -> tuple[tirx.PrimFunc, str]:
    """The kernel's function, and the dtype of its packed weights."""
    conv, weight_dtype = spec.geometry(), variant.weight_dtype(dtype)
    x = te.placeholder(spec.geometry_shape, dtype, "x")
    packed = te.placeholder(variant.packed_shape(conv, parameters), weight_dtype, "weight")
    bias = te.placeholder((spec.out_channels, *conv.strides), dtype, "bias")
    inputs = [x, packed, bias]
    y = variant.compute(conv, parameters, x, packed)
    (rh, rw), sums = conv.strides, y
    y = te.compute(
        y.shape, lambda n, c, i, j: sums[n, c, i, j] + bias[c, i % rh, j % rw], name="add"
    )
    if spec.activation:
        slopes = None
        if spec.activation == "prelu":
            slopes = te.placeholder((spec.out_channels,), dtype, "slopes")
            inputs.append(slopes)
        y = _activated(y, spec.activation, slopes)
    func = te.create_prim_func([*inputs, y], index_dtype_override="int64")
    func = func.with_attr("tirx.noalias", True).with_attr("global_symbol", ENTRY)
    return variant.schedule(func, conv, parameters), weight_dtype


def _activated(y: te.Tensor, kind: str, slopes: Any) -> te.Tensor:
    def const(value: float) -> Any:
        return tirx.const(value, y.dtype)

    functions: dict[str, Callable[[Any, Any], Any]] = {
        "relu": lambda v, c: tirx.max(v, const(0)),
        "leaky_relu": lambda v, c: tirx.Select(v > const(0), v, v * const(LEAKY_SLOPE)),
        "elu": lambda v, c: tirx.Select(v > const(0), v, tirx.exp(v) - const(1)),
        "tanh": lambda v, c: tirx.tanh(v),
        "sigmoid": lambda v, c: tirx.sigmoid(v),
        "prelu": lambda v, c: tirx.Select(v > const(0), v, v * slopes[c]),
    }
    function = functions[kind]
    return te.compute(y.shape, lambda n, c, i, j: function(y[n, c, i, j], c), name="activation")


def export(func: tirx.PrimFunc, target: Target, library: Path) -> dict[str, dict[str, int]]:
    """Compile and link; what each CUDA kernel takes of the device, by name.

    Raises what TVM raises, and TargetError for what the linker or CUDA's compiler rejects.
    """
    built = compiled(func, target)
    link(built, library, linker(target), target)
    return {name: asdict(taken) for name, taken in resources_of(built).items()}
