"""Models and files that are wrong are refused in one line; odd ones that are right are computed."""

from __future__ import annotations

import random

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from onnx_net import Net
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

X = np.random.default_rng(0).standard_normal((1, 3, 6, 8)).astype("float32")


def net(operator="Relu", dims=X.shape, **attributes) -> onnx.ModelProto:
    """A convolution of 3 channels to 4, and one operator."""
    chain = Net(shape=X.shape, dims=dims)
    return chain.model(chain(operator, chain.conv("x", 3, 4), **attributes))


def computed(model, **options):
    got = compiled(model, **options)(tvm.runtime.tensor(X))
    return (got if hasattr(got, "numpy") else got[0]).numpy()


def expected(model):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": X})[0]


def changed(change, **options):
    model = net(**options)
    change(model)
    return model


def cyclic(model):
    model.graph.node[0].input[0] = model.graph.node[1].output[0]


def another_type(model):
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT16


def of_no_type(model):
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UNDEFINED


def recursive(model):
    body = [helper.make_node("Forever", ["a"], ["b"], domain="my")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    model.functions.append(helper.make_function("my", "Forever", ["a"], ["b"], body, opsets))
    model.opset_import.add(domain="my", version=1)
    model.graph.node.append(helper.make_node("Forever", ["t1"], ["z"], domain="my"))


def doubling(model):
    """Each function calls the one before twice."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    for n in range(40):
        inner = {"op_type": f"Twice{n - 1}", "domain": "my"} if n else {"op_type": "Relu"}
        body = [helper.make_node(inputs=[a], outputs=[b], **inner) for a, b in ("ac", "cb")]
        model.functions.append(helper.make_function("my", f"Twice{n}", ["a"], ["b"], body, opsets))
    model.opset_import.add(domain="my", version=1)
    model.graph.node.append(helper.make_node("Twice39", ["t1"], ["z"], domain="my"))


def weight(**fields):
    def change(model):
        for key, value in fields.items():
            if isinstance(value, list):
                getattr(model.graph.initializer[0], key)[:] = value
            else:
                setattr(model.graph.initializer[0], key, value)

    return change


def first_input(change):
    return lambda model: change(model.graph.input[0])


def sequence(value):
    value.type.CopyFrom(helper.make_sequence_type_proto(value.type))


def strange_name(model):
    model.graph.node[1].name = "a\nb"


def too_new(model):
    model.opset_import[0].version = 999


def too_new_a_format(model):
    model.ir_version = 99


def no_opset(model):
    del model.opset_import[:]


def two_tensors(model):
    model.graph.node[1].output[0] = model.graph.node[0].output[0]


def two_nodes(model):
    for node in model.graph.node:
        node.name = "same"


def two_weights(model):
    model.graph.initializer.append(model.graph.initializer[0])


def no_outputs(model):
    del model.graph.output[:]


def without_output_of_a_node(model):
    del model.graph.node[1].output[:]


def variadic_without_a_name(model):
    model.graph.node.append(helper.make_node("Sum", ["t1", ""], ["unread"]))


def dim(value, axis, size):
    value.type.tensor_type.shape.dim[axis].dim_value = size


REFUSED = [
    (cyclic, "is a damaged ONNX model: 't1', 't2' wait for each other"),
    (recursive, "function 'Forever' calls itself: unroll it"),
    (doubling, r"its functions are \d+ nodes where they are written out, 500000 at most are read"),
    (weight(data_type=77), "weight 'k0' has the element type 77, which ONNX does not define"),
    (weight(data_type=TensorProto.STRING), "weight 'k0' holds string elements, which TVM does not"),
    (
        weight(dims=[4, 3, 3, 9]),
        r"shape \[4, 3, 3, 9\] holds 432 bytes, not 1296: the file is damaged",
    ),
    (weight(dims=[2**40, 2**40]), "holds 432 bytes, not .*: the file is damaged"),
    (weight(dims=[-4, 3, 3, 3]), "sizes are not negative"),
    (weight(data_location=TensorProto.EXTERNAL), "lies in a file of its own: pass the path"),
    (first_input(sequence), "input 'x' is a sequence, not a tensor"),
    (first_input(lambda v: v.type.Clear()), "input 'x' has no type"),
    (first_input(lambda v: dim(v, 2, 0)), "input 'x' is empty: its size along axis 2 is 0"),
    (first_input(lambda v: dim(v, 2, -5)), "input 'x' has the size -5 along axis 2"),
    (first_input(lambda v: dim(v, 2, 2**62)), "that is more than can be computed|overflow"),
    (strange_name, r"is a damaged ONNX model: it holds the name 'a\\nb'"),
    (too_new, "net is of opset 999, the package onnx here knows"),
    (too_new_a_format, "net is of IR version 99, the package onnx here knows"),
    (no_opset, "No opset import for domain ''"),
    (two_tensors, "two tensors are called 't1'"),
    (two_nodes, "two nodes are called 'same'"),
    (two_weights, "two weights are called 'k0'"),
    (no_outputs, "net has no outputs"),
    (another_type, "output 't2' is declared as int16, but is float"),
    (of_no_type, "output 't2' has the element type 0, which ONNX does not define"),
    (variadic_without_a_name, "Sum 'unread' .* input 1 has no name: it cannot be left out"),
    (without_output_of_a_node, "Relu 'without outputs' .* has no output"),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED, ids=lambda v: getattr(v, "__name__", v))
def test_a_damaged_model_is_refused_in_one_line(change, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(changed(change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (
            {"operator": "Relu", "alpha": 1.0},
            r"Relu 't2' \(opset 17\): Unrecognized attribute: alpha",
        ),
        (
            {"operator": "LeakyRelu", "alpha": 1},
            r"LeakyRelu 't2' \(opset 17\): Mismatched attribute",
        ),
        ({"operator": "MaxPool"}, r"MaxPool 't2' \(opset 17\): Required attribute 'kernel_shape'"),
        ({"operator": "Softmax", "axis": 9}, r"Softmax 't2' \(opset 17\): 'axis' must be in"),
        (
            {"operator": "Upsample"},
            r"Upsample 't2' \(opset 17\): Op registered for Upsample is depr",
        ),
        ({"operator": "Gelu"}, r"Gelu 't2' \(opset 17\): No Op registered for Gelu"),
    ],
)
def test_a_node_against_the_standard_is_named(attributes, reason):
    with pytest.raises(ModelError, match=reason):
        load(net(**attributes))


@pytest.mark.parametrize("opset", [9, 10])
def test_a_fault_of_old_opsets_is_said_of_the_users_own_node(opset):
    model = net("Upsample" if opset == 9 else "Resize", mode="nearest")
    model.opset_import[0].version = opset
    model.graph.initializer.append(numpy_helper.from_array(np.float32([1, 1, 2]), "scales"))
    model.graph.node[1].input.append("scales")
    operator = model.graph.node[1].op_type
    with pytest.raises(ModelError, match=rf"{operator} 't2' \(opset {opset}\): .*scales"):
        load(model)


def test_bits_that_flip_end_in_one_line_or_in_a_module(tmp_path):
    good = net("DepthToSpace", blocksize=2).SerializeToString()
    path = tmp_path / "net.onnx"
    refused = 0
    for seed in range(80):
        rng = random.Random(seed)
        data = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(600)] ^= 1 << rng.randrange(8)
        path.write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        try:
            load(path)
        except ModelError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20


def external(tmp_path, change):
    path = tmp_path / "net.onnx"
    onnx.save(net(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    change(tmp_path / "w.bin")
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: file.unlink(), r"its external weights cannot be read: .*w\.bin"),
        (lambda file: file.write_bytes(file.read_bytes()[:40]), "weights|bytes"),
        (lambda file: (file.unlink(), file.mkdir()), "its external weights cannot be read"),
    ],
    ids=["missing", "short", "a folder"],
)
def test_external_weights_that_are_not_there_are_refused(tmp_path, change, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(external(tmp_path, change))
    assert "\n" not in str(caught.value)


def test_a_proto_whose_weights_are_elsewhere_needs_its_path(tmp_path):
    path = external(tmp_path, lambda file: None)
    with pytest.raises(ModelError, match="lies in a file of its own: pass the path"):
        load(onnx.load(path, load_external_data=False))
    np.testing.assert_allclose(computed(path), expected(net()), rtol=0, atol=2e-6)


def unsorted(model):
    model.graph.node.insert(0, model.graph.node.pop())


def output_twice(model):
    model.graph.output.append(model.graph.output[0])


def microsoft_without_import(model):
    model.graph.node[1].op_type, model.graph.node[1].domain = "Gelu", "com.microsoft"


def nan_weights(model):
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[1, 0, 1, 1] = np.nan  # the centre: where a tap falls on padding, runtimes differ
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "k0"))


def shapes_that_lie(model):
    lie = helper.make_tensor_value_info("t1", TensorProto.FLOAT, [1, 9, 9, 9])
    model.graph.value_info.append(lie)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("t2", TensorProto.FLOAT, [7]))


def weight_among_the_inputs(model):
    dims = [4, 3, 3, 3]
    model.graph.input.append(helper.make_tensor_value_info("k0", TensorProto.FLOAT, dims))


def no_graph_name(model):
    model.graph.name = ""


def branch(model):
    """If whose condition is computed from a fixed shape, as exporters guard Squeeze."""
    graph, make = model.graph, helper.make_node
    graph.initializer.append(numpy_helper.from_array(np.array(3), "three"))
    graph.initializer.append(numpy_helper.from_array(np.array(1), "one"))

    def body(operator):
        inner = [make(operator, ["t2"], ["inner"]), make("Neg", ["inner"], ["result"])]
        return helper.make_graph(inner, "body", [], [onnx.ValueInfoProto(name="result")])

    graph.node.extend(
        [
            make("Shape", ["x"], ["shape"]),
            make("Gather", ["shape", "one"], ["channels"]),
            make("Equal", ["channels", "three"], ["guard"]),
            make("If", ["guard"], ["z"], then_branch=body("Exp"), else_branch=body("Abs")),
        ]
    )
    graph.output[0].name = "z"


ACCEPTED = [
    unsorted,
    output_twice,
    microsoft_without_import,
    nan_weights,
    shapes_that_lie,
    weight_among_the_inputs,
    no_graph_name,
    branch,
]


@pytest.mark.parametrize("change", ACCEPTED, ids=lambda change: change.__name__)
def test_an_odd_model_is_computed_as_onnx_runtime_does(change):
    model = changed(change)
    before = model.SerializeToString()
    np.testing.assert_allclose(computed(model), expected(model), rtol=1e-6, atol=3e-6)
    assert model.SerializeToString() == before, "the user's model stays as it is"


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ([1, 3, 6, 8], r"shapes is \[1, 3, 6, 8\]: give a mapping such as"),
        ("x=1,3,6,8", "shapes is 'x=1,3,6,8': give a mapping"),
        ({"x": "1368"}, "shape '1368' of input 'x' must hold positive integers"),
        ({"x": 5}, "shape 5 of input 'x' must hold positive integers"),
        ({"x": (1, 3, 6.5, 8)}, "must hold positive integers"),
        ({"x": (1, 3, True, 8)}, "must hold positive integers|axes"),
        ({"x": (1, 3, -6, 8)}, "must hold positive integers"),
        ({"x": (1, 3, 6)}, r"input 'x' of net has 4 axes, got \(1, 3, 6\)"),
        ({"X": (1, 3, 6, 8)}, r"net has no input 'X': its inputs are \['x'\]"),
    ],
)
def test_shapes_that_are_none_are_refused(shapes, reason):
    with pytest.raises(ModelError, match=reason):
        load(net(dims=("n", 3, "h", "w")), shapes)


@pytest.mark.parametrize(
    "sizes", [np.array(X.shape), [np.int32(n) for n in X.shape], list(X.shape)]
)
def test_shapes_are_integers_of_any_kind(sizes):
    model = net(dims=("n", 3, "h", "w"))
    np.testing.assert_allclose(computed(model, shapes={"x": sizes}), expected(model), atol=2e-6)


def test_a_size_of_one_name_is_fixed_in_every_input():
    make, info = helper.make_node, helper.make_tensor_value_info
    inputs = [info(key, TensorProto.FLOAT, dims) for key, dims in (("a", ["h"]), ("b", ["2*h"]))]
    graph = helper.make_graph(
        [make("Concat", ["a", "b"], ["y"], axis=0)], "two", inputs, [info("y", 1, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    main = load(model, {"a": (4,)})["main"]
    assert [int(param.ty.shape[0]) for param in main.params] == [4, 8]
    with pytest.raises(ModelError, match=r"dimension 2\*h of input 'b' is asked to be 8 and 9"):
        load(model, {"a": (4,), "b": (9,)})


def test_a_refusal_prints_nothing(capfd):
    net = Net((2, 4, 3, 8))
    model = net.model(net("MaxPool", "x", kernel_shape=[4, 1]))
    with pytest.raises(ModelError, match="its window spans 4 samples"):
        load(model)
    assert capfd.readouterr() == ("", "")
