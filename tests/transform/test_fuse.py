"""Fused functions keep the names of the layers whose results they are."""

from __future__ import annotations

import tvm
from onnx_net import Net
from relax_helpers import module
from tvm import relax

from tvm_deconv.bench.kernels import KernelLayers
from tvm_deconv.bench.profile.nodes import with_unique_names
from tvm_deconv.compiler import compile as compiled
from tvm_deconv.transform.fuse import FuseNamed


def layers_of(net, *outputs):
    """(function, layer) of each kernel that the network is compiled to."""
    watched = KernelLayers()
    with tvm.transform.PassContext(instruments=[watched]):
        compiled(with_unique_names(net.model(*outputs)))
    return watched.kernels


def test_each_kernel_has_the_name_of_the_last_layer_that_it_computes():
    net = Net((1, 4, 6, 8))
    first = net("Relu", net.conv("x", 4, 4))
    pooled = net("MaxPool", first, kernel_shape=[2, 2], strides=[2, 2])
    tanh = net("Tanh", pooled)
    softmax = net("Softmax", tanh, axis=1)
    last = net("Concat", net("Exp", softmax), softmax, axis=1)
    assert [layer for _, layer in layers_of(net, last)] == [first, tanh, softmax, last]


def test_equal_layers_share_a_function_and_keep_their_names():
    net = Net((1, 4, 6, 8))
    x, stored = "x", []
    for _ in range(3):
        x = net("Abs", net("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4))
        stored.append(x)
    kernels = layers_of(net, x)
    assert len({function for function, _ in kernels}) == 1
    assert [layer for _, layer in kernels] == stored


def test_a_module_without_names_is_fused_as_by_tvm():
    mod = relax.transform.LegalizeOps()(
        module(lambda b, x: relax.op.exp(b.emit(relax.op.abs(x))), (4, 4))
    )
    mod = relax.transform.AnnotateTIROpPattern()(mod)
    tvm.ir.assert_structural_equal(FuseNamed()(mod), relax.transform.FuseOps()(mod))
