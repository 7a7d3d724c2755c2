"""A convolution of a Concat of maps that were enlarged linearly: rewritten, it gives the same."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relax_helpers import (
    assert_close,
    assert_refused,
    compiled,
    constant,
    conv,
    enlarged,
    module,
    operators,
    upsample,
)
from tvm import relax

from tvm_deconv.transform import rewrite_upsampling


def pooled(builder, x, factor, channels=None):
    y = builder.emit(relax.op.nn.max_pool2d(x, factor, factor))
    return y if channels is None else conv(builder, y, channels)


@st.composite
def layers(draw):
    kinds = draw(st.lists(st.sampled_from(["linear", "linear", "nearest", "skip"]), max_size=2))
    return {
        "kinds": draw(st.permutations(["linear", *kinds, "skip"])),
        "factor": draw(st.sampled_from([(2, 2), (3, 2), (1, 3)])),
        "kernel": draw(st.sampled_from([(3, 3), (5, 3), (3, 4)])),
        "padding": [draw(st.integers(0, 2)) for _ in range(4)],
        "nested": draw(st.booleans()),
        "scaled": draw(st.booleans()),
        "grouped": draw(st.booleans()),
        "outputs": draw(st.integers(1, 3)),
        "size": draw(st.tuples(st.integers(1, 4), st.integers(2, 5))),
        "seed": draw(st.integers(0, 2**16)),
    }


def build(c):
    """(module, input) of a case."""
    rng = np.random.default_rng(c["seed"])
    factor = c["factor"]
    groups = len(c["kinds"]) * 3 if c["grouped"] else 1

    def scaled(b, x):
        if not c["scaled"]:
            return x
        values = rng.standard_normal((int(x.ty.shape.values[1]), 1, 1)).astype("float32")
        return b.emit(relax.op.multiply(x, constant(values)))

    def one(b, x, kind):
        if kind == "skip":
            return b.emit(relax.op.exp(x))
        small = b.emit(relax.op.tanh(pooled(b, x, factor)))
        if kind == "nearest":
            return upsample(b, small, factor, "asymmetric")
        return scaled(b, enlarged(b, small, factor))

    def body(b, x):
        parts = [one(b, x, kind) for kind in c["kinds"]]
        if c["nested"]:
            parts = [scaled(b, b.emit(relax.op.concat(parts[:2], axis=1))), *parts[2:]]
        both = scaled(b, b.emit(relax.op.concat(parts, axis=1)))
        total = len(c["kinds"]) * 3
        shape = (groups * c["outputs"], total // groups, *c["kernel"])
        weight = constant(rng.standard_normal(shape).astype("float32"))
        call = relax.op.nn.conv2d(both, weight, padding=c["padding"], groups=groups)
        return b.emit(call)

    shape = (2, 3, *(n * r + k for n, r, k in zip(c["size"], factor, (0, 0), strict=True)))
    return module(body, shape), rng.standard_normal(shape).astype("float32")


def fits(c):
    """Whether the convolution has a result."""
    spans = zip(
        c["size"], c["factor"], c["padding"][:2], c["padding"][2:], c["kernel"], strict=True
    )
    return all(n * r + begin + end >= k for n, r, begin, end, k in spans)


@settings(max_examples=6)
@given(layers().filter(fits))
def test_the_rewritten_module_compiles_and_gives_the_same(c):
    mod, x = build(c)
    whatever_it_costs = (
        patch("tvm_deconv.patterns.concat.pays", return_value=None),
        patch("tvm_deconv.patterns.bilinear_resize._does_not_pay", return_value=None),
    )
    with whatever_it_costs[0], whatever_it_costs[1]:
        new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["rewritten"], report
    assert "image.resize2d" not in operators(new)
    assert_close(compiled(new, x), compiled(mod, x), "float32")


def u_net(b, x):
    return conv(
        b, b.emit(relax.op.concat([enlarged(b, pooled(b, x, (2, 2), 16), (2, 2)), x], 1)), 4
    )


def test_the_large_map_of_a_u_net_is_never_written():
    new, report = rewrite_upsampling(module(u_net, (1, 3, 64, 64)))
    (layer,) = report.layers
    assert layer.before == "linear resize 2x2, concat, conv 3x3 19->4"
    assert layer.after == "deconv 6x6 stride 2x2 16->4 pad (4, 4, 4, 4) + conv 3x3 3->4"
    assert not {"concat", "image.resize2d"} & set(operators(new))


def sigmoid_between(b, x):
    up = b.emit(relax.op.sigmoid(enlarged(b, pooled(b, x, (2, 2), 16), (2, 2))))
    return conv(b, b.emit(relax.op.concat([up, x], 1)), 4)


def map_is_read_elsewhere(b, x):
    up = enlarged(b, pooled(b, x, (2, 2), 16), (2, 2))
    y = conv(b, b.emit(relax.op.concat([up, x], 1)), 16)
    return b.emit(relax.op.add(y, b.emit(relax.op.exp(up))))


def concat_is_read_elsewhere(b, x):
    both = b.emit(relax.op.concat([enlarged(b, pooled(b, x, (2, 2), 16), (2, 2)), x], 1))
    return b.emit(relax.op.concat([conv(b, both, 4), both], 1))


def many_outputs(b, x):
    up = enlarged(b, pooled(b, x, (2, 2), 4), (2, 2))
    return conv(b, b.emit(relax.op.concat([up, x], 1)), 64)


REFUSED = {
    "sigmoid_between": "relax.sigmoid stands between the linear resize and the convolution",
    "map_is_read_elsewhere": "is also read by relax.exp",
    "concat_is_read_elsewhere": "is also read by relax.concat",
    "many_outputs": "does not pay: it spares 0 products an output pixel and moves 106 values more",
}


@pytest.mark.parametrize("layer", REFUSED)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(layer):
    assert_refused(module(globals()[layer], (1, 3, 64, 64)), REFUSED[layer])
