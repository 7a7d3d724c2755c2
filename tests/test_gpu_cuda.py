"""The benchmark's layers as CUDA: what each kernel takes of a GPU, with default parameters."""

from __future__ import annotations

import cuda_kernel
import pytest
from kernel import function, square
from tvm.target import Target

from tvm_deconv.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize, axis_of_subpixel
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS

pytestmark = cuda_kernel.required

# The layers of the tables in the README: the first of each kind, and the one with most channels.
SUBPIXEL = ConvTranspose2d(64, 64, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
LAYERS = {
    "sub-pixel r3 32->1": (
        ConvTranspose2d(32, 1, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 3)),
        (1, 224, 224),
    ),
    "sub-pixel r2 64->64": (SUBPIXEL, (1, 128, 128)),
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


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("variant", GPU_VARIANTS)
def test_every_variant_fits_every_board(variant, arch):
    func, _ = function(variant, SUBPIXEL, (1, 128, 128), target=target(arch))
    cuda_kernel.assert_fits(func, target(arch))


@pytest.mark.parametrize("variant", GPU_VARIANTS)
def test_kernels_of_free_sizes_and_float16_fit(variant):
    orin = target("sm_87")
    func, _ = function(variant, SUBPIXEL, (1, 128, 128), "float16", orin, symbolic="nhw")
    cuda_kernel.assert_fits(func, orin)
