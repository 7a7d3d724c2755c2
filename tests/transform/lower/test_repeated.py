"""A residual that is a nearest resize is read row by row, and gives the same."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from relax_helpers import operators
from tvm import relax

from tvm_deconv.compiler import before_lowering
from tvm_deconv.importer import load
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import AddHeight, LowerConvolutions, RewriteUpsampling

HOST = resolve_target("host")


def pyramid(factor=(2, 3), dims=None, dtype="float32"):
    """The coarser level is enlarged and added to a 1x1 convolution of the finer one."""
    rh, rw = factor
    net = Net((1, 3, 5 * rh, 7 * rw), dtype, dims)
    fine = net("Relu", net.conv("x", 3, 8))
    coarse = net("MaxPool", fine, kernel_shape=[rh, rw], strides=[rh, rw])
    up = net.nearest(net.conv(coarse, 8, 6, k=1), rh, rw)
    return net, net("Relu", net("Add", up, net.conv(fine, 8, 6, k=1)))


def anchored(variant_channels=12, dims=None):
    """The input is added once for each phase before the shuffle."""
    net = Net((1, 3, 9, 21), dims=dims)
    x = net("Relu", net.conv("x", 3, variant_channels))
    x = net("Add", net.conv(x, variant_channels, 27), net("Concat", *["x"] * 9, axis=1))
    x = net("DepthToSpace", x, blocksize=3, mode="DCR")
    return net, net("Clip", x, net.given(np.float32(-1)), net.given(np.float32(1)))


def lowered(model):
    passes = [AddHeight(), RewriteUpsampling(), *before_lowering(), LowerConvolutions(HOST)]
    with HOST:
        return tvm.transform.Sequential(passes)(load(model, None))


def widths_of_resizes(mod):
    """(rows, columns) of what each resize of a module writes over those of what it reads."""
    found = []

    def visit(expr):
        if isinstance(expr, relax.Call) and getattr(expr.op, "name", "") == "relax.image.resize2d":
            before, after = (tuple(map(int, e.ty.shape.values[2:])) for e in (expr.args[0], expr))
            found.append((after[0] // before[0], after[1] // before[1]))

    relax.analysis.post_order_visit(mod["main"], visit)
    return found


def assert_equal(net, output, shapes, tolerance=1e-5):
    assert_same_as_onnx_runtime(net.model(output), *shapes, of_largest=tolerance)


@pytest.mark.parametrize(
    ("factor", "left"), [((2, 3), [(1, 3)]), ((2, 1), []), ((1, 2), [(1, 2)])], ids=str
)
def test_of_the_enlarged_residual_only_the_columns_are_written(factor, left):
    net, output = pyramid(factor)
    assert widths_of_resizes(lowered(net.model(output))) == left
    assert_equal(net, output, [net.shape])


def test_the_anchor_of_a_mobile_network_is_never_written_in_full():
    net, output = anchored()
    mod = lowered(net.model(output))
    assert widths_of_resizes(mod) == [(1, 3)] and "add" not in operators(mod)
    assert_equal(net, output, [net.shape])


def test_rows_are_read_so_with_any_size_and_in_half_precision():
    net, output = anchored(8, dims=("n", 3, "h", "w"))
    assert_equal(net, output, [(1, 3, 9, 21), (2, 3, 4, 50)])
    net, output = pyramid(dtype="float16")
    assert_equal(net, output, [net.shape], tolerance=3e-3)


def test_a_map_that_somebody_else_reads_is_written_once_for_both():
    net = Net((1, 3, 10, 14))
    fine = net.conv("x", 3, 8)
    coarse = net("MaxPool", fine, kernel_shape=[2, 2], strides=[2, 2])
    up = net.nearest(coarse, 2)
    both = net("Concat", net("Add", up, net.conv(fine, 8, 8)), net("Sigmoid", up), axis=1)
    assert widths_of_resizes(lowered(net.model(both))) == [(2, 2)]
    assert_equal(net, both, [net.shape])
