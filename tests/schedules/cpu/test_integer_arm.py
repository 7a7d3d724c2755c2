"""Integer kernels of 64-bit ARM under qemu: with dot products of bytes, and without."""

from __future__ import annotations

import numpy as np
import pytest
from integer_forms import DEPTHWISE, UNFOLDED, WINOGRAD, exact
from integer_kernel import SUB_PIXEL, UNEVEN, of_layer
from qemu import Processor

from tvm_deconv.schedules.cpu.dot import dot_of
from tvm_deconv.targets import resolve_target

ARM = Processor(
    "aarch64-linux-gnu-gcc",
    "qemu-aarch64-static",
    "/usr/aarch64-linux-gnu",
    "gcc-aarch64-linux-gnu qemu-user-static",
)

pytestmark = ARM.marks


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    return ARM.loader(tmp_path_factory.mktemp("loader"))


@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 3), ("int8", -5)])
@pytest.mark.parametrize("op", [SUB_PIXEL, UNEVEN], ids=["sub-pixel", "uneven"])
@pytest.mark.parametrize(("mcpu", "name"), [("cortex-a76", "sdot"), ("cortex-a53", "smlal")])
def test_arm_gives_the_same_integers(loader, tmp_path, mcpu, name, op, dtype, zero_point):
    target = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": mcpu})
    dot = dot_of(target)
    assert dot.name == name
    shape = (1, op.in_channels, 5, 19)

    def run(built, arrays, out):
        return ARM.run(loader, built, target, [*arrays, out], tmp_path)

    got, expected = of_layer(op, shape, dtype, zero_point, dot, target=target, run=run)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("form", "mcpu", "name"),
    [
        (WINOGRAD, "cortex-a76", "smlal"),
        (WINOGRAD, "cortex-a53", "smlal"),
        (UNFOLDED, "cortex-a76", "sdot"),
        (UNFOLDED, "cortex-a53", "smlal"),
        (DEPTHWISE, "cortex-a76", "sdot"),
    ],
)
def test_arm_gives_the_integers_of_a_layer_by_every_form(loader, tmp_path, form, mcpu, name):
    target = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": mcpu})
    dot, runs = form.dot(target), []
    assert dot.name == name

    def run(built, arrays, out):
        runs.append(mcpu)
        return ARM.run(loader, built, target, [*arrays, out], tmp_path)

    exact(form, form.layer(5), (1, 5, 5, 19), "int8", -5, dot, target=target, run=run)
    assert runs == [mcpu]
