"""The benchmark's layers as CUDA: what each kernel takes of a GPU, with default parameters."""

from __future__ import annotations

import cuda_kernel
import pytest
from kernel import function, square
from tvm.target import Target

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

pytestmark = cuda_kernel.required

# Layers of the benchmark, of each origin: few channels, many, and one output channel.
LAYERS = {
    "sub-pixel r3 32->1": (
        ConvTranspose2d(32, 1, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 3)),
        (1, 224, 224),
    ),
    "sub-pixel r2 64->64": (
        ConvTranspose2d(64, 64, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2)),
        (1, 128, 128),
    ),
    "nearest r2 64->64": (
        ConvTranspose2d(64, 64, *square(axis_of_resize, ConvAxis(3, 1, 1), 2)),
        (1, 128, 128),
    ),
    "nearest r2 256->256": (
        ConvTranspose2d(256, 256, *square(axis_of_resize, ConvAxis(3, 1, 1), 2)),
        (1, 64, 64),
    ),
    "K4 s2 256->128": (ConvTranspose2d(256, 128, *square(Axis, 4, 2, 1, 1)), (1, 16, 16)),
    "K9 s3 56->1": (ConvTranspose2d(56, 1, *square(Axis, 9, 3, 4, 4)), (1, 126, 128)),
}
SMALL = ConvTranspose2d(16, 24, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
# Of every generation of Jetson modules.
ARCHITECTURES = ["sm_53", "sm_62", "sm_72", "sm_87"]


def target(arch):
    return Target({"kind": "cuda", "arch": arch})


@pytest.mark.parametrize("variant", ["revd2", "tdc", "winograd"])
@pytest.mark.parametrize("layer", LAYERS)
def test_no_kernel_of_a_layer_spills(variant, layer):
    # An architecture for each layer and variant: the nests differ with the layer, hardly with it.
    turn = list(LAYERS).index(layer) + list(GPU_VARIANTS).index(variant)
    orin = target(ARCHITECTURES[turn % len(ARCHITECTURES)])
    func, _ = function(variant, *LAYERS[layer], target=orin)
    cuda_kernel.assert_fits(func, orin)


@pytest.mark.parametrize("arch", ["sm_53", "sm_87"])
@pytest.mark.parametrize("variant", ["revd2", "tdc", "winograd"])
def test_the_variants_that_tuning_chooses_from_fit_old_and_new_boards(variant, arch):
    func, _ = function(variant, SMALL, (1, 57, 101), "float16", target(arch), symbolic="nhw")
    cuda_kernel.assert_fits(func, target(arch))


@pytest.mark.parametrize("variant", ["revd", "stdd", "strd"])
def test_shared_memory_is_enough_for_the_forms_to_compare_with(variant):
    orin = target("sm_87")
    func, _ = function(variant, SMALL, (1, 57, 101), target=orin)
    for name, kernel in cuda_kernel.resources(func, orin).items():
        assert kernel.shared_bytes <= 48 * 1024, f"{name}: {kernel}"
