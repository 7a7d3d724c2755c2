"""Functions that differ in the order of their sizes become one; every call keeps its result."""

from __future__ import annotations

import numpy as np
import pytest
from relax_helpers import CALL_TIR, compiled
from tvm import relax, te, tirx

from tvm_deconv.backends.shared import ShareFunctions

X = np.random.default_rng(0).standard_normal((2, 3)).astype("float32")


def kernel(order, factor=10):
    """y[i, j] = x[i, j] + factor * h + w, called with h and w in an order."""
    rows, columns, h, w = (te.var(name, "int64") for name in ("rows", "columns", "h", "w"))
    x = te.placeholder((rows, columns), name="x")
    number = (h * factor + w).astype("float32")
    y = te.compute((rows, columns), lambda i, j: x[i, j] + number, "y")
    func = te.create_prim_func([x, *({"h": h, "w": w}[name] for name in order), y])
    return func.without_attr("global_symbol")


def chain(*kernels):
    """``main(x)``: each of the kernels, with the order of its sizes, after the one before."""
    sizes = {name: te.var(name, "int64") for name in "hw"}
    x = relax.Var("x", relax.TensorType([sizes["h"], sizes["w"]], "float32"))
    builder = relax.BlockBuilder()
    callees = [builder.add_func(func, f"kernel{i}") for i, (func, _) in enumerate(kernels)]
    with builder.function("main", [x]):
        with builder.dataflow():
            value = x
            for callee, (_, order) in zip(callees, kernels, strict=True):
                arguments = [value, *(sizes[name] for name in order)]
                value = builder.emit(relax.call_tir(callee, arguments, x.ty))
            value = builder.emit_output(value)
        builder.emit_func_output(value)
    return builder.finalize()


def called(mod):
    values = [b.value for block in mod["main"].body.blocks for b in block.bindings]
    return [v.args[0].name_hint for v in values if getattr(v, "op", None) == CALL_TIR]


@pytest.mark.parametrize("orders", [("hw", "wh"), ("wh", "hw"), ("wh", "hw", "wh")])
def test_the_order_of_sizes_makes_no_functions_of_their_own(orders):
    mod = chain(*((kernel(order), order) for order in orders))
    shared = ShareFunctions()(mod)
    assert len(set(called(mod))) == 2
    assert called(shared) == ["kernel0"] * len(orders)
    assert sum(isinstance(func, tirx.PrimFunc) for _, func in shared.functions_items()) == 1
    np.testing.assert_allclose(compiled(shared, X), X + 23 * len(orders), rtol=1e-6)


def test_sizes_that_mean_something_else_do():
    mod = chain((kernel("hw"), "hw"), (kernel("hw"), "wh"), (kernel("hw", factor=7), "hw"))
    shared = ShareFunctions()(mod)
    assert called(shared) == called(mod)
    np.testing.assert_allclose(compiled(shared, X), X + 23 + 32 + 17, rtol=1e-6)
