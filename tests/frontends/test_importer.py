"""Models of every kind become one Relax module, and bad ones one ModelError."""

from __future__ import annotations

import zipfile

import numpy as np
import onnx
import pytest
import torch
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load


def network(dims=("n", 1, "h", "w"), operator="Relu", domain="", **attributes) -> onnx.ModelProto:
    """conv(1 -> 2, kernel 3) then one pointwise operator."""
    weight = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "weight")
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(operator, ["c"], ["y"], domain=domain, **attributes),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], [weight])
    opsets = [helper.make_opsetid("", 18)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def shape_of(mod, index=0):
    dims = mod["main"].params[index].ty.shape
    return [dim.value if isinstance(dim, tvm.tirx.IntImm) else dim.name for dim in dims]


class Upscaler(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, low, gain):
        return torch.nn.functional.pixel_shuffle(self.conv(low), 2) * gain


def exported(dynamic=True):
    size = torch.export.Dim("h", min=2)
    spec = {"low": {2: size}, "gain": None} if dynamic else None
    args = (torch.rand(1, 1, 6, 8), torch.rand(1))
    return torch.export.export(Upscaler().eval(), args, dynamic_shapes=spec)


def test_a_file_a_proto_and_a_path_object_give_the_same_module(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(network(), path)
    for model in (str(path), path, network()):
        mod = load(model)
        assert shape_of(mod) == ["n", 1, "h", "w"]
        assert len(mod["main"].params) == 1, "the weights are constants"
    tvm.ir.assert_structural_equal(load(path), load(network()), map_free_vars=True)


def test_a_relax_module_comes_back_as_it_is():
    mod = load(network())
    assert load(mod) is mod


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's own, inside torch.export
def test_an_exported_program_keeps_its_inputs_in_order_and_returns_a_tensor():
    mod = load(exported())
    assert [param.name for param in mod["main"].params] == ["low", "gain"]
    assert shape_of(mod)[3] == 8
    assert isinstance(shape_of(mod)[2], str), "a symbolic height stays symbolic"
    assert isinstance(mod["main"].ret_ty, relax.TensorType)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_shapes_bind_the_symbolic_dimensions_of_any_kind_of_model():
    assert shape_of(load(network(), {"x": (2, 1, 5, 7)})) == [2, 1, 5, 7]
    assert shape_of(load(load(network()), {"x": (2, 1, 5, 7)})) == [2, 1, 5, 7]
    assert shape_of(load(exported(), {"low": (1, 1, 5, 8)})) == [1, 1, 5, 8]


def test_unnamed_dimensions_are_not_taken_for_one_and_the_same():
    names = shape_of(load(network((None, 1, None, None))))
    assert len(set(names)) == 4


def test_a_dimension_name_that_looks_like_a_formula_is_a_name():
    names = shape_of(load(network(("batch-size", 1, "2nd", "2nd"))))
    assert names[0] == "batch_size"
    assert names[2] == names[3] != names[0]


def test_a_dimension_that_is_a_formula_of_others_stays_one():
    model = network(("n", 1, "h", "2*h"))
    main = load(model)["main"]
    _, _, height, width = main.params[0].ty.shape
    tvm.ir.assert_structural_equal(width, 2 * height)


def test_weights_in_a_file_of_their_own_are_read(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(network(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert (tmp_path / "w.bin").exists()
    tvm.ir.assert_structural_equal(load(path), load(network()), map_free_vars=True)


def test_a_function_inside_the_model_is_inlined():
    model = network(operator="Double", domain="my")
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    opset = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("my", "Double", ["a"], ["b"], body, opset))
    assert "R.add" in load(model).script()


def test_an_importer_that_fails_is_quiet_and_names_the_operator(capfd):
    model = network(operator="Softplus")
    del model.graph.node[1]
    model.graph.node.append(helper.make_node("Resize", ["c", "", "", "size"], ["y"], mode="cubic"))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 9]), "size"))
    with pytest.raises(ModelError, match=r"net: Resize 'y' \(opset 18\): Number of elements"):
        load(model)
    assert capfd.readouterr().out == ""


def without_shape():
    model = network()
    model.graph.input[0].type.tensor_type.ClearField("shape")
    return model


def without_input_of_a_node():
    model = network()
    model.graph.node[1].input[0] = "nowhere"
    return model


def hidden_in_a_branch():
    model = network()
    y = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    step = helper.make_node("MaxUnknown", ["c"], ["b"])
    body = helper.make_graph([step], "body", [], [y])
    branches = {"then_branch": body, "else_branch": body}
    weight = numpy_helper.from_array(np.array(True), "t")
    model.graph.node.append(helper.make_node("If", ["t"], ["z"], **branches))
    model.graph.initializer.append(weight)
    model.graph.output[0].name = "z"
    return model


@pytest.mark.parametrize(
    ("model", "shapes", "reason"),
    [
        (network(operator="Conv3000"), None, r"net: Conv3000 .* \(opset 18\) cannot be imported"),
        (
            network(operator="Relu", domain="com.acme"),
            None,
            "net: com.acme::Relu .* cannot be imported",
        ),
        (hidden_in_a_branch(), None, "net: MaxUnknown 'b' .* and 1 more cannot be"),
        (onnx.ModelProto(), None, "ModelProto is not an ONNX model: it holds no graph"),
        (without_input_of_a_node(), None, "net is a damaged ONNX model: .*nowhere"),
        (without_shape(), None, "input 'x' of net has no shape: pass one"),
        (network(), {"image": (1, 1, 5, 7)}, r"net has no input 'image': its inputs are \['x'\]"),
        (network(), {"x": (5, 7)}, r"input 'x' of net has 4 axes, got \(5, 7\)"),
        (network(), {"x": (1, 1, 0, 7)}, "must hold positive integers"),
        (load(network()), {"x": (1, 3, 5, 7)}, "axis 1 of input 'x' is fixed at 1, asked for 3"),
        (load(network(("n", 1, "h", "h"))), {"x": (1, 1, 5, 7)}, "asked to be 5 and 7"),
        (tvm.IRModule(), None, "no Relax function 'main'"),
        (torch.nn.ReLU(), None, "pass torch.export.export"),
        (3, None, "got int"),
    ],
)
def test_a_bad_model_is_one_error_that_says_why(model, shapes, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(model, shapes)
    assert "\n" not in str(caught.value)


def test_an_input_without_a_shape_takes_the_one_it_is_given():
    assert shape_of(load(without_shape(), {"x": (1, 1, 5, 7)})) == [1, 1, 5, 7]


def damaged(path):
    path.write_bytes(network().SerializeToString()[:-40])


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "cannot read .*: Is a directory"),
        (lambda path: path.write_bytes(b""), "is not an ONNX model"),
        (lambda path: path.write_text("hello"), "is not an ONNX model"),
        (damaged, "is a damaged ONNX model"),
    ],
)
def test_a_bad_file_is_named(tmp_path, prepare, reason):
    path = tmp_path / "net.onnx"
    prepare(path)
    with pytest.raises(ModelError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)


def some_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello", "hello")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: None, "does not exist"),
        (lambda path: path.mkdir(), "is not a file"),
        (lambda path: path.write_text("hello"), "is not a .pt2 file: give one that torch.export"),
        (some_archive, "is damaged, or not of a version that PyTorch .* loads: save it again"),
    ],
)
def test_a_bad_file_of_pytorch_is_named(tmp_path, capfd, prepare, reason):
    path = tmp_path / "net.pt2"
    prepare(path)
    with pytest.raises(ModelError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_program_is_read_from_its_file(tmp_path):
    program = torch.export.export(torch.nn.Conv2d(1, 2, 3).eval(), (torch.zeros(1, 1, 5, 7),))
    torch.export.save(program, tmp_path / "net.pt2")

    read = load(tmp_path / "net.pt2", {"input": (1, 1, 5, 7)})

    tvm.ir.assert_structural_equal(read, load(program))


def test_missing_external_weights_are_named(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(network(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"external weights cannot be read: .*w\.bin"):
        load(path)
