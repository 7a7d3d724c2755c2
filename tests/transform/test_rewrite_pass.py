"""The pass as a citizen of somebody else's pipeline, and its report."""

from __future__ import annotations

import json

import numpy as np
import tvm
import tvm_ffi
from relax_helpers import compiled, constant, conv, module, operators, shuffle, upsample
from tvm import relax

from tvm_deconv.report import LayerReport, Report
from tvm_deconv.transform import (
    DecomposePixelShuffle,
    RewriteUpsampling,
    explain,
    rewrite_upsampling,
)

SHAPE = (1, 4, 5, 6)


def network(builder, x):
    """One of each: rewritten sub-pixel, rewritten resize, refused cubic."""
    y = conv(builder, x)
    y = builder.emit(relax.op.add(y, constant(np.arange(8, dtype="float32").reshape(1, 8, 1, 1))))
    y = builder.emit(relax.op.nn.relu(shuffle(builder, y, (2, 2))))
    y = conv(builder, upsample(builder, y, (2, 2), "half_pixel"), 4)
    size = relax.ShapeExpr([40, 48])
    return conv(builder, builder.emit(relax.op.image.resize2d(y, size, method="cubic")), 1)


def test_the_pass_fits_into_a_sequence_and_into_relax_build():
    mod = module(network, SHAPE)
    passes = [RewriteUpsampling(), DecomposePixelShuffle(), relax.transform.LegalizeOps()]
    lowered = tvm.transform.Sequential(passes)(mod)
    relax.analysis.well_formed(lowered)
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    got, expected = compiled(RewriteUpsampling()(mod), x), compiled(mod, x)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_pass_is_idempotent():
    once = RewriteUpsampling()(module(network, SHAPE))
    twice, report = rewrite_upsampling(once)
    assert not report.rewritten
    assert tvm_ffi.structural_equal(once, twice)


def test_the_pass_does_not_change_its_input():
    mod = module(network, SHAPE)
    before = mod.clone()
    RewriteUpsampling()(mod)
    assert tvm_ffi.structural_equal(mod, before)


def test_a_module_without_candidates_comes_back_itself():
    mod = module(lambda b, x: b.emit(relax.op.nn.relu(conv(b, x))), SHAPE)
    new, report = rewrite_upsampling(mod)
    assert new.same_as(mod)
    assert str(report) == "no upsampling layer found"


def test_explaining_tells_what_the_pass_does_without_doing_it():
    mod = module(network, SHAPE)
    report = explain(mod)
    assert "nn.conv2d_transpose" not in operators(mod)
    statuses = [layer.status for layer in report.layers]
    assert statuses == ["rewritten", "rewritten", "refused"]
    assert report.layers == rewrite_upsampling(mod)[1].layers


def test_the_report_prints_a_table_and_goes_into_json():
    report = explain(module(network, SHAPE))
    lines = str(report).splitlines()
    assert lines[0].split() == ["layer", "status", "what"]
    assert (
        len({line.index(word) for line, word in zip(lines, ("status", "rewritten"), strict=False)})
        == 1
    )
    assert "conv 3x3 4->8, shuffle 2x2 CRD => deconv 6x6 stride 2x2 4->2" in lines[1]
    assert "resize 2x2, conv 3x3 2->4 => deconv 4x4 stride 2x2 2->4" in lines[2]
    assert "method is cubic, not nearest_neighbor" in lines[3]
    assert lines[-1] == "2 rewritten, 1 refused"
    data = json.loads(json.dumps(report.as_dict()))
    assert (data["rewritten"], data["refused"], len(data["layers"])) == (2, 1, 3)
    assert data["layers"][0]["rule"].startswith("pixel_shuffle(conv2d(x, w), r) => ")


def test_layers_of_other_functions_are_named_after_them():
    report = Report((LayerReport("tail", "lv", "rule", "refused", "because"),))
    assert str(report).splitlines()[1].startswith("tail.lv")


def test_every_relax_function_of_a_module_is_visited():
    mod = module(network, SHAPE)
    other = mod["main"].with_attr("global_symbol", "tail")
    mod.update_func(relax.GlobalVar("tail"), other)
    new, report = rewrite_upsampling(mod)
    assert {layer.function for layer in report.rewritten} == {"main", "tail"}
    assert "nn.conv2d_transpose" in operators(tvm.IRModule({"main": new["tail"]}))


def test_bindings_outside_a_dataflow_block_are_handled():
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(shuffle(builder, conv(builder, x), (2, 2)))
    mod = builder.finalize()
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1
    value = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    np.testing.assert_allclose(compiled(new, value), compiled(mod, value), rtol=0, atol=1e-5)


def test_decomposing_leaves_a_module_without_shuffles_alone():
    mod = module(network, SHAPE)
    assert DecomposePixelShuffle()(mod).same_as(mod)
