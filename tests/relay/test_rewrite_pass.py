"""The pass as a citizen of somebody else's pipeline, and its report."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import relay_reference
import tvm
from relay_helpers import (
    TARGET,
    assert_close,
    compiled,
    constant,
    conv,
    module,
    operators,
    resize,
    shuffle,
    upsample,
    variable,
)
from tvm import relay

import tvm_deconv.relay
from tvm_deconv.errors import RelayError, TvmDeconvError
from tvm_deconv.relay import RewriteUpsampling, explain, rewrite_upsampling
from tvm_deconv.relay.versions import refuse

SHAPE = (1, 4, 5, 6)


def network(x):
    """One of each: rewritten sub-pixel, rewritten resize, refused linear."""
    y = relay.nn.bias_add(conv(x), constant(np.arange(8, dtype="float32")))
    y = conv(upsample(relay.nn.relu(shuffle(y, (2, 2))), (2, 2), "half_pixel"), 4)
    return conv(resize(y, (40, 48), method="linear", mode="align_corners"), 1)


def expected(mod, x):
    return relay_reference.evaluate(mod, x.astype(np.float64))


def test_the_pass_fits_into_a_sequence_and_into_relay_build():
    def body(x):
        return conv(upsample(shuffle(conv(x), (2, 2)), (2, 2), "upsampling"), 4)

    mod = module(body, SHAPE)
    passes = [
        relay.transform.SimplifyInference(),
        RewriteUpsampling(),
        relay.transform.FoldConstant(),
        relay.transform.FuseOps(2),
    ]
    with tvm.transform.PassContext(opt_level=3), tvm.target.Target(TARGET):
        lowered = tvm.transform.Sequential(passes)(mod)
    assert operators(lowered).count("nn.conv2d_transpose") == 2
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    assert_close(compiled(RewriteUpsampling()(mod), x), expected(mod, x))


def test_a_module_whose_types_nobody_has_inferred_is_rewritten():
    x = variable(SHAPE)
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.nn.depth_to_space(conv(x), 2)))
    assert operators(RewriteUpsampling()(mod)) == ["nn.conv2d_transpose"]


def test_the_pass_is_idempotent():
    once = RewriteUpsampling()(module(network, SHAPE))
    twice, report = rewrite_upsampling(once)
    assert not report.rewritten
    assert twice.same_as(once)


def test_the_pass_does_not_change_its_input():
    def body(x):
        return relay.reshape(network(x), (1, 1, 40, 48))

    mod, before = module(body, SHAPE), module(body, SHAPE)
    assert RewriteUpsampling()(mod).astext() != mod.astext()
    assert tvm.ir.structural_equal(mod, before)


def test_a_module_without_candidates_comes_back_itself():
    mod = module(lambda x: relay.nn.relu(relay.reshape(conv(x), (1, 8, 5, 6))), SHAPE)
    new, report = rewrite_upsampling(mod)
    assert new.same_as(mod)
    assert str(report) == "no upsampling layer found"


def test_the_report_is_that_of_the_relax_pass():
    mod = module(network, SHAPE)
    report = explain(mod)
    assert "nn.conv2d_transpose" not in operators(mod)
    lines = str(report).splitlines()
    assert lines[0].split() == ["layer", "status", "what"]
    assert "conv 3x3 4->8, shuffle 2x2 CRD => deconv 6x6 stride 2x2 4->2" in lines[1]
    assert "resize 2x2, conv 3x3 2->4 => deconv 4x4 stride 2x2 2->4" in lines[2]
    assert "resize2d_2 is a linear resize with align_corners, of which only" in lines[3]
    assert lines[-1] == "2 rewritten, 1 refused"
    data = json.loads(json.dumps(report.as_dict()))
    assert (data["rewritten"], data["refused"], len(data["layers"])) == (2, 1, 3)
    assert data["layers"][0]["rule"].startswith("pixel_shuffle(conv2d(x, w), r) => ")


def test_every_function_of_a_module_is_visited_but_those_of_other_compilers():
    mod = module(network, SHAPE)
    tail = mod["main"].with_attr("global_symbol", "tail")
    mod[relay.GlobalVar("tail")] = tail
    mod[relay.GlobalVar("npu")] = tail.with_attr("Compiler", "npu")
    new, report = rewrite_upsampling(mod)
    assert {layer.function for layer in report.rewritten} == {"main", "tail"}
    assert tvm.ir.structural_equal(new["npu"], mod["npu"])


def test_what_stands_in_a_branch_stays_and_keeps_what_it_reads():
    """A convolution that a branch reads is read by somebody else."""
    c = relay.var("c", shape=(), dtype="bool")
    x = variable(SHAPE)
    y = conv(x)
    inside = relay.If(c, relay.nn.relu(shuffle(conv(x, 16), (2, 2))), shuffle(conv(x, 16), (2, 2)))
    both = relay.Tuple([shuffle(y, (2, 2)), relay.If(c, y, relay.nn.relu(y)), inside])
    mod = tvm.IRModule.from_expr(relay.Function([x, c], both))
    new, report = rewrite_upsampling(mod)
    assert [layer.status for layer in report.layers] == ["refused"], report
    assert "is also read by If" in report.refused[0].reason
    assert new.same_as(mod)


def test_a_branch_reads_the_new_value_of_a_rewritten_layer():
    c = relay.var("c", shape=(), dtype="bool")
    x = variable(SHAPE)
    up = shuffle(conv(x), (2, 2))
    body = relay.If(c, relay.nn.relu(up), relay.Tuple([up, up])[1])
    joined = relay.Tuple([up, body])
    mod = tvm.IRModule.from_expr(relay.Function([x, c], joined))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    assert "nn.conv2d" not in operators(new)
    assert operators(new).count("nn.conv2d_transpose") == 1


def test_a_function_in_a_normal_form_is_left_alone_until_it_is_a_graph():
    mod = relay.transform.ToANormalForm()(module(network, SHAPE))
    new, report = rewrite_upsampling(mod)
    assert new.same_as(mod)
    assert not report.layers
    assert len(explain(relay.transform.ToGraphNormalForm()(mod)).rewritten) == 2


@pytest.fixture
def shallow_stack():
    """TVM raises Python's limit to ten times of it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(500)
    yield 500
    sys.setrecursionlimit(limit)


def test_a_network_deeper_than_pythons_stack_is_rewritten(shallow_stack):
    def body(x):
        y = shuffle(conv(x), (2, 2))
        for _ in range(shallow_stack):
            y = relay.nn.relu(y)
        return y

    mod = module(body, SHAPE)
    assert len(explain(mod).rewritten) == 1
    assert not explain(relay.transform.ToANormalForm()(mod)).layers


def test_a_match_and_a_reference_read_the_new_value_of_a_rewritten_layer():
    x = variable(SHAPE)
    up = shuffle(conv(x), (2, 2))
    stored = relay.RefRead(relay.RefCreate(relay.nn.relu(up)))
    kept = relay.Match(up, [relay.Clause(relay.PatternWildcard(), relay.tanh(up))])
    mod = tvm.IRModule.from_expr(relay.Function([x], relay.Tuple([up, stored, kept])))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    assert "nn.conv2d" not in operators(new)


@pytest.mark.parametrize(
    ("version", "has_relay", "words"),
    [
        ("0.27.0.post1", False, "TVM 0.27.0.post1 has no Relay"),
        ("0.15.0", True, "TVM 0.15.0 was not tried: tvm_deconv.relay is for TVM 0.16 to 0.19"),
        ("0.20.0", True, "TVM 0.20.0 was not tried"),
        ("vendor", True, "TVM vendor was not tried"),
    ],
)
def test_a_tvm_without_relay_or_of_another_version_is_one_clear_error(version, has_relay, words):
    with pytest.raises(RelayError, match=words) as caught:
        refuse(version, has_relay)
    assert isinstance(caught.value, TvmDeconvError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "version", ["0.16.dev0", "0.16.0", "0.17.0+vendor", "0.18.dev12", "0.19.0"]
)
def test_the_versions_that_were_tried_are_taken(version):
    refuse(version, True)


def test_names_that_are_not_there_are_said_to_be_missing():
    with pytest.raises(AttributeError, match="has no attribute 'Rewrite'"):
        tvm_deconv.relay.Rewrite  # noqa: B018
