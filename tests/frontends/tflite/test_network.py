"""TFLite networks: rewritten, in one layout, of free sizes, with LiteRT's result."""

from __future__ import annotations

import flatbuffers
import numpy as np
import onnx
import pytest
from rows_compare import compare
from tflite_net import SAME, Net, check
from tflite_rows import TOLERANCE, compiled, floats, litert, schema
from tvm import relax

import tvm_deconv
from tvm_deconv.frontends.tflite import from_tflite
from tvm_deconv.measure.onnx_reference import float64_results
from tvm_deconv.workloads.selection import inputs_of, select


def upscaler(shape=(1, 9, 11, 3)):
    """A residual network with all three kinds of upsampling layers."""
    net = Net(shape)
    first = net.conv(net.input, 3, 8, fusedActivationFunction=1)
    x = net("PRELU", net.conv(first, 8, 8), net.constant(floats(1, 1, 8)))
    x = net("ADD", x, first, kind="Add")
    x = net("DEPTH_TO_SPACE", net.conv(x, 8, 12), kind="DepthToSpace", blockSize=2)
    return net, x


def operators(mod):
    found = []

    def visit(expr):
        if isinstance(expr, relax.Call):
            found.append(getattr(expr.op, "name", ""))

    relax.analysis.post_order_visit(mod["main"].body, visit)
    return found


def test_images_are_turned_where_they_enter_and_leave_only(tmp_path):
    net, x = upscaler()
    mod = from_tflite(net.file(tmp_path, net.conv(x, 3, 3)))
    # One of them is the shuffle's own.
    assert operators(mod).count("relax.permute_dims") == 3
    assert [int(size) for size in mod["main"].params[0].ty.shape] == [1, 9, 11, 3]


def test_layers_of_a_file_are_rewritten_and_lowered(tmp_path):
    net, x = upscaler()
    up = net("RESIZE_NEAREST_NEIGHBOR", x, net.integers(36, 66), kind="ResizeNearestNeighbor",
             halfPixelCenters=True)  # fmt: skip
    wanted, weights = net.integers(1, 72, 132, 4), net.constant(floats(4, 4, 4, 5))
    y = net("TRANSPOSE_CONV", wanted, weights, net.conv(up, 3, 5), net.constant(floats(4)),
            kind="TransposeConv", padding=SAME, strideH=2, strideW=2)  # fmt: skip
    path = net.file(tmp_path, y)
    report = tvm_deconv.explain(path)
    assert "2 rewritten, 0 refused" in str(report)
    assert "0 left to TVM" in str(report) or "left to TVM" not in str(report)
    check(path, (1, 9, 11, 3))


def test_transposes_that_a_converter_from_pytorch_writes_are_gone(tmp_path):
    """NCHW outside, NHWC around each layer."""
    net = Net((1, 3, 9, 11))
    x = net.conv(net.transpose(net.input, 0, 2, 3, 1), 3, 8)
    x = net("RELU", net.transpose(x, 0, 3, 1, 2))
    x = net.transpose(net.conv(net.transpose(x, 0, 2, 3, 1), 8, 4), 0, 3, 1, 2)
    path = net.file(tmp_path, net("MEAN", x, net.integers(2, 3), kind="Reducer", keepDims=True))
    assert "relax.permute_dims" not in operators(from_tflite(path))
    check(path, (1, 3, 9, 11))


def test_free_sizes_stay_free(tmp_path):
    """As Keras writes them: the shape of the output is computed from that of the input."""
    net = Net((-1, -1, -1, 3))
    x = net.conv(net.input, 3, 8, strideH=2, strideW=2, fusedActivationFunction=1)
    shape = net("SHAPE", x, shape=(4,), dtype=np.int32, kind="Shape", outType=2)
    sizes = []
    for axis in range(3):
        ends = net.integers(axis), net.integers(axis + 1), net.integers(1)
        size = net("STRIDED_SLICE", shape, *ends, shape=(), dtype=np.int32, kind="StridedSlice",
                   shrinkAxisMask=1)  # fmt: skip
        by = net.constant(np.array(2 if axis else 1, np.int32))
        sizes.append(net("MUL", size, by, shape=(), dtype=np.int32, kind="Mul"))
    channels = net.constant(np.array(5, np.int32))
    wanted = net("PACK", *sizes, channels, shape=(4,), dtype=np.int32, kind="Pack", valuesCount=4)
    weights = net.constant(floats(5, 3, 3, 8) / 8)
    y = net("TRANSPOSE_CONV", wanted, weights, x, net.constant(floats(5)), kind="TransposeConv",
            padding=SAME, strideH=2, strideW=2)  # fmt: skip
    path = net.file(tmp_path, y)
    check(path, (1, 9, 11, 3), (2, 6, 5, 3))


@pytest.mark.parametrize(
    ("operator", "kernel", "strides"),
    [
        ("AVERAGE_POOL_2D", (3, 3), (2, 3)),
        ("MAX_POOL_2D", (3, 3), (2, 3)),
        ("MAX_POOL_2D", (1, 1), (2, 3)),  # as ResNets take every second sample
        ("AVERAGE_POOL_2D", (3, 3), (4, 2)),
        ("MAX_POOL_2D", (2, 3), (5, 4)),
        ("L2_POOL_2D", (1, 2), (2, 4)),
    ],
)
def test_windows_with_strides_are_padded_by_free_sizes(operator, kernel, strides, tmp_path):
    """Strides over the window leave samples over, at some sizes."""
    net = Net((-1, -1, -1, 3))
    how = {"padding": SAME, "filterHeight": kernel[0], "filterWidth": kernel[1]}
    how |= {"strideH": strides[0], "strideW": strides[1]}
    path = net.file(tmp_path, net(operator, net.input, kind="Pool2D", **how))
    check(path, (1, 9, 11, 3), (2, 6, 5, 3), (1, 7, 12, 3), (1, 8, 9, 3))


def test_a_shape_fixes_free_sizes_only(tmp_path):
    net, x = upscaler((-1, 9, 11, 3))
    path = net.file(tmp_path, x)
    mod = from_tflite(path, {"t0": (2, 9, 11, 3)})
    assert [int(size) for size in mod["main"].params[0].ty.shape] == [2, 9, 11, 3]
    with pytest.raises(tvm_deconv.errors.ModelError, match=r"axis 1 of input 't0'.* fixed at 9"):
        from_tflite(path, {"t0": (2, 8, 11, 3)})


@pytest.mark.parametrize(("padding", "kernel"), [(1, 4), (1, 2), (2, 3)])
def test_mediapipes_transposed_convolution_crops_by_the_size_of_its_input(
    padding, kernel, tmp_path
):
    """(1, 7, 10) by stride (2, 3); SAME crops max(k - (n - 1) mod s - 1, 0)."""
    net, weights, bias = Net((1, 7, 9, 3)), floats(4, kernel, kernel, 3), floats(4)
    y = net.tensor((1, 1, 1, 4))
    custom = np.array([padding, 3, 2], np.int32).tobytes()  # padding, stride of W, of H
    numbers = [net.input, net.constant(weights), net.constant(bias)]
    net.append("Convolution2DTransposeBias", numbers, [y], custom=custom)
    x = floats(1, 7, 9, 3)
    full = np.zeros((6 * 2 + kernel, 8 * 3 + kernel, 4))
    for i, j in np.ndindex(7, 9):
        full[2 * i : 2 * i + kernel, 3 * j : 3 * j + kernel] += np.einsum(
            "c,ohwc->hwo", x[0, i, j], weights
        )
    crops = [max(kernel - (n - 1) % s - 1, 0) if padding == 1 else 0 for n, s in ((7, 2), (9, 3))]
    rows, columns = (slice(c // 2, size - (c - c // 2)) for c, size in zip(crops, full.shape))  # noqa: B905
    (got,) = compiled(net.file(tmp_path, y))([x])
    compare(got, (full[rows, columns] + bias)[None].astype(np.float32), TOLERANCE)


def test_weights_of_float16_are_float32(tmp_path):
    net = Net((1, 5, 6, 3))
    half = net.constant((floats(4, 3, 3, 3)).astype(np.float16))
    weights = net("DEQUANTIZE", half, shape=(4, 3, 3, 3))
    how = {"padding": SAME, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    y = net("CONV_2D", net.input, weights, net.constant(floats(4)), kind="Conv2D", **how)
    check(net.file(tmp_path, y), (1, 5, 6, 3))


def test_an_operator_may_have_its_code_in_the_newer_field_only(tmp_path):
    """As ai-edge-quantizer writes it; the older field reads as 0 then, which is ADD."""
    net = Net((1, 5, 6, 3))
    path = net.file(tmp_path, net("LOGISTIC", net.input))
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    model.operatorCodes[0].deprecatedBuiltinCode = 0
    builder = flatbuffers.Builder(64)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    check(path, (1, 5, 6, 3))


def test_the_benchmark_gets_an_onnx_model_in_nchw(tmp_path):
    net, x = upscaler()
    path = net.file(tmp_path, net.conv(x, 3, 3))
    (file,) = select([str(path)])
    model = file.model()
    onnx.checker.check_model(model, full_check=True)
    assert "Transpose" not in [node.op_type for node in model.graph.node]
    (given,) = inputs_of(model, "the file")
    assert (given.shape, given.dtype) == ((1, 3, 9, 11), np.float32)
    x = floats(1, 9, 11, 3)
    (expected,) = litert(path.read_bytes(), [x])
    (got,) = float64_results(model, {given.name: x.transpose(0, 3, 1, 2)})
    got = got.transpose(0, 2, 3, 1)
    compare(got.astype(np.float32), expected, {"float32": 2 * TOLERANCE["float32"]})


def test_a_bilinear_resize_by_half_pixels_is_folded(tmp_path):
    net = Net((1, 12, 9, 4))
    up = net(
        "RESIZE_BILINEAR",
        net.input,
        net.integers(24, 18),
        shape=(1, 24, 18, 4),
        kind="ResizeBilinear",
        halfPixelCenters=True,
    )
    path = net.file(tmp_path, net.conv(up, 4, 7))
    report = tvm_deconv.explain(path)
    assert [layer.before for layer in report.rewritten] == ["linear resize 2x2, conv 3x3 4->7"]
    check(path, (1, 12, 9, 4))
