"""A 1x1 convolution of a linear resize is computed of the small map, and gives the same."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from relax_helpers import assert_refused, compiled, constant, enlarged, module, operators
from tvm import relax

import tvm_deconv
from tvm_deconv.transform import rewrite_upsampling


def conv1x1(b, x, outputs, layout="NCHW", groups=1, padding=0):
    channels = int(x.ty.shape.values[layout.index("C")])
    w = np.random.default_rng(3).standard_normal((outputs, channels // groups, 1, 1))
    kernel = "OIHW" if layout == "NCHW" else "HWIO"
    w = w.astype("float32").transpose(["OIHW".index(axis) for axis in kernel])
    layouts = {"data_layout": layout, "kernel_layout": kernel}
    call = relax.op.nn.conv2d(x, constant(w), padding=padding, groups=groups, **layouts)
    return b.emit(call)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("factor", "size", "outputs", "groups"),
    [
        ((2, 2), (5, 7), 3, 1),
        ((3, 1), (1, 1), 4, 2),
        ((1, 4), (4, 2), 4, 1),
        ((5, 2), (2, 3), 2, 2),
    ],
)
def test_the_rewritten_module_compiles_and_gives_the_same(factor, size, outputs, groups, layout):
    def body(b, x):
        scale = np.random.default_rng(1).standard_normal(4).astype("float32")
        shape = [4 if axis == "C" else 1 for axis in layout]
        y = enlarged(b, x, factor, layout)
        y = b.emit(relax.op.multiply(y, constant(scale.reshape(shape))))
        return b.emit(relax.op.nn.relu(conv1x1(b, y, outputs, layout, groups)))

    sizes = dict(zip("NCHW", (2, 4, *size), strict=True))
    shape = tuple(sizes[axis] for axis in layout)
    mod = module(body, shape)
    new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    assert "image.resize2d" not in operators(new)
    x = np.random.default_rng(2).standard_normal(shape).astype("float32")
    expected = compiled(mod, x)
    np.testing.assert_allclose(compiled(new, x), expected, rtol=0, atol=3e-6 * abs(expected).max())


@pytest.mark.parametrize(
    ("dims", "dtype", "tolerance"),
    [(None, "float32", 2e-6), (("n", 6, "h", "w"), "float32", 2e-6), (None, "float16", 3e-3)],
    ids=["fixed", "free", "half"],
)
def test_a_head_of_free_size_or_half_precision_equals_onnx_runtime(dims, dtype, tolerance):
    net = Net((1, 6, 5, 9), dtype, dims)
    up = net.linear(net("Relu", net.conv("x", 6, 8)), 3, 2)
    if dtype == "float32":
        up = net.batch_norm(up, 8)
    y = net("Sigmoid", net.conv(up, 8, 2, k=1))
    model = net.model(y)
    (layer,) = tvm_deconv.explain(model).rewritten
    assert layer.before == "linear resize 3x2, conv 1x1 8->2"
    assert layer.after == "conv 1x1 8->2, linear resize 3x2"
    shapes = [net.shape] if dims is None else [net.shape, (2, 6, 1, 3)]
    assert_same_as_onnx_runtime(model, *shapes, atol=tolerance)


def many_outputs(b, x):
    return conv1x1(b, enlarged(b, x, (2, 2)), 64)


def relu_between(b, x):
    return conv1x1(b, b.emit(relax.op.nn.relu(enlarged(b, x, (2, 2)))), 2)


def padding_between(b, x):
    y = b.emit(relax.op.nn.pad(enlarged(b, x, (2, 2)), [0, 0, 0, 0, 1, 1, 1, 1]))
    return conv1x1(b, y, 2)


def padding_of_its_own(b, x):
    return conv1x1(b, enlarged(b, x, (2, 2)), 2, padding=1)


def map_is_read_elsewhere(b, x):
    up = enlarged(b, x, (2, 2))
    return b.emit(relax.op.add(conv1x1(b, up, 4), up))


REFUSED = {
    "many_outputs": "spares 192 products an output pixel and moves 120 values more",
    "relu_between": "relax.nn.relu stands between the linear resize and the convolution",
    "padding_between": "relax.nn.pad (lv1) stands between the linear resize and a 1x1 convolution",
    "padding_of_its_own": "axis H: ",
    "map_is_read_elsewhere": "is also read by relax.add",
}


@pytest.mark.parametrize("layer", REFUSED)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(layer):
    assert_refused(module(globals()[layer], (1, 4, 6, 5)), REFUSED[layer])
