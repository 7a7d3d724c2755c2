"""TFLite upsampling layers as this TVM's importer gives them, in NHWC; LiteRT is the judge."""

from __future__ import annotations

import numpy as np
import pytest
import relay_reference
import tflite
import tvm
from relay_helpers import assert_close, compiled, operators
from tvm import relay

from tvm_deconv.relay import rewrite_upsampling

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed", exc_type=ImportError)

from ai_edge_litert import schema_py_generated as schema
from tflite_reference import litert

from tvm_deconv.bench.peers.tflite_file import Writer

SHAPE = (1, 5, 6, 4)


class Layer:
    """A TFLite file written as a chain of calls; ``y`` is the present tensor and its shape."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.rng = np.random.default_rng(0)
        self.given = self.y = self.writer.tensor(SHAPE)
        self.shape = SHAPE

    def __call__(self, operator, shape, *constants, **fields):
        """Append ``operator`` with its options' fields; the first operand is ``y``."""
        kind = operator.title().replace("_", "")
        options = getattr(schema, f"{kind}OptionsT", lambda: None)()
        for name, value in fields.items():
            setattr(options, name, value)
        inputs = [self.y, *(self.writer.constant(value) for value in constants)]
        self.y = self.writer.operator(operator, inputs, shape, options)
        self.shape = shape

    def conv(self, channels, kernel=3, same=True, **fields):
        n, h, w, c = self.shape
        size = (h, w) if same else (h - kernel + 1, w - kernel + 1)
        weight = self.rng.uniform(-1, 1, (channels, kernel, kernel, c)).astype("float32")
        bias = self.rng.uniform(-1, 1, channels).astype("float32")
        padding = schema.Padding.SAME if same else schema.Padding.VALID
        fields = {"strideH": 1, "strideW": 1, "padding": padding, **fields}
        self("CONV_2D", (n, *size, channels), weight, bias, **fields)

    def shuffle(self, r):
        n, h, w, c = self.shape
        self("DEPTH_TO_SPACE", (n, h * r, w * r, c // (r * r)), blockSize=r)

    def nearest(self, rh, rw, **fields):
        n, h, w, c = self.shape
        sizes = np.array([h * rh, w * rw], "int32")
        self("RESIZE_NEAREST_NEIGHBOR", (n, h * rh, w * rw, c), sizes, **fields)

    def pad(self, operator, width, **fields):
        n, h, w, c = self.shape
        widths = np.array([(0, 0), (width, width), (width, width), (0, 0)], "int32")
        self(operator, (n, h + 2 * width, w + 2 * width, c), widths, **fields)

    def file(self):
        return self.writer.finish([self.given], [self.y])


def shuffled(layer):
    layer.conv(12)
    layer.shuffle(2)


def activated(layer):
    layer.conv(8, fusedActivationFunction=schema.ActivationFunctionType.RELU6)
    slope = layer.rng.uniform(0, 1, (1, 1, 8)).astype("float32")
    layer("PRELU", layer.shape, slope)
    layer.shuffle(2)


def multiplied(layer):
    layer.conv(9)
    layer("MUL", layer.shape, layer.rng.uniform(-1, 1, 9).astype("float32"))
    layer("TANH", layer.shape)
    layer.shuffle(3)


def resized(layer):
    layer.nearest(2, 3)
    layer.conv(5)


def resized_then_depthwise(layer):
    layer.nearest(2, 2)
    weight = layer.rng.uniform(-1, 1, (1, 3, 3, 4)).astype("float32")
    bias = layer.rng.uniform(-1, 1, 4).astype("float32")
    fields = {"strideH": 1, "strideW": 1, "depthMultiplier": 1, "padding": schema.Padding.SAME}
    layer("DEPTHWISE_CONV_2D", layer.shape, weight, bias, **fields)


def resized_by_half_pixels(layer):
    layer.nearest(3, 3, halfPixelCenters=True)
    layer.conv(5)


def enlarged_linearly(layer):
    n, h, w, c = layer.shape
    sizes = np.array([2 * h, 2 * w], "int32")
    layer("RESIZE_BILINEAR", (n, 2 * h, 2 * w, c), sizes, halfPixelCenters=True)
    layer.conv(2)


def with_zeros(layer):
    layer.nearest(2, 2)
    layer.pad("PAD", 1)
    layer.conv(5, same=False)


def reflected(layer):
    layer.nearest(2, 2)
    layer("RELU", layer.shape)
    layer.pad("MIRROR_PAD", 1, mode=schema.MirrorPadMode.REFLECT)
    layer.conv(5, same=False)


def reflected_with_the_edge(layer):
    layer.nearest(2, 2)
    layer.pad("MIRROR_PAD", 2, mode=schema.MirrorPadMode.SYMMETRIC)
    layer.conv(5, kernel=5, same=False)


def read(content: bytes) -> tvm.IRModule:
    model = tflite.Model.GetRootAsModel(content, 0)
    mod, parameters = relay.frontend.from_tflite(model)
    mod["main"] = relay.build_module.bind_params_by_name(mod["main"], parameters)
    return relay.transform.InferType()(mod)


LAYERS = [
    shuffled,
    activated,
    multiplied,
    resized,
    resized_then_depthwise,
    resized_by_half_pixels,
    enlarged_linearly,
    with_zeros,
    reflected,
    reflected_with_the_edge,
]


@pytest.mark.parametrize("form", LAYERS)
def test_every_form_of_a_layer_is_rewritten(form):
    layer = Layer()
    form(layer)
    content = layer.file()
    new, report = rewrite_upsampling(read(content))
    assert [line.status for line in report.layers] == ["rewritten"], report
    assert "nn.conv2d_transpose" in operators(new)
    assert not {"image.resize2d", "nn.depth_to_space"} & set(operators(new))
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    (expected,) = litert(content, [x])
    assert_close(relay_reference.evaluate(new, x), expected)


def test_a_compiled_file_equals_litert():
    layer = Layer()
    activated(layer)
    resized(layer)
    content = layer.file()
    new, report = rewrite_upsampling(read(content))
    assert len(report.rewritten) == 2, report
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    (name,) = (str(param.name_hint) for param in new["main"].params)
    (expected,) = litert(content, [x])
    assert_close(compiled(new, x, name), expected)
