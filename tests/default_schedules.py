"""Relax operators through the default CPU schedule: made, scheduled, run, held against torch."""

from __future__ import annotations

import numpy as np
import quick_network
import torch
import tvm
import tvm_ffi
from quick_network import unoptimised
from tvm import relax, tirx
from tvm.relax.backend.cpu_generic import pipeline as stock

from tvm_deconv.backends.passes import ScheduleRemaining
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.transposed_products import ReadTransposed

HOST = resolve_target("host")
# Relative to the largest value: sums are reordered, products are not.
TOLERANCE = {"float32": 2e-6, "float16": 2e-3}


def module_of(emit, shapes, dtype="float32"):
    """A Relax function ``main`` over parameters of the given shapes."""
    builder = relax.BlockBuilder()
    params = [relax.Var(f"x{i}", relax.TensorType(s, dtype)) for i, s in enumerate(shapes)]
    with builder.function("main", params):
        with builder.dataflow():
            result = builder.emit_output(builder.normalize(emit(*params)))
        builder.emit_func_output(result)
    return builder.get()


def conv(**attrs):
    return lambda x, w: relax.op.nn.conv2d(x, w, **attrs)


def sizes(*names):
    """Free ones."""
    return [tirx.Var(name, "int64") for name in names]


def scheduled(mod, target=HOST):
    with target:
        return tvm.transform.Sequential(
            [*stock.legalize_passes(target), ScheduleRemaining(target)]
        )(mod)


def run(mod, arrays):
    return called(compiled(mod), arrays)


def compiled(mod):
    """``main`` of a module."""
    target = unoptimised()
    return _built(scheduled(mod, target), target)


def called(main, arrays):
    return main(*[tvm.runtime.tensor(array) for array in arrays]).numpy()


def arrays_of(shapes, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def check(emit, reference, shapes, dtype="float32"):
    """Compare with ``reference`` (torch, float64)."""
    check_each(emit, reference, [shapes], shapes, dtype)


def check_each(emit, reference, sizes, symbolic, dtype="float32"):
    """As ``check`` for each of ``sizes``, compiled once for the shapes ``symbolic``."""
    main = compiled(module_of(emit, symbolic, dtype))
    for shapes in sizes:
        arrays = arrays_of(shapes, dtype)
        result = called(main, arrays)
        expected = reference(*[torch.from_numpy(a.astype("float64")) for a in arrays]).numpy()
        assert result.shape == expected.shape
        assert result.dtype == dtype
        error = np.abs(result.astype("float64") - expected).max() / np.abs(expected).max()
        assert error <= TOLERANCE[dtype], f"relative error {error:.1e} for {shapes}"


def functions_of(mod):
    return [func for _, func in mod.functions_items() if isinstance(func, tirx.PrimFunc)]


def loops_of(func, kind):
    found = []
    tvm_ffi.structural_walk(func.body, (tirx.For, found.append))
    return [loop for loop in found if loop.kind == kind]


def built(mod, target):
    """A callable of one module; its products read transposed operands as they lie."""
    with target:
        passes = [ReadTransposed(target), *stock.legalize_passes(target), ScheduleRemaining(target)]
        mod = tvm.transform.Sequential(passes)(mod)
    return mod, _built(mod, target)


def _built(mod, target):
    """``main`` of a module that is scheduled."""
    passes = [*stock.dataflow_lower_passes(target), *stock.finalize_passes(target)]
    return quick_network.built(mod, tvm.transform.Sequential(passes), target)


def module_of_all(emits, shapes, dtype="float32"):
    """One function over all ``shapes``, which returns what each of ``emits`` makes of its own."""
    builder = relax.BlockBuilder()
    params = [
        [relax.Var(f"x{i}_{j}", relax.TensorType(shape, dtype)) for j, shape in enumerate(own)]
        for i, own in enumerate(shapes)
    ]
    with builder.function("main", [var for own in params for var in own]):
        with builder.dataflow():
            made = [
                builder.emit(builder.normalize(emit(builder, *own)))
                for emit, own in zip(emits, params, strict=True)
            ]
            result = builder.emit_output(relax.Tuple(made))
        builder.emit_func_output(result)
    return builder.get()


def compare_all(emits, references, shapes, target=None, dtype="float32", sizes=None):
    """All results against ``references`` in float64, for inputs of ``sizes`` in place of shapes."""
    mod, call = built(module_of_all(emits, shapes, dtype), target or unoptimised())
    for number, given in enumerate(sizes or [shapes]):
        arrays = [arrays_of(own, dtype, seed=number) for own in given]
        results = call(*[tvm.runtime.tensor(a) for own in arrays for a in own])
        for result, reference, own in zip(results, references, arrays, strict=True):
            expected = reference(*[a.astype("float64") for a in own])
            assert result.shape == expected.shape
            error = np.abs(result.numpy() - expected).max() / np.abs(expected).max()
            assert error <= TOLERANCE.get(dtype, 1e-12), f"{[a.shape for a in own]}: {error:.1e}"
    return mod
