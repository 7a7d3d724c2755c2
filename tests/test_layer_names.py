"""Reports call layers as the model does, whatever the passes made of them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tvm import relax

import tvm_deconv
from tvm_deconv.layer_names import layer_name

NAMES = {"conv": "/decoder/up.1/Conv", "norm": "decoder norm", "shuffle": "", "up": "/Resize"}


def decoder() -> onnx.ModelProto:
    """Convolution, batch normalisation and shuffle, then a linear resize; free height and width.

    The shuffle has no name of its own; other names are none that C or Python would take.
    """
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(8, 2, 3, 3)),
        "b": rng.normal(size=8),
        "scale": rng.uniform(0.5, 2, 8),
        "shift": rng.normal(size=8),
        "mean": rng.normal(size=8),
        "var": rng.uniform(0.5, 2, 8),
        "scales": np.array([1, 1, 2, 2]),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], NAMES["conv"], pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization", ["c", "scale", "shift", "mean", "var"], ["n"], NAMES["norm"]
        ),
        helper.make_node("DepthToSpace", ["n"], ["shuffled"], blocksize=2, mode="CRD"),
        helper.make_node("Resize", ["shuffled", "", "scales"], ["y"], NAMES["up"], mode="linear"),
    ]
    graph = helper.make_graph(
        nodes,
        "decoder",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, "h", "w_"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, "oh", "ow"])],
        [numpy_helper.from_array(value.astype("float32"), key) for key, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def words(report) -> list[tuple[str, str]]:
    return [(layer.layer, layer.status) for layer in report.layers]


def test_onnx_layers_have_the_names_of_their_nodes_or_of_their_outputs():
    report = tvm_deconv.explain(decoder(), log=None)

    assert words(report) == [("shuffled", "rewritten"), ("/Resize", "refused")]
    assert report.layers[1].reason.startswith("the linear resize /Resize is read by the function's")
    assert [kernel.layer for kernel in report.kernels] == ["shuffled"]


def test_names_are_those_of_the_nodes_with_fixed_sizes_too():
    fixed = tvm_deconv.explain(decoder(), shapes={"x": (1, 2, 5, 7)}, log=None)

    assert words(fixed) == [("shuffled", "rewritten"), ("/Resize", "refused")]


def test_reasons_name_operands_as_the_model_does():
    model = decoder()
    model.graph.node[0].attribute.append(helper.make_attribute("strides", [2, 2]))

    (shuffle, _) = tvm_deconv.explain(model, log=None).layers

    assert shuffle.reason == "stride of relax.nn.conv2d (/decoder/up.1/Conv) is [2, 2], not 1"


def test_what_a_node_is_made_of_has_its_name_and_variables_keep_theirs():
    mod = tvm_deconv.importer.load(decoder())

    bound = [binding.var for block in mod["main"].body.blocks for binding in block.bindings]

    names = [layer_name(var) for var in bound]
    assert list(dict.fromkeys(names)) == [
        "/decoder/up.1/Conv",
        "decoder norm",
        "shuffled",
        "/Resize",
    ]
    assert all(str(var.name).isidentifier() for var in bound)


def test_a_module_of_relax_keeps_the_names_of_its_variables():
    x = relax.Var("x", relax.TensorType((1, 2, 5, 5), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            weights = relax.const(np.ones((8, 2, 3, 3), "float32"))
            y = builder.emit(relax.op.nn.conv2d(x, weights), "mine")
            result = builder.emit_output(relax.op.image.resize2d(y, (6, 6), method="linear"))
        builder.emit_func_output(result)

    report = tvm_deconv.explain(builder.finalize(), log=None)

    assert words(report) == [("gv", "refused")]
    assert [kernel.layer for kernel in report.kernels] == ["mine"]


def test_layers_of_pytorch_have_the_paths_of_their_modules():
    torch = pytest.importorskip("torch")

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(2, 8, 3, padding=1)
            self.norm = torch.nn.BatchNorm2d(8)
            self.tail = torch.nn.ModuleDict({"last": torch.nn.Conv2d(2, 2, 3, stride=2)})

        def forward(self, x):
            y = torch.nn.functional.pixel_shuffle(self.norm(self.conv(x)), 2)
            return self.tail["last"](y) + self.tail["last"](x).mean()

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.decoder = Decoder()

        def forward(self, x):
            return torch.nn.functional.interpolate(self.decoder(x), scale_factor=2, mode="bicubic")

    program = torch.export.export(Network().eval(), (torch.zeros(1, 2, 8, 8),))

    report = tvm_deconv.explain(program, log=None)

    assert words(report) == [
        ("decoder.pixel_shuffle", "rewritten"),
        ("upsample_bicubic2d", "refused"),
    ]
    assert [kernel.layer for kernel in report.kernels] == [
        "decoder.pixel_shuffle",
        "decoder.tail.last",
        "decoder.tail.last@1",
    ]
