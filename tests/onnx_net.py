"""ONNX networks with random weights, written as chains of calls."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

NEAREST = {
    "mode": "nearest",
    "coordinate_transformation_mode": "asymmetric",
    "nearest_mode": "floor",
}


class Net:
    """An ONNX graph written as a chain of calls; each returns the name of its result."""

    def __init__(self, shape=(2, 6, 13, 37), dtype="float32", dims=None):
        self.rng = np.random.default_rng(0)
        self.dtype, self.shape, self.dims = dtype, shape, dims or shape
        self.nodes, self.weights, self.count = [], [], 0

    def constant(self, *shape, scale=1.0):
        return self.given((self.rng.standard_normal(shape) * scale).astype(self.dtype))

    def given(self, values):
        self.weights.append(numpy_helper.from_array(values, f"k{len(self.weights)}"))
        return self.weights[-1].name

    def __call__(self, operator, *inputs, **attributes):
        self.count += 1
        name = f"t{self.count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def conv(self, x, c_in, c_out, k=3, bias=True, **attributes):
        attributes.setdefault("pads", [k // 2] * 4)
        groups = attributes.get("group", 1)
        inputs = [self.constant(c_out, c_in // groups, k, k, scale=1 / (k * np.sqrt(c_in)))]
        inputs += [self.constant(c_out)] if bias else []
        return self("Conv", x, *inputs, **attributes)

    def deconv(self, x, c_in, c_out, k, stride, **attributes):
        weight = self.constant(c_in, c_out, k, k, scale=1 / (k * np.sqrt(c_in)))
        return self("ConvTranspose", x, weight, strides=[stride] * 2, **attributes)

    def nearest(self, x, rh, rw=None):
        """Nearest resize by whole factors."""
        return self.enlarged(x, 1, 1, rh, rw or rh)

    def enlarged(self, x, *factors):
        """Nearest resize by a factor for each axis."""
        return self("Resize", x, "", self.given(np.array(factors, "float32")), **NEAREST)

    def to_sizes(self, x, *sizes):
        """Nearest resize to a size for each axis."""
        return self("Resize", x, "", "", self.integers(*sizes), **NEAREST)

    def linear(self, x, rh, rw=None):
        """Linear resize by whole factors (half_pixel)."""
        scales = self.given(np.array([1, 1, rh, rw or rh], "float32"))
        return self("Resize", x, "", scales, mode="linear")

    def batch_norm(self, x, channels):
        positive = np.abs(self.rng.standard_normal(channels)).astype(self.dtype) + 0.5
        scale_shift_mean = [self.constant(channels) for _ in range(3)]
        return self("BatchNormalization", x, *scale_shift_mean, self.given(positive))

    def reflect(self, x, width):
        pads = self.integers(0, 0, width, width, 0, 0, width, width)
        return self("Pad", x, pads, mode="reflect")

    def integers(self, *values):
        return self.given(np.array(values, "int64"))

    def ones(self, count):
        return self.given(np.ones(count, self.dtype))

    def zeros(self, count):
        return self.given(np.zeros(count, self.dtype))

    def model(self, *outputs):
        kind = TensorProto.FLOAT16 if self.dtype == "float16" else TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", kind, self.dims)],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def every_layer(dims=None):
    """Plain, sub-pixel, resize and transposed convolutions, one kernel smaller than its stride."""
    net = Net((2, 3, 9, 14), dims=dims)
    x = net("Relu", net.conv("x", 3, 18))
    x = net("DepthToSpace", net.conv(x, 18, 20), blocksize=2, mode="CRD")
    x = net("LeakyRelu", net.conv(net.nearest(x, 2), 5, 18), alpha=0.1)
    x = net("Tanh", net.deconv(x, 18, 4, 4, 2, pads=[1] * 4))
    return net, net.deconv(x, 4, 2, 2, 3, output_padding=[1, 0])
