"""Named workloads are well-formed data: origin, size, work; and they are found by name."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import reference
from workload_helpers import by_name, small

from tvm_deconv.errors import GeometryError, WorkloadError
from tvm_deconv.workloads import ALL, GROUPS, LAYERS, NETWORKS, LayerSpec, find


def test_names_are_unique_and_say_whether_it_is_a_layer():
    assert len({workload.name for workload in ALL}) == len(ALL)
    for workload in LAYERS:
        assert workload.kind == "layer"
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", workload.name)
    for workload in NETWORKS:
        assert workload.kind == "network"
        assert re.fullmatch(r"[a-z0-9-]+", workload.name)
    assert not {workload.name for workload in ALL} & set(GROUPS)


@by_name(ALL)
def test_a_workload_says_where_it_comes_from_and_has_a_size(workload):
    assert re.search(r"\b20[12]\d\b", workload.origin), "the year is missing"
    assert len(workload.input_shape) == 4 and workload.input_shape[0] == 1
    assert workload.multiply_adds > 0


@by_name(LAYERS)
def test_a_layer_is_one_convolution_of_the_size_that_it_is_listed_with(workload):
    (spec,) = workload.layers
    assert spec.input_shape == workload.input_shape


@by_name(find(["*/deconv-128-*", "edsr-x3/*", "carn-m-x2/*", "fsrcnn-x4/*", "style-*/nearest-*"]))
def test_multiply_adds_count_every_product_of_the_transposed_convolution(workload):
    spec = small(workload).spec
    g = spec.geometry()
    x = np.ones(spec.input_shape)
    # Nothing is cropped here, so the sum of the scattered ones is their number.
    products = reference.conv2d_transpose(x, np.ones(g.weight_shape), g.strides, groups=g.groups)
    assert small(workload).multiply_adds == products.sum()


def test_a_strided_convolution_counts_its_outputs_and_has_no_geometry():
    spec = LayerSpec("conv", 6, 4, 3, 9, 8, padding=1, stride=2, groups=2)
    # 5x4 outputs of 4 channels; each sums 3x3 taps of 3 channels.
    assert spec.output_shape == (1, 4, 5, 4)
    assert spec.multiply_adds == 5 * 4 * 4 * 27
    with pytest.raises(GeometryError, match="stride 2"):
        spec.geometry()


def test_the_work_of_a_network_is_that_of_the_published_one():
    (espcn,) = find(["espcn-x3-64-64-32"])
    assert espcn.multiply_adds == (25 * 64 + 9 * (64 * 64 + 64 * 32 + 32 * 9)) * 224**2
    (fsrcnn,) = find(["fsrcnn-x3"])
    # The paper's table 1: 12,464 parameters without biases and slopes, each used once per pixel.
    assert fsrcnn.multiply_adds == 12464 * 224**2
    (edsr,) = find(["edsr-baseline-x2"])
    # Behind the sub-pixel stage there are four times as many pixels.
    low, high = 27 * 64 + 9 * 64 * 64 * (33 + 4), 9 * 64 * 3
    assert edsr.multiply_adds == (low + 4 * high) * 96**2


def test_a_resized_workload_keeps_everything_but_the_size():
    (workload,) = find(["unet/upconv-128-64"])
    resized = workload.resized(5, 7)
    assert resized.spec == replace(workload.spec, height=5, width=7)
    assert (resized.name, resized.origin) == (workload.name, workload.origin)


def test_the_design_group_has_the_layers_that_the_notes_have_figures_for():
    # Multiply-adds by the products of the notes' table: layer, kernel taps, channels, pixels.
    assert {w.name: w.multiply_adds for w in find(["design"])} == {
        "design/subpixel-r3-32-1": 9 * 32 * 9 * 224**2,
        "design/subpixel-r2-64-64": 9 * 64 * 256 * 128**2,
        "design/nearest-r2-64-64": 16 * 64 * 64 * 128**2,
        "design/nearest-r2-256-256": 16 * 256 * 256 * 64**2,
        "design/nearest-r2-128-64": 16 * 128 * 64 * 64**2,
        "design/deconv-k4-s2-256-128": 16 * 256 * 128 * 16**2,
        "design/deconv-k9-s3-56-1": 81 * 56 * 126 * 128,
    }


def test_workloads_are_found_by_name_pattern_and_group():
    assert [w.name for w in find(["espcn-x3"])] == ["espcn-x3"]
    assert {w.name for w in find(["espcn*"])} == {
        "espcn-x2/subpixel",
        "espcn-x3/subpixel",
        "espcn-x4/subpixel",
        "espcn-x3",
        "espcn-x3-64-64-32",
    }
    assert find(["layers"]) == list(LAYERS)
    assert find(["networks"]) == list(NETWORKS)
    assert find(["all"]) == find(["networks", "layers", "espcn*"]) == list(ALL)
    assert all(w.name.startswith("design/") for w in find(["design"]))
    assert find([]) == []


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("espcn-x5", "no workload is called 'espcn-x5': did you mean espcn-x3"),
        ("Unet/Upconv-512-256", "did you mean unet/upconv-512-256"),
        ("layer", "did you mean layers"),
        ("quux*", r"a pattern such as 'espcn\*', or one of the groups all, layers, networks"),
        ("", "give a name such as espcn-x2/subpixel"),
    ],
)
def test_what_no_workload_is_called_is_an_error_with_advice(pattern, reason):
    with pytest.raises(WorkloadError, match=reason):
        find(["espcn-x3", pattern])


def test_a_network_has_no_single_spec():
    with pytest.raises(WorkloadError, match="espcn-x3 is a network: ask for its layers"):
        _ = find(["espcn-x3"])[0].spec


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        ("conv", {"factor": 2}, "factor 1, got 2"),
        ("deconv", {"stride": 2}, "has a stride, got 2"),
        ("subpixel", {"output_padding": 1}, "output padding, got 1"),
        ("nearest", {"activation_first": True}, "which nearest lacks"),
        ("deconv", {"padding_mode": "reflect"}, "cannot reflect"),
        ("nearest", {"padding_mode": "reflect", "padding": 2, "factor": 2}, "reflection by 2"),
    ],
)
def test_a_spec_that_no_layer_can_have_is_refused(kind, options, reason):
    with pytest.raises(GeometryError, match=reason):
        LayerSpec(kind, 4, 4, 5, 8, 8, **options)


def test_workloads_need_no_tvm():
    code = (
        "import sys, tvm_deconv.workloads as w; w.ALL[-1].model(); sys.exit('tvm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
