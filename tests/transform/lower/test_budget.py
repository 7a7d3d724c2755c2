"""Networks within a budget of weights: what is compiled has it and is right, and explained."""

from __future__ import annotations

import re

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx_net import Net
from quick_network import loaded, unoptimised
from relax_helpers import CALL_TIR
from tvm import relax

import tvm_deconv
from tvm_deconv import cli
from tvm_deconv.compiler import before_schedules
from tvm_deconv.errors import VariantError
from tvm_deconv.options import Options
from tvm_deconv.transform import LowerConvolutions, RewriteUpsampling

OPTIONS = {"log": None, "target": "host"}


def network():
    """Three equal layers, then one behind a nearest resize and one behind a linear resize."""
    net = Net((1, 16, 24, 40))
    x = "x"
    for _ in range(3):
        x = net("Relu", net.conv(x, 16, 16))
    x = net.conv(net.nearest(x, 2), 16, 16)
    return net, net.model(net.conv(net.linear(x, 2), 16, 8))


MODEL_WEIGHTS = (4 * 16 * 16 + 16 * 8) * 9


def packed(mod: tvm.IRModule) -> int:
    """Elements of the weights that kernels of convolutions read."""
    total = 0
    for block in mod["main"].body.blocks:
        for binding in block.bindings:
            call = binding.value
            is_kernel = isinstance(call, relax.Call) and call.op == CALL_TIR
            if is_kernel and "conv2d" in call.args[0].name_hint:
                total += call.args[1].fields[1].value.numpy().size
    return total


def lowered(model, growth) -> tvm.IRModule:
    passes = before_schedules(
        tvm_deconv.targets.resolve_target("host"), Options(log=None, max_weight_growth=growth)
    )
    found: list[tvm.IRModule] = []

    @tvm.transform.module_pass(opt_level=0)
    def keep(mod, _context):
        found.append(mod)
        return mod

    at = next(i for i, one in enumerate(passes) if one.info.name == "tvm_deconv.LowerConvolutions")
    with tvm_deconv.targets.resolve_target("host"):
        tvm.transform.Sequential([*passes[: at + 1], keep])(tvm_deconv.importer.load(model))
    return found[0]


@pytest.fixture(scope="module")
def case():
    net, model = network()
    x = net.rng.standard_normal(net.shape).astype("float32")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return model, x, session.run(None, {"x": x})[0]


@pytest.mark.parametrize("growth", [1, 2.5, None])
def test_a_network_within_a_budget_is_right(case, growth):
    model, x, wanted = case
    executable = tvm_deconv.compile(model, unoptimised(), log=None, max_weight_growth=growth)
    got = loaded(executable)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


def test_kernels_have_the_weights_that_explain_says_and_the_budget_allows(case):
    before = 0
    for growth in (1, 2, 3, 4, None):
        weights = tvm_deconv.explain(case[0], max_weight_growth=growth, **OPTIONS).weights
        assert weights.model == MODEL_WEIGHTS
        assert weights.kernels == packed(lowered(case[0], growth)) >= before
        # Tiles of 8 or 16 channels have none that are filled up with zeros here.
        assert weights.kernels <= weights.most == (growth or np.inf) * MODEL_WEIGHTS
        before = weights.kernels
    assert weights.kernels == weights.fastest > 4 * MODEL_WEIGHTS


def test_explain_names_the_layers_that_have_a_smaller_form(case):
    text = " ".join(str(tvm_deconv.explain(case[0], max_weight_growth=2.5, **OPTIONS)).split())
    assert f"weights: {MODEL_WEIGHTS} in the model, " in text
    assert f"at most {2.5 * MODEL_WEIGHTS:.0f}); " in text
    assert "weights in place of" in text and "for max_weight_growth 2.5" in text


def test_with_the_models_weights_only_no_resize_is_folded_and_the_reason_names_both(case):
    report = tvm_deconv.explain(case[0], max_weight_growth=1, **OPTIONS)
    assert not report.rewritten
    for layer, own in zip(report.refused, (16 * 16 * 9, 16 * 8 * 9), strict=True):
        said = re.fullmatch(
            r"rewritten it has (\d+) weights or more, as it is (\d+), and all convolutions "
            r"together may not have so many \(max_weight_growth 1\)",
            layer.reason,
        )
        assert said and int(said[1]) > int(said[2]) == own


def test_equal_layers_may_have_two_forms_which_are_two_functions():
    net = Net((1, 32, 40, 40))
    x = "x"
    for _ in range(4):
        x = net.conv(x, 32, 32)
    mod = RewriteUpsampling()(tvm_deconv.importer.load(net.model(x)))
    whole = LowerConvolutions("host", log=None, max_weight_growth=None)(mod)
    # One layer has to have fewer, whatever this processor takes without a limit.
    model = 4 * 32 * 32 * 9
    growth = 0.99 * packed(whole) / model
    part = LowerConvolutions("host", log=None, max_weight_growth=growth)(mod)
    functions = [
        sum(isinstance(f, tvm.tirx.PrimFunc) for _, f in each.functions_items())
        for each in (whole, part)
    ]
    assert functions == [1, 2]
    assert packed(part) <= growth * model < packed(whole)


@pytest.mark.parametrize("growth", [0.5, "much", float("nan")])
def test_what_is_no_growth_is_refused_before_any_work(growth):
    for call in (tvm_deconv.compile, tvm_deconv.explain):
        with pytest.raises(VariantError, match="give a number of at least 1"):
            call("nothing.onnx", max_weight_growth=growth)


@pytest.mark.parametrize("text", ["0.5", "nan", "much"])
def test_the_command_line_refuses_what_is_no_growth(text, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["explain", "nothing.onnx", "--max-weight-growth", text])
    assert stopped.value.code == 2
    assert f"'{text}' is not a number of at least 1, none or auto" in capsys.readouterr().err
