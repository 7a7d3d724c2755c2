"""Workloads over volumes: what they are, and that they are ours."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from workload_helpers import (
    by_name,
    check_against_onnx_runtime,
    check_all_convolutions_are_ours,
)

from tvm_deconv.model.network import read_network
from tvm_deconv.workloads import find

VOLUMES = find(["volumes"])
# The same networks with fewer channels and levels, over fewer samples, an axis unlike the other.
THIN = {
    "unet-3d": ((1, 1, 8, 4, 12), {"features": (4, 6, 8)}),
    "unet-3d-decoder": ((1, 8, 2, 1, 3), {"skips": (6, 4)}),
}


def thin(workload):
    shape, options = THIN[workload.name]
    return replace(workload, input_shape=shape, build=partial(workload.build, **options))


@by_name(VOLUMES)
def test_a_network_over_volumes_compiles_to_what_onnx_runtime_computes(workload):
    check_against_onnx_runtime(thin(workload).model())


@by_name(VOLUMES)
def test_every_convolution_over_volumes_is_ours_and_the_time_model_counts_it(workload):
    workload = thin(workload)
    model = workload.model()
    check_all_convolutions_are_ours(model)
    counted = sum(step.multiply_adds for step in read_network(model).steps(rewritten=False))
    assert counted >= workload.multiply_adds


def test_the_decoder_of_the_3d_unet_has_the_skips_of_all_levels_but_the_lowest_as_inputs():
    (decoder,) = find(["unet-3d-decoder"])
    inputs = [
        [d.dim_value for d in each.type.tensor_type.shape.dim]
        for each in decoder.model().graph.input
    ]
    assert inputs == [
        [1, 256, 8, 8, 8],
        [1, 128, 16, 16, 16],
        [1, 64, 32, 32, 32],
        [1, 32, 64, 64, 64],
    ]
    (whole,) = find(["unet-3d"])
    convolutions = [node.op_type for node in whole.model().graph.node]
    behind = convolutions[convolutions.index("ConvTranspose") :]
    assert [node.op_type for node in decoder.model().graph.node] == behind
