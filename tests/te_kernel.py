"""Compiles one layer with one variant of TE and compares it with the float64 scatter."""

from __future__ import annotations

import numpy as np
import tvm
from drawn import expected_output, random, weights_of
from quick_library import library
from tvm import te

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.te.layouts import NCHW, as_nchw, from_nchw, permuted
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import Sizes

TOLERANCE = 3e-6
# As in tvm_deconv/backends/lowering.py, by their names here: they take a quarter of the time.
IDLE = [
    f"tir.{name}"
    for name in ("HoistIfThenElse", "InjectPermutedLayout", "InjectVirtualThread", "RemoveNoOp")
]

# A vendor's wheel may compile for another processor by default.
HOST = tvm.target.Target(f"llvm -mtriple={llvm.process_triple()} -mcpu={llvm.processor()}")


def kernel(
    variant,
    conv,
    shape,
    target=HOST,
    machine=None,
    epilogue=None,
    parameters=None,
    layout=NCHW,
):
    """Schedule, arguments and parameters of a layer; ``shape`` is (batch, height, width).

    ``epilogue`` maps the layer's tensor, which has ``layout``, to the one that is stored instead.
    """
    chosen = TE_VARIANTS[variant]
    if parameters is None:
        parameters = chosen.choose(conv, Sizes(*shape), machine or cpu_machine(target))
    n, height, width = shape
    in_shape = n, conv.in_channels, height, width
    x = te.placeholder(permuted(in_shape, NCHW, layout), "float32", "x")
    packed = te.placeholder(chosen.packed_shape(conv, parameters), "float32", "packed")
    y = from_nchw(chosen.compute(conv, parameters, as_nchw(x, layout), packed), layout)
    y = epilogue(y) if epilogue else y
    return chosen.schedule(y, conv, parameters, in_shape, layout), [x, packed, y], parameters


def compile_here(schedule, arguments, target):
    """A module whose ``kernel`` is the kernel."""
    return tvm.build(schedule, arguments, target=target, name="kernel")


def compile_quickly(schedule, arguments, target):
    """As ``compile_here``, without what only makes it faster: what is summed is decided before.

    tests/relay/te/test_build.py compiles every variant with TVM's own passes, and those of boards
    with LLVM's optimizations.
    """
    with tvm.transform.PassContext(disabled_pass=IDLE, config={"tir.disable_cse_tir": True}):
        built = compile_here(schedule, arguments, tvm.target.Target(f"{target} -opt-level=0"))
    return library(built)


def run_here(built, x, packed, shape):
    """The result of a compiled kernel; an element that is not written is a NaN."""
    y = tvm.nd.array(np.full(shape, np.nan, "float32"))
    built["kernel"](tvm.nd.array(x), tvm.nd.array(packed), y)
    return y.numpy()


def check(
    variant,
    conv,
    shape,
    target=HOST,
    machine=None,
    epilogue=None,
    then=lambda y: y,
    parameters=None,
    compile=compile_quickly,
    run=run_here,
    layout=NCHW,
):
    """Compile, run and compare; ``then`` is ``epilogue`` on arrays."""
    n, height, width = shape
    schedule, arguments, parameters = kernel(
        variant, conv, shape, target, machine, epilogue, parameters, layout
    )
    built = compile(schedule, arguments, target)
    x, weight = (
        random((n, conv.in_channels, height, width), "float32", 0),
        weights_of(conv, "float32"),
    )
    packed = TE_VARIANTS[variant].pack_weights(weight, conv, parameters)
    given = np.ascontiguousarray(_transposed(x, NCHW, layout))
    y = run(built, given, packed, permuted(conv.output_shape(n, height, width), NCHW, layout))
    expected = then(_transposed(expected_output(conv, x, weight), NCHW, layout))
    scale = max(np.abs(expected).max(), 1e-9)
    np.testing.assert_allclose(y / scale, expected / scale, rtol=0, atol=TOLERANCE)


def _transposed(values, before, after):
    return values.transpose(permuted(range(4), before, after))
