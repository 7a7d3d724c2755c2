"""``check`` passes what is right, and names the layer of the model that is wrong."""

import json
import sys

import numpy as np
import onnx
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

import tvm_deconv
from tvm_deconv import cli
from tvm_deconv.algebra import weights
from tvm_deconv.errors import CheckError, ModelError, OptionError, TargetError
from tvm_deconv.frontends.onnx.convert import CONVERTERS
from tvm_deconv.patterns import shuffled

pytest.importorskip("onnxruntime")

OPTIONS = {"log": None, "draws": 1}


def network(sizes=(7, 5), kind=TensorProto.FLOAT) -> onnx.ModelProto:
    """Two branches of a convolution, one with a sigmoid, joined, convolved and shuffled."""
    rng = np.random.default_rng(0)
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    shapes = {"w": (4, 2, 3, 3), "b": (4,), "u": (8, 4, 3, 3)}
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "/enc/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["s"], "/enc/act.1/Sigmoid"),
        helper.make_node("Tanh", ["c"], ["t"]),
        helper.make_node("Add", ["s", "t"], ["a"], "/Add"),
        helper.make_node("Conv", ["a", "u"], ["d"], "/up/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["d"], ["y"], "/up/Shuffle", blocksize=2, mode="CRD"),
        helper.make_node("Relu", ["t"], ["side"], "/side"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", kind, [1, 2, *sizes])],
        [helper.make_tensor_value_info(name, kind, None) for name in ("side", "y")],
        [
            numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(dtype), name)
            for name, shape in shapes.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.fixture
def wrong_sigmoid(monkeypatch):
    """The converter of ONNX's Sigmoid computes tanh."""
    monkeypatch.setitem(CONVERTERS, "Sigmoid", (lambda call: relax.op.tanh(call.tensor(0)), ""))


def test_a_right_network_of_free_sizes_is_held_against_onnx_runtime_at_three_of_them():
    report = tvm_deconv.check(network(("h", "w")), **OPTIONS)

    assert report.is_right and report.layer is None, report
    assert report.reference.startswith("ONNX Runtime ")
    sizes = [shapes["x"][2:] for shapes in report.inputs]
    assert len(sizes) == len(set(sizes)) == 3
    assert any(size % 2 for size in sizes[0]) and any(h != w for h, w in sizes)
    assert [output.name for output in report.outputs] == ["side", "y"]
    assert all(0 < output.relative < output.allowed < 1e-3 for output in report.outputs)


def test_the_layer_whose_converter_is_wrong_is_named(wrong_sigmoid, tmp_path, capsys):
    path = tmp_path / "network.onnx"
    onnx.save(network(), path)

    assert cli.main(["check", str(path), "--logs", "none", "--draws", "1", "--json"]) == 1

    printed = capsys.readouterr()
    assert "tvm-deconv: wrong up to Sigmoid '/enc/act.1/Sigmoid', tensor 's'" in printed.err
    found = json.loads(printed.out)
    assert not found["right"] and found["stopped"] == ""
    problems = {output["name"]: output["problem"] for output in found["outputs"]}
    assert problems["side"] == "" and "of the elements are off" in problems["y"]
    assert found["layer"] == {"name": "/enc/act.1/Sigmoid", "operator": "Sigmoid", "tensor": "s"}


def test_a_wrong_rewrite_is_blamed_on_the_layer_whose_result_it_is(monkeypatch):
    def wrong(*arguments):
        return -weights.weight_shuffle_by(*arguments)

    monkeypatch.setattr(shuffled, "weight_shuffle_by", wrong)

    report = tvm_deconv.check(network(), **OPTIONS)

    assert not report.is_right and report.layer.name == "/up/Shuffle"
    assert tvm_deconv.check(network(), rewrite=False, **OPTIONS).is_right


def test_the_module_of_pytorch_whose_operator_is_wrong_is_named(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    from tvm_deconv.frontends.torch.table import CONVERTERS as OPERATORS

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.ReLU(inplace=True))
            self.gate = torch.nn.ModuleDict({"act": torch.nn.Sigmoid()})

        def forward(self, x, scale: float):
            y = self.body(x)
            low, high = torch.split(y, 2, dim=1)
            return {"out": self.gate["act"](low) * scale + high, "none": None}, y

    program = torch.export.export(Network().eval(), (torch.rand(1, 2, 8, 9), 2.0))
    path = tmp_path / "network.pt2"
    torch.export.save(program, path)

    report = tvm_deconv.check(path, **OPTIONS)

    assert report.is_right and report.reference.startswith("PyTorch "), report
    assert len(report.outputs) == 2

    def tanh(translation, x):
        return relax.op.tanh(x)

    monkeypatch.setitem(OPERATORS, "aten.sigmoid.default", (tanh, ""))

    report = tvm_deconv.check(program, **OPTIONS)

    assert [bool(output.problem) for output in report.outputs] == [True, False]
    assert (report.layer.name, report.layer.operator) == ("gate.act", "aten.sigmoid.default")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's own, inside torch.export
@pytest.mark.parametrize("decomposed", [False, True], ids=["as exported", "decomposed"])
def test_an_argument_may_be_named_like_a_builtin_of_python(monkeypatch, decomposed):
    torch = pytest.importorskip("torch")
    from tvm_deconv.frontends.torch.table import CONVERTERS as OPERATORS

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.act = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 3), torch.nn.Sigmoid())
            self.shift = torch.rand(3, 1, 1)

        def forward(self, input, id, *, dict):
            return self.act(input) + self.shift, id * 2 + dict

    height = torch.export.Dim("height", min=4)
    program = torch.export.export(
        Network().eval(),
        (torch.rand(1, 3, 8, 9), torch.rand(3)),
        {"dict": torch.rand(3)},
        dynamic_shapes={"input": {2: height}, "id": None, "dict": None},
    )
    program = program.run_decompositions() if decomposed else program
    text = program.graph_module.code

    assert tvm_deconv.check(program, **OPTIONS).is_right

    monkeypatch.setitem(OPERATORS, "aten.sigmoid.default", (lambda call, x: relax.op.tanh(x), ""))
    report = tvm_deconv.check(program, **OPTIONS)

    assert report.layer.operator == "aten.sigmoid.default"
    assert program.graph_module.code == text


def test_the_weights_that_a_rounding_error_moves_are_a_copy_of_all_that_pytorch_has():
    torch = pytest.importorskip("torch")
    from tvm_deconv.checking.torch_subject import TorchSubject

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.rand(99))
            self.register_buffer("kept", torch.rand(99))
            self.register_buffer("unsaved", torch.rand(99), persistent=False)
            self.constant = torch.rand(99)

        def forward(self, x):
            return x + self.weight, x + self.kept, x + self.unsaved, x + self.constant

    network = Network()
    subject = TorchSubject(torch.export.export(network, (torch.rand(99),)))
    x = [np.zeros(99, "float32")]

    before, moved, after = subject.run(x), subject.nearby(1).run(x), subject.run(x)

    np.testing.assert_array_equal(before, after)
    for one, other in zip(before, moved, strict=True):
        assert (one != other).any()
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_sizes_that_the_network_cannot_have_are_passed_over():
    node = helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=8)
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, "h", "w"]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph([node], "unshuffle", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)

    report = tvm_deconv.check(model, **OPTIONS)

    assert report.is_right
    shapes = [one["x"] for one in report.inputs]
    assert len(shapes) == 3 and all(h % 8 == w % 8 == 0 for _, _, h, w in shapes)


def test_a_network_that_stops_where_the_reference_does_not_is_wrong(monkeypatch):
    def only_one_size(call):
        return call.builder.match_cast(call.tensor(0), relax.TensorType((1, 4, 5, 5), "float32"))

    monkeypatch.setitem(CONVERTERS, "Relu", (only_one_size, ""))

    report = tvm_deconv.check(network(("h", 5)), **OPTIONS)

    assert not report.is_right
    assert "x=" not in report.stopped and "(1, 2, 19, 5)" in report.stopped
    assert "WRONG: ONNX Runtime" in str(report)


def test_a_refusal_of_the_reference_is_told_from_ours():
    with pytest.raises(CheckError, match=r"we compile this, but ONNX Runtime .* refuses it: "):
        tvm_deconv.check(network(kind=TensorProto.DOUBLE), **OPTIONS)

    model = network()
    model.graph.node[1].op_type = "DeformConv"
    with pytest.raises(ModelError):
        tvm_deconv.check(model, **OPTIONS)


def test_a_reference_that_is_not_installed_is_named_with_its_package(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path = tmp_path / "network.onnx"
    onnx.save(network(), path)

    assert cli.main(["check", str(path)]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("ONNX Runtime, which is not installed: pip install onnxruntime")


def test_what_cannot_be_checked_is_refused_in_a_line():
    with pytest.raises(CheckError, match="nothing to hold a IRModule against"):
        tvm_deconv.check(tvm.IRModule({}))
    with pytest.raises(TargetError, match="raspberry-pi/4b-aarch64 is not this machine"):
        tvm_deconv.check(network(), "raspberry-pi/4b-aarch64")
    with pytest.raises(OptionError, match="draws is 0: give an integer of at least 1"):
        tvm_deconv.check(network(), draws=0)


def test_weights_stored_in_float16_are_computed_in_float32():
    """So no more is allowed than in a file that stores them in float32."""
    half = network()
    for tensor in list(half.graph.initializer):
        values = numpy_helper.to_array(tensor).astype("float16")
        half.graph.initializer.remove(tensor)
        half.graph.initializer.append(numpy_helper.from_array(values, f"{tensor.name}_stored"))
        cast = helper.make_node("Cast", [f"{tensor.name}_stored"], [tensor.name], to=1)
        half.graph.node.insert(0, cast)
    report = tvm_deconv.check(half, **OPTIONS)
    assert report.is_right
    assert all(0 < output.relative < output.allowed < 1e-3 for output in report.outputs)
