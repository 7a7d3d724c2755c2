"""Named workloads as test parameters, and at sizes that a test can afford."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from quick_network import compiled

import tvm_deconv
from tvm_deconv.workloads import Workload


def by_name(workloads):
    return pytest.mark.parametrize("workload", workloads, ids=lambda workload: workload.name)


def small(workload: Workload) -> Workload:
    """At a size of a few pixels, odd where the network allows it."""
    if workload.name.startswith("unet-"):
        return workload.resized(8, 12)  # halved twice, and joined again
    return workload if workload.name == "dcgan" else workload.resized(6, 9)


def check_against_onnx_runtime(model: onnx.ModelProto) -> None:
    """Compiled by us, a valid model computes what ONNX Runtime does, and no mere noise or zeros."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    rng = np.random.default_rng(1)
    feed = {
        each.name: rng.random(each.shape, np.float32) - np.float32(0.3)
        for each in session.get_inputs()
    }
    (expected,) = session.run(None, feed)
    assert 0.01 < expected.std() < 10
    got = compiled(model, threads=1)(*map(tvm.runtime.tensor, feed.values())).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=2e-5)


def check_all_convolutions_are_ours(model: onnx.ModelProto) -> None:
    """Each by a variant of ours, and no upsampling layer refused."""
    report = tvm_deconv.explain(model, log=None)
    assert report.kernels and all(kernel.variant for kernel in report.kernels), str(report)
    assert not report.refused
