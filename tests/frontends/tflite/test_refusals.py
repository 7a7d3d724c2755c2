"""What of TFLite is not computed is refused in one line: node, operator, attribute."""

from __future__ import annotations

import sys

import flatbuffers
import numpy as np
import pytest
from tflite_net import Net
from tflite_rows import Writer, c, file_of, floats, options, row, schema

from tvm_deconv import cli
from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.tflite import from_tflite

CONV = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}


def conv(channels=3, **fields):
    how = options("Conv2D", **{**CONV, **fields})
    return row(
        "CONV_2D", floats(1, 5, 6, 3), c(floats(4, 3, 3, channels)), c(floats(4)), options=how
    )


def deconv(wanted, padding=0):
    how = options("TransposeConv", padding=padding, strideH=2, strideW=2)
    weights = c(floats(4, 3, 3, 3))
    return row("TRANSPOSE_CONV", c(wanted), weights, floats(1, 5, 6, 3), options=how)


def resize(**fields):
    how = options("ResizeNearestNeighbor", **fields)
    return row("RESIZE_NEAREST_NEIGHBOR", floats(1, 5, 6, 3), c([10, 12]), options=how)


REFUSED = [
    (conv(strideH=0), "CONV_2D 0 't3': StrideH is 0: give a positive number"),
    (conv(padding=2), "CONV_2D 0 't3': Padding is 2, neither SAME nor VALID"),
    (conv(fusedActivationFunction=4), "FusedActivationFunction is TANH, which LiteRT does not"),
    (conv(channels=2), "its weights are for 2 channels, its input has 3"),
    (deconv([1, 12, 12, 4]), "TRANSPOSE_CONV 0 't3': its output shape has 12 samples"),
    (deconv([1, 10, 12, 4], padding=1), "has 10 samples along an axis, which the 5 of its"),
    (resize(alignCorners=True, halfPixelCenters=True), "AlignCorners and HalfPixelCenters"),
    (row("DEPTH_TO_SPACE", floats(1, 2, 3, 6), options=options("DepthToSpace", blockSize=2)),
     "BlockSize 2 needs a multiple of 4 channels, there are 6"),
    (row("STRIDED_SLICE", floats(3, 4), c([0, 0]), c([2, 2]), c([1, 1]),
         options=options("StridedSlice", ellipsisMask=3)), "EllipsisMask is 3: only one of its"),
    (row("STRIDED_SLICE", floats(3, 4), c([0] * 3), c([2] * 3), c([1] * 3),
         options=options("StridedSlice")), "strides [1, 1, 1] do not fit 2 axes"),
    (row("GATHER", floats(3, 4, 2), c([[0], [1], [0]]),
         options=options("Gather", axis=2, batchDims=1)), "BatchDims is 1, Axis 2: only the axis"),
    (row("SPACE_TO_BATCH_ND", floats(1, 5, 6, 3), c([2, 2]), c([[0, 0], [0, 0]])),
     "its blocks [2, 2] do not divide its padded sizes [5, 6]"),
    (row("BATCH_TO_SPACE_ND", floats(6, 5, 6, 3), c([2, 2]), c([[0, 0], [0, 0]])),
     "its blocks [2, 2] do not divide its batch of 6"),
    (row("PAD", floats(3, 4), c([[0, -1], [0, 0]])), "paddings are [[0, -1], [0, 0]]"),
    (row("MIRROR_PAD", floats(3, 4), c([[0, 4], [0, 0]]), options=options("MirrorPad", mode=1)),
     "paddings (0, 4) are wider than the 3 samples of axis 0"),
    (row("MEAN", floats(3, 4), c([2]), options=options("Reducer")), "axis 2 is outside of its"),
    (row("ADD", floats(3, 4), floats(3, 5), options=options("Add")), "ADD 0 't2'"),
    (row("RESHAPE", floats(3, 4), c([5, -1])), "RESHAPE 0 't2'"),
    (row("COMPLEX_ABS", floats(3)), "COMPLEX_ABS, which cannot be imported (node 0)"),
]  # fmt: skip


@pytest.fixture
def refused(tmp_path):
    def message(content):
        path = tmp_path / "net.tflite"
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            from_tflite(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
        return str(caught.value)

    return message


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_an_attribute_that_is_not_computed_is_named(one, reason, refused):
    assert reason in refused(file_of([one])[0])


def test_an_unknown_custom_operator_is_named(refused):
    writer = Writer()
    x, y = writer.tensor((1, 4)), writer.tensor((1, 4))
    writer.append("TFLite_Detection_PostProcess", [x], [y], custom=b"")
    assert "TFLite_Detection_PostProcess (custom)" in refused(writer.finish([x], [y]))


def test_tensors_that_nothing_computes_or_two_compute_are_named(refused):
    for inputs, results, end, reason in (
        ([1], [2], 2, "RELU 0 't2': reads tensor 1 't1' before anything computes it"),
        ([0], [0], 0, "RELU 0 't0': computes tensor 0 't0', which is there already"),
        ([0], [1], 2, "output 2 reads tensor 2 't2' before"),
    ):
        writer = Writer()
        for _ in range(3):
            writer.tensor((1, 4))
        writer.append("RELU", inputs, results)
        assert reason in refused(writer.finish([0], [end]))


def test_weights_shorter_than_their_shape_are_named(refused):
    writer = Writer()
    x, k, y = writer.tensor((1, 4)), writer.constant(floats(4)), writer.tensor((1, 4))
    writer._tensors[k].shape = np.array([5], np.int32)
    writer.append("ADD", [x, k], [y], options("Add"))
    assert "tensor 1 't1' of shape [5] holds 16 bytes, not 20" in refused(writer.finish([x], [y]))


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path, refused):
    """Ends cut off and bits flipped; what is still a network is fine."""
    content, rng = file_of([conv(), deconv([1, 10, 12, 4])])[0], np.random.default_rng(0)
    refusals = 0
    for _ in range(150):
        damaged = bytearray(content[: rng.integers(9, len(content))])
        if rng.random() < 0.7:
            damaged = bytearray(content)
            damaged[rng.integers(8, len(content))] ^= 1 << rng.integers(8)
        path = tmp_path / "damaged.tflite"
        path.write_bytes(damaged)
        try:
            from_tflite(path)
        except ModelError as error:
            assert "\n" not in str(error)
            refusals += 1
    assert refusals > 40


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        (b"hello, world", "is not a TFLite model"),
        (b"\0\0\0\x01TFL3", "is a damaged TFLite model: convert or download it again"),
        (file_of([conv(strideW=-1)])[0], "CONV_2D 0 't3': StrideW is -1"),
    ],
    ids=["missing", "text", "cut", "stride"],
)
def test_the_command_line_says_one_line_and_exits_2(content, reason, tmp_path, capfd):
    path = tmp_path / "net.tflite"
    if content is not None:
        path.write_bytes(content)
    assert cli.main(["compile", str(path), "-o", str(tmp_path / "net.so")]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"tvm-deconv: {path}") and reason in line


def test_without_the_package_the_message_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "net.lite"  # known by its content
    path.write_bytes(file_of([conv()])[0])
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(ModelError, match=r"needs the package tflite: pip install 'tvm-deconv\["):
        from_tflite(path)


def test_a_file_without_graphs_is_damaged(refused):
    builder = pytest.importorskip("flatbuffers").Builder(64)
    builder.Finish(schema.ModelT().Pack(builder), b"TFL3")
    assert "is a damaged TFLite model: it holds no graph" in refused(bytes(builder.Output()))


@pytest.mark.parametrize("number", [17, 99])
def test_weights_of_a_type_that_is_not_known_are_no_damage(number, tmp_path):
    """Quantizers write weights of two and four bits; the schema here ends before those of two."""
    net = Net((1, 5, 7, 3))
    path = net.file(tmp_path, net.conv(net.input, 3, 4))
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    model.subgraphs[0].tensors[1].type = number
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    with pytest.raises(ModelError, match="keep floats, or quantize to 8 bits"):
        from_tflite(path)
