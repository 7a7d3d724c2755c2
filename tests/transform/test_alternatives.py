"""Layers that are faster as they are, by the machine model, stay so, whichever rule they are of."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled

import tvm_deconv
from tvm_deconv.backends import machine_of
from tvm_deconv.importer import load
from tvm_deconv.schedules.budget import budget_of
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import AddHeight
from tvm_deconv.transform.graph import Graph
from tvm_deconv.transform.lower.layers import kind_of, layers_of
from tvm_deconv.transform.lower.weighed import weighed_forms
from tvm_deconv.transform.rewrite import rewrite_upsampling
from tvm_deconv.workloads import find

MACHINE = CpuMachine(
    *("avx512", 16, 32, 48 << 10, 1 << 20, 2),
    memory_operands=True,
    l3_bytes=240 << 20,
    loads_per_multiply_add=1,
)


def chooser(growth=4.0, **preferences) -> Chooser:
    return Chooser(MACHINE, Preferences(**preferences), budget_of(growth))


def nearest(channels=256, size=64, outputs=None):
    net = Net((1, channels, size, size))
    return net.model(net.conv(net.nearest("x", 2), channels, outputs or channels))


def linear():
    net = Net((1, 128, 32, 32))
    return net.model(net.conv(net.linear("x", 2), 128, 128))


def concat():
    """Of two maps of 256 channels one is resized."""
    net = Net((1, 256, 32, 32))
    joined = net("Concat", net.nearest("x", 2), net.deconv("x", 256, 256, 2, 2), axis=1)
    return net.model(net.conv(joined, 512, 256))


def line():
    net = Net((1, 512, 2048), dims=(1, 512, 2048))
    x = net("Resize", "x", "", net.given(np.array([1, 1, 2], "float32")), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    return net.model(net("Conv", x, net.constant(512, 512, 7, scale=0.01), pads=[3, 3]))


def volume():
    net = Net((1, 96, 8, 24, 24), dims=(1, 96, 8, 24, 24))
    x = net("Resize", "x", "", net.given(np.array([1, 1, 2, 2, 2], "float32")), mode="nearest",
            coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    return net.model(net("Conv", x, net.constant(96, 96, 3, 3, 3, scale=0.01), pads=[1] * 6))


def rewritten(model, how: Chooser | None) -> tuple[int, list[str]]:
    """How many layers are rewritten, and why others are not."""
    mod = tvm.transform.Sequential([AddHeight()])(load(model))
    report = rewrite_upsampling(mod, how)[1]
    return len(report.rewritten), [layer.reason for layer in report.refused]


def test_a_resize_whose_folded_form_has_too_many_weights_to_be_fast_is_left_with_both_times():
    count, (reason,) = rewritten(nearest(640, 16), chooser(2.7))
    assert count == 0
    assert "as it is, and" in reason and "rewritten (" in reason
    assert reason.endswith("weights, more than max_weight_growth 2.7 allows)")


@pytest.mark.parametrize("growth", ["auto", 5.5, None])
def test_it_is_folded_where_the_budget_has_room_for_a_fast_form(growth):
    assert rewritten(nearest(640, 16), chooser(growth)) == (1, [])


def test_a_shuffle_counts_as_a_pass_over_its_map():
    """Measured: rewritten they take 0.75 and 0.62 of the time, by cycles of kernels alone 1.1."""
    for name in ("carn-x2/subpixel", "carn-m-x2/subpixel"):
        (workload,) = find([name])
        assert rewritten(workload.model(), chooser("auto")) == (1, [])


def test_it_is_folded_where_no_winograd_form_makes_the_plain_convolution_faster():
    assert rewritten(nearest(), chooser(4.0, winograd=False)) == (1, [])


def test_a_variant_that_is_named_is_not_weighed():
    assert rewritten(nearest(), chooser(1.0, variant="strd")) == (1, [])


def test_without_a_machine_all_that_is_exact_is_rewritten():
    assert rewritten(nearest(), None) == (1, [])


@pytest.mark.parametrize("model", [linear, concat, line, volume])
def test_every_rule_that_makes_more_weights_is_asked_and_folds_without_a_limit(model):
    count, reasons = rewritten(model(), chooser(1.0))
    assert (count, len(reasons)) == (0, 1)
    assert "max_weight_growth 1" in reasons[0]
    assert rewritten(model(), chooser(None)) == (1, [])


def test_on_a_gpu_only_the_budget_has_a_layer_left():
    """Cycles of a GPU were never held against times of both sides."""
    gpu = machine_of(resolve_target("nvidia/jetson-agx-orin-64gb"))
    net = Net((1, 64, 32, 32))
    model = net.model(net("DepthToSpace", net.conv("x", 64, 256), blocksize=2))
    for graph in (model, nearest(16, 8)):
        assert rewritten(graph, Chooser(gpu, Preferences(), budget_of("auto"))) == (1, [])
    count, (reason,) = rewritten(nearest(16, 8), Chooser(gpu, Preferences(), budget_of(1.0)))
    assert count == 0 and "max_weight_growth 1" in reason


def test_of_two_layers_the_one_that_loses_less_for_its_weights_gives_them_up():
    net = Net((1, 64, 24, 24))
    small = net.conv(net.nearest("x", 2), 64, 64)
    large = net.conv(net.nearest(small, 2), 64, 64)
    count, reasons = rewritten(net.model(large), chooser(1.4))
    assert count == 1 and "max_weight_growth 1.4" in reasons[0]


def test_a_free_size_counts_as_a_typical_one():
    net = Net((1, 256, 64, 64), dims=(1, 256, "h", "w"))
    model = net.model(net.conv(net.nearest("x", 2), 256, 256))
    assert rewritten(model, chooser(None)) == (1, [])
    assert rewritten(model, chooser(1.0))[0] == 0


def test_a_network_in_which_one_of_two_resizes_is_left_is_right():
    net = Net((1, 8, 12, 10))
    x = net("Relu", net.conv(net.nearest("x", 2), 8, 8))
    model = net.model(net.conv(net.nearest(x, 2), 8, 8))
    (left,) = tvm_deconv.explain(model, log=None, max_weight_growth=1.4).refused
    assert "max_weight_growth 1.4" in left.reason
    main = compiled(model, max_weight_growth=1.4)
    assert_same_as_onnx_runtime(model, net.shape, main=main, of_largest=2e-5)


def test_layers_of_free_size_are_weighed_as_the_lowering_chooses_them_in_one_picture():
    net = Net((1, 64, 24, 24), dims=(1, 64, "h", "w"))
    small = net.conv("x", 64, 64)
    large = net.conv(net.nearest(small, 2), 64, 64)
    mod = load(net.model(large))
    shared = chooser(None)
    convs = [layer.conv for layer in layers_of(Graph(mod["main"], mod), shared)]
    before, behind = (weighed_forms(conv, shared) for conv in convs)
    alone = shared.forms(kind_of(convs[0]))
    assert [form.choice for form in before] == [form.choice for form in alone]
    assert [form.cycles for form in before] == [form.cycles for form in alone]
    # Of the same kind, and four times as large.
    assert kind_of(convs[0]) == kind_of(convs[1])
    assert [form.cycles for form in behind] == [4 * form.cycles for form in alone]
    assert all("machine model at typical sizes: " in form.choice.reason for form in before)
