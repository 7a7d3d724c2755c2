"""``FoldScales``: weights scaled in place of results, held against float64 and ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import quick_network
import torch
import torch.nn.functional as tf
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from relax_helpers import constant, module
from tvm import relax

from tvm_deconv.transform import FoldScales

_OPERATORS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
# (operator, whether the result is its first operand): what scales a result, and what does not.
_INVERSE = ("divide", False)
_SCALING = [("multiply", True), ("multiply", False), ("divide", True), ("subtract", False)]


def names(mod):
    """The operators of ``main``, in order."""
    values = [b.value for block in mod["main"].body.blocks for b in block.bindings]
    return [v.op.name.removeprefix("relax.") for v in values if isinstance(v, relax.Call)]


def by_float64(mod, x):
    """What ``main`` gives of NCHW, with the constants as they are and sums in float64."""
    known = {mod["main"].params[0]: x.astype("float64")}

    def value(expr):
        return known[expr] if isinstance(expr, relax.Var) else expr.value.numpy().astype("float64")

    for block in mod["main"].body.blocks:
        for binding in block.bindings:
            call = binding.value
            if isinstance(call, relax.Var):
                known[binding.var] = known[call]
                continue
            name = call.op.name.removeprefix("relax.")
            arguments = [value(argument) for argument in call.args]
            if name in _OPERATORS:
                known[binding.var] = _OPERATORS[name](*arguments)
                continue
            axes, is_transposed = arguments[0].ndim - 2, name.endswith("transpose")
            operator = getattr(tf, f"conv{'_transpose' * is_transposed}{axes}d")
            steps = [int(n) for n in call.attrs.strides]
            tensors = (torch.from_numpy(a) for a in arguments)
            known[binding.var] = operator(
                *tensors, stride=steps, groups=int(call.attrs.groups)
            ).numpy()
    return known[mod["main"].body.body]


@st.composite
def chains(draw):
    """(module, x) of a convolution and what is computed of it for each channel."""
    pick = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    axes, is_transposed, groups = pick(1, 2, 3), draw(st.booleans()), pick(1, 1, 2, 3)
    c, o = groups * pick(1, 2), groups * pick(1, 2, 3)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    kernel = [pick(1, 2, 3) for _ in range(axes)]
    channels = (c, o // groups) if is_transposed else (o, c // groups)
    weight = rng.standard_normal((*channels, *kernel)).astype("float32")
    steps = [(pick(*_OPERATORS), pick(True, True, False)) for _ in range(pick(1, 2, 4, 5))]
    operator = getattr(relax.op.nn, f"conv{axes}d{'_transpose' if is_transposed else ''}")

    def body(builder, x):
        y = builder.emit(operator(x, constant(weight), strides=pick(1, 2), groups=groups))
        for name, is_first in steps:
            shape = pick((o, *(1,) * axes), (1, o, *(1,) * axes), ())
            other = constant(np.asarray(rng.uniform(0.5, 2, shape)).astype("float32"))
            pair = (y, other) if is_first else (other, y)
            y = builder.emit(getattr(relax.op, name)(*pair))
        return y

    shape = (2, c, *(pick(3, 4) for _ in range(axes)))
    return module(body, shape), rng.standard_normal(shape).astype("float32"), steps


@settings(max_examples=100, deadline=None)
@given(chains())
def test_scaled_weights_give_the_same_and_no_product_is_left(chain):
    mod, x, steps = chain
    folded = FoldScales()(mod)
    expected = by_float64(mod, x)
    got = by_float64(folded, x)
    largest = np.abs(expected).max()
    np.testing.assert_allclose(got / largest, expected / largest, rtol=0, atol=1e-6)
    # What divides by the result ends the chain.
    end = steps.index(_INVERSE) if _INVERSE in steps else len(steps)
    if any(step in _SCALING for step in steps[:end]):
        rest = [name for name, _ in steps[end:]]
        assert names(folded)[1:] in (rest, ["add", *rest])
    else:
        assert folded.same_as(mod)


def conv(builder, x, dtype="float32", value=0.5, **attributes):
    weight = np.full((4, 4, 3, 3), value, dtype)
    return builder.emit(relax.op.nn.conv2d(x, constant(weight), padding=1, **attributes))


def times(builder, y, values):
    values = np.asarray(values, str(y.ty.dtype))
    return builder.emit(relax.op.multiply(y, constant(values)))


_WIDE = np.ones((4, 1, 1))


@pytest.mark.parametrize(
    "body",
    [
        lambda b, x: times(b, conv(b, x), np.ones((4, 6, 6))),
        lambda b, x: times(b, conv(b, x), np.ones((1, 1, 6))),
        lambda b, x: (
            lambda y: b.emit(relax.op.add(times(b, y, _WIDE), b.emit(relax.op.nn.relu(y))))
        )(conv(b, x)),
        lambda b, x: (lambda y: b.emit(relax.op.multiply(y, y)))(conv(b, x)),
        lambda b, x: b.emit(relax.op.divide(constant(_WIDE.astype("float32")), conv(b, x))),
        lambda b, x: times(b, b.emit(relax.op.nn.relu(conv(b, x))), _WIDE),
        lambda b, x: times(b, conv(b, x), np.ones((5, 1, 4, 1, 1))),
        lambda b, x: times(b, conv(b, x), _WIDE * np.inf),
        lambda b, x: times(b, conv(b, x, value=1e30), _WIDE * 1e30),
        lambda b, x: b.emit(relax.op.add(conv(b, x), constant(_WIDE.astype("float32")))),
    ],
    ids=[
        "a number for each pixel",
        "a number for each column",
        "read twice",
        "its square",
        "its inverse",
        "behind an activation",
        "a larger result",
        "infinite",
        "weights too large",
        "a bias",
    ],
)
def test_others_are_handed_back_untouched(body):
    mod = module(body, (1, 4, 6, 6))
    assert FoldScales()(mod).same_as(mod)


def test_float16_and_weights_that_are_no_constants_are_handed_back_untouched():
    mod = module(lambda b, x: times(b, conv(b, x, "float16"), _WIDE), (1, 4, 6, 6), "float16")
    assert FoldScales()(mod).same_as(mod)
    mod = module(
        lambda b, x, w: times(b, b.emit(relax.op.nn.conv2d(x, w)), _WIDE),
        (1, 4, 6, 6),
        w=(4, 4, 3, 3),
    )
    assert FoldScales()(mod).same_as(mod)


def test_a_result_of_its_own_is_not_scaled():
    def body(builder, x):
        y = conv(builder, x)
        return builder.emit(relax.Tuple([y, times(builder, y, _WIDE)]))

    mod = module(body, (1, 4, 6, 6))
    assert FoldScales()(mod).same_as(mod)


def test_free_sizes_and_other_layouts_are_taken_too():
    mod = module(lambda b, x: times(b, conv(b, x), _WIDE * 2), (1, 4, "h", "w"))
    assert names(FoldScales()(mod)) == ["nn.conv2d"]
    weight = np.ones((3, 3, 4, 5), "float32")
    layouts = {"data_layout": "NHWC", "kernel_layout": "HWIO"}
    scale = np.arange(1, 6)

    def body(builder, x):
        y = builder.emit(relax.op.nn.conv2d(x, constant(weight), **layouts))
        return times(builder, y, scale)

    mod = FoldScales()(module(body, (1, 8, 8, 4)))
    (call,) = (b.value for block in mod["main"].body.blocks for b in block.bindings[:1])
    np.testing.assert_array_equal(call.args[1].value.numpy(), weight * scale)


def generator():
    """Transposed convolutions with batch norms, as of DCGAN, and a scaled residual."""
    net = Net((1, 4, 5, 6))
    x = net("Relu", net.batch_norm(net.deconv("x", 4, 8, 4, 2, pads=[1] * 4), 8))
    y = net("Mul", net.conv(x, 8, 8), net.given(np.float32(0.2)))
    return net, net("Tanh", net.batch_norm(net.conv(net("Add", x, y), 8, 3), 3))


def run(model, x):
    result = quick_network.compiled(model)(tvm.runtime.tensor(x))
    return (result if hasattr(result, "numpy") else result[0]).numpy()


def test_a_network_gives_what_onnx_runtime_does():
    net, result = generator()
    model = net.model(result)
    x = net.rng.standard_normal(net.shape).astype("float32")
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(run(model, x), expected, rtol=0, atol=1e-5)


def test_a_network_of_bytes_gives_what_onnx_runtime_does(tmp_path):
    net, result = generator()
    model = quantized(net, result, tmp_path)
    x = np.random.default_rng(3).random(net.shape, "float32")
    assert_equal_but_for_ties(run(model, x), by_onnx_runtime(model, x))
