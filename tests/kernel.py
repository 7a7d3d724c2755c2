"""Compiles one layer with one variant and compares it with the float64 scatter.

Shared by the tests of all variants, on CPUs and GPUs; ``drawn`` has the layers.
"""

from __future__ import annotations

import numpy as np
import tvm
from drawn import expected_output, has_output, layers, random, square, weights_of
from quick_network import library
from tvm import te

from tvm_deconv.backends import linking, machine_of
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

__all__ = [
    "HOST",
    "cases",
    "check",
    "compile_here",
    "compile_quickly",
    "expected_output",
    "function",
    "has_output",
    "layers",
    "random",
    "run_here",
    "square",
    "weights_of",
]

HOST = resolve_target("host")
TOLERANCE = {"float32": 3e-6, "float16": 2e-3}
# Winograd's sums cancel: tests/test_winograd.py holds 2e-5 of the largest output where there are
# many. Of a few outputs of a layer with one channel the largest may happen to be small.
WINOGRAD_TOLERANCE = {"float32": 4e-5, "float16": 2e-3}
# Sums of float16, of some hundred products at most.
HALF_TOLERANCE = 1e-2


def cases(variants, layers):
    """Variants and names of layers; "depthwise" is for the layer of its name, and for no other."""
    return [
        (variant, layer)
        for variant in sorted(variants)
        for layer in layers
        if (variant == "depthwise") == (layer == "depthwise")
    ]


def function(
    variant,
    conv,
    shape,
    dtype="float32",
    target=HOST,
    symbolic="",
    machine=None,
    epilogue=None,
    parameters=None,
    accumulate="float32",
):
    """The scheduled function and its parameters; dimensions named in ``symbolic`` are variables.

    ``epilogue`` maps the layer's tensor to the one that is stored in its place. ``parameters`` are
    the variant's, by default those that it chooses itself.
    """
    machine = machine or machine_of(target)
    variant = variants_for(machine, accumulate)[variant]
    dims = [
        te.var(name, "int64") if name in symbolic else n
        for name, n in zip("nhw", shape, strict=True)
    ]
    known = [n if isinstance(n, int) else None for n in dims]
    if parameters is None:
        parameters = variant.choose(conv, Sizes(*known), machine)
    x = te.placeholder((dims[0], conv.in_channels, *dims[1:]), dtype, "x")
    packed = variant.packed_shape(conv, parameters)
    weight = te.placeholder(packed, variant.weight_dtype(dtype), "weight")
    y = variant.compute(conv, parameters, x, weight)
    y = epilogue(y) if epilogue else y
    func = te.create_prim_func([x, weight, y], index_dtype_override="int64")
    func = func.with_attr("tirx.noalias", True).with_attr("global_symbol", "main")
    return variant.schedule(func, conv, parameters), parameters


def compile_here(func, target):
    """A module whose ``main`` is ``func``."""
    return linking.compiled(func, target)


def compile_unoptimised(func, target):
    """As ``compile_here``, without LLVM's optimizations: what is summed is decided before them.

    With them kernels are compiled in the random cases and in networks, on boards, too.
    """
    return compile_here(func, tvm.target.Target({**target.export(), "opt-level": 0}))


def compile_quickly(func, target):
    """As ``compile_unoptimised``, for this machine."""
    return library(compile_unoptimised(func, target))


def run_here(built, x, packed, shape):
    """The result of a compiled kernel, ``shape`` is that of its output."""
    y = tvm.runtime.empty(shape, x.dtype.name)
    built["main"](tvm.runtime.tensor(x), tvm.runtime.tensor(packed), y)
    return y.numpy()


def check(
    variant,
    conv,
    shape,
    dtype="float32",
    target=HOST,
    symbolic="",
    machine=None,
    epilogue=None,
    then=lambda y: y,
    parameters=None,
    accumulate="float32",
    compile=compile_quickly,
    run=run_here,
):
    """Compile, run and compare; ``then`` is ``epilogue`` on arrays."""
    n, h, w = shape
    func, parameters = function(
        variant, conv, shape, dtype, target, symbolic, machine, epilogue, parameters, accumulate
    )
    assert func.attrs["tirx.is_scheduled"]
    built = compile(func, target)
    x, weight = random((n, conv.in_channels, h, w), dtype, 0), weights_of(conv, dtype)
    chosen = variants_for(machine or machine_of(target), accumulate)[variant]
    packed = chosen.pack_weights(weight, conv, parameters)
    assert packed.shape == chosen.packed_shape(conv, parameters)
    packed = packed.astype(chosen.weight_dtype(dtype))
    y = run(built, x, packed, conv.output_shape(n, h, w))
    expected = then(expected_output(conv, x, weight))
    scale = max(np.abs(expected).max(), 1e-9)
    tolerance = (WINOGRAD_TOLERANCE if variant == "winograd" else TOLERANCE)[dtype]
    if accumulate == "float16":
        tolerance = HALF_TOLERANCE
    got = y.astype("float64") / scale
    np.testing.assert_allclose(got, expected / scale, rtol=0, atol=tolerance)
