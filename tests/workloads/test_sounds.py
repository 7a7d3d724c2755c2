"""Workloads of one dimension: what they are, that they are ours, and that others know them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod

import pytest
from workload_helpers import (
    by_name,
    check_against_onnx_runtime,
    check_all_convolutions_are_ours,
)

import tvm_deconv
from tvm_deconv.model.network import read_network
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning.tasks import tasks_of
from tvm_deconv.workloads import find

SOUNDS = find(["sounds"])
# The same networks with fewer channels and levels, over fewer samples.
THIN = {
    "hifigan-v1": ((1, 80, 5), {"features": 8, "factors": (8, 2)}),
    "hifigan-v3": ((1, 80, 5), {"features": 8, "factors": (4,)}),
    "istft-head": ((1, 80, 5), {"length": 32, "hop": 8}),
    "wave-unet": ((1, 1, 24), {"features": (4, 6, 8)}),
}


def thin(workload):
    shape, options = THIN[workload.name]
    return replace(workload, input_shape=shape, build=partial(workload.build, **options))


@by_name(SOUNDS)
def test_a_sound_compiles_to_what_onnx_runtime_computes(workload):
    check_against_onnx_runtime(thin(workload).model())


@by_name(SOUNDS)
def test_every_convolution_of_a_sound_is_ours_and_the_time_model_counts_it(workload):
    workload = thin(workload)
    model = workload.model()
    check_all_convolutions_are_ours(model)
    found = read_network(model)
    counted = sum(step.multiply_adds for step in found.steps(rewritten=False))
    # A strided deconvolution also multiplies what its padding crops.
    assert counted == pytest.approx(workload.multiply_adds, rel=0.05)
    assert len(found.layers) == sum("Conv" in node.op_type for node in model.graph.node)


def test_a_hifigan_is_the_published_one():
    (v1,) = find(["hifigan-v1"])
    x = v1.model()
    weights = sum(prod(w.dims) for w in x.graph.initializer if len(w.dims) == 3)
    # 13.92 million parameters by the paper, which also counts biases.
    assert weights == pytest.approx(13.92e6, rel=0.01)
    assert x.graph.output[0].type.tensor_type.shape.dim[2].dim_value == 64 * 256


def test_what_is_tuned_is_what_is_compiled():
    """The resize is folded before the layers are looked for, as ``compile`` does it."""
    (workload,) = find(["wave-unet"])
    model = thin(workload).model()
    tasks = tasks_of(model, None, resolve_target("host"))
    rewritten = [kernel.what for kernel in tvm_deconv.explain(model, log=None).kernels]
    assert sum(task.count for task in tasks) == len(rewritten)
    assert any("s1x2" in str(task.layer) for task in tasks)
