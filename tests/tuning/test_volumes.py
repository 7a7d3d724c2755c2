"""Tuning of layers over volumes: what is tuned, what kernels are held against, and the log."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from log_helper import HOST, MACHINE, header
from onnx_net import Net
from tvm import relax
from volume_kernel import expected_volume

import tvm_deconv
from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.compiler import for_threads
from tvm_deconv.errors import LogError
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.logs.trial import OK, Trial
from tvm_deconv.schedules.space import fields, parameters_of, tuning_refusal
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.tuning.build import packed
from tvm_deconv.tuning.case import WEIGHT, read_case, write_case
from tvm_deconv.tuning.definition import candidate_of
from tvm_deconv.tuning.search import SearchSpace, default_candidates, variants_of
from tvm_deconv.tuning.tasks import tasks_of

THREE = Axis(3, 1, 1, 1)
AXES = [THREE, Axis(4, 2, 1, 1), Axis(4, 2, 2, 1), Axis(5, 3, 1, 2, 1), Axis(3, 1, 0, 2)]


def layer_of(stack, depth, height, width, batch=1, dtype="float32"):
    conv = stack.conv_of(depth, height)
    return Layer(conv, Sizes(batch, stack.height(depth, height), width), dtype)


PLAIN = layer_of(ConvTranspose3d(6, 10, THREE, THREE, THREE).stacks()[0], 8, 7, 9)


def test_a_layer_over_slices_says_them_and_is_read_again():
    text = "deconv 3x3 18->10 p1 v3,-1,8,8,7,8 1x63x9 float32"
    assert str(PLAIN) == text and Layer.parse(text) == PLAIN
    assert PLAIN.shapes == ((1, 6, 8, 7, 9), (1, 10, 8, 7, 9))
    flat = replace(PLAIN, conv=replace(PLAIN.conv, slices=None))
    assert Layer.parse(str(flat)) == flat != PLAIN


@pytest.mark.parametrize(
    "wrong", ["v0,-1,8,8,7,8", "v3,-1,8,8,7,9", "v4,-1,8,8,7,8", "v3,-1,8,8,7", "v3,-9,8,8,7,8"]
)
def test_slices_that_no_volume_has_are_no_layer(wrong):
    with pytest.raises(LogError, match="does not describe a layer"):
        Layer.parse(str(PLAIN).replace("v3,-1,8,8,7,8", wrong))


def test_the_case_of_a_phase_is_that_phase_of_the_layer(tmp_path):
    volume = ConvTranspose3d(4, 6, *AXES[1:4], groups=2)
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((4, 3, *(axis.kernel for axis in AXES[1:4]))).astype("float32")
    for stack in volume.stacks():
        layer, folder = layer_of(stack, 5, 4, 6, batch=2), tmp_path / str(stack.phase)
        write_case(layer, folder, seed=1)
        case, own = read_case(folder), np.load(folder / WEIGHT)
        # The weights of its taps, in those of the volume.
        taps = [tap.k for tap in volume.d.taps(stack.phase)]
        parts = own.reshape(2, len(taps), 2, *own.shape[1:])
        weight[:, :, taps] = np.moveaxis(parts, 1, 3).reshape(4, 3, len(taps), *own.shape[2:])
        whole = expected_volume(volume, case.x, weight)
        phase = whole[:, :, stack.phase :: volume.d.stride]
        np.testing.assert_allclose(case.expected, phase, rtol=0, atol=1e-9)


@st.composite
def feasible(draw, variant, layer):
    """A point of the space that the tuner would build."""
    values = fields(variant, layer.conv, layer.sizes, MACHINE)
    for _ in range(20):
        point = {name: draw(st.sampled_from(some)) for name, some in values.items()}
        tile = parameters_of(variant, point)
        if tuning_refusal(variant, layer.conv, layer.sizes, tile, MACHINE) is None:
            return tile
    return variant.choose(layer.conv, layer.sizes, MACHINE)


@settings(max_examples=10, suppress_health_check=list(HealthCheck))
@given(
    st.data(),
    st.tuples(*[st.sampled_from(AXES)] * 3),
    st.tuples(*[st.integers(1, 6)] * 2),
    st.tuples(*[st.integers(3, 9)] * 3),
    st.sampled_from(["float32", "float32", "float16"]),
)
def test_every_feasible_point_computes_its_case(tmp_path_factory, data, axes, io, sizes, dtype):
    volume = ConvTranspose3d(*io, *axes)
    stack = data.draw(st.sampled_from(volume.stacks()))
    layer = layer_of(stack, *sizes, batch=2, dtype=dtype)
    assume(layer.conv.slices is not None)
    names = {variant.name: variant for variant in variants_of(layer, MACHINE)}
    assert "depthwise" not in names
    # Half of them in the form that has the depth as an axis.
    variant = data.draw(st.sampled_from([*names.values(), *[names["winograd"]] * len(names)]))
    made = Candidate(layer, variant, data.draw(feasible(variant, layer)))
    folder = tmp_path_factory.mktemp("case")
    write_case(layer, folder, seed=3)
    case = read_case(folder)
    y = tvm.runtime.tensor(case.unwritten())
    arrays = [case.x, *packed(made, np.load(folder / WEIGHT))]
    tvm.compile(made.kernel(), target=HOST)["main"](*map(tvm.runtime.tensor, arrays), y)
    error = np.abs(y.numpy() - case.expected).max() / np.abs(case.expected).max()
    assert error <= case.tolerance, (made, error)


def test_the_space_has_the_depth_and_a_trace_is_read_back():
    space = SearchSpace(PLAIN, MACHINE)
    assert space.fields["winograd"]["depth_outputs"] == (1, 2, 4)
    assert max(space.fields["winograd"]["depth_tiles"]) == 8
    for default in default_candidates(PLAIN, MACHINE):
        assert candidate_of(space.measurable(default).sch, MACHINE) == default


def network():
    net = Net((1, 8, 6, 7, 9))
    wide = {"pads": [1] * 6}
    x = net("Relu", net("Conv", "x", net.constant(12, 8, 3, 3, 3, scale=0.1), **wide))
    x = net.to_sizes(x, 1, 12, 11, 13, 18)
    return net, net.model(net("Conv", x, net.constant(4, 12, 3, 3, 3, scale=0.1), **wide))


def test_a_network_of_volumes_is_compiled_from_its_log_and_computes_the_same(tmp_path):
    """The plain layer, and both phases of the depth of the one that was resized."""
    net, model = network()
    target = for_threads("host", 1)
    machine = tvm_deconv.backends.machine_of(target)
    tasks = tasks_of(model, None, target)
    assert sum(task.layer.conv.slices is not None for task in tasks) == 3
    with LogFolder.for_tuning(tmp_path, header(target=target)) as log:
        for task in tasks:
            named = {c.variant.name: c for c in default_candidates(task.layer, machine)}
            made = named["winograd"]
            if task.layer.conv.slices is not None:
                tile = replace(made.parameters, outputs=(2, 2), depth=(2, 1))
                made = replace(made, parameters=tile)
            log.commit(Trial.of(made, task.name, OK, [1e-3], seed=0, stage="search"))
    report = tvm_deconv.explain(model, threads=1, log=tmp_path)
    assert all("tuning log" in kernel.reason for kernel in report.kernels), report
    assert all(kernel.variant == "winograd" for kernel in report.kernels)
    assert "depth=(2, 1)" in report.kernels[0].parameters
    main = relax.VirtualMachine(tvm_deconv.compile(model, threads=1, log=tmp_path), tvm.cpu())
    plain = relax.VirtualMachine(
        tvm_deconv.compile(model, threads=1, log=None, variant="revd2"), tvm.cpu()
    )
    x = tvm.runtime.tensor(np.random.default_rng(5).standard_normal(net.shape).astype("float32"))
    got, want = (vm["main"](x).numpy() for vm in (main, plain))
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-5)
