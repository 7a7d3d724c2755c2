"""32-bit ARM: libraries link, and kernels run under qemu. No wheel has TVM's runtime for it."""

from __future__ import annotations

import numpy as np
import pytest
from kernel import cases, check, compile_here, square
from onnx_net import Net
from qemu import Processor

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.library import compile_library
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.targets import resolve_target

TAG = "arm/rasp4b"
TARGET = resolve_target(TAG)
ARM = Processor(
    "arm-linux-gnueabihf-gcc",
    "qemu-arm-static",
    "/usr/arm-linux-gnueabihf",
    "gcc-arm-linux-gnueabihf qemu-user-static",
)

pytestmark = ARM.marks

LAYERS = {
    "nearest by 2": (
        ConvTranspose2d(12, 17, *square(axis_of_resize, ConvAxis(3, 1, 1), 2)),
        (1, 14, 23),
    ),
    "groups, asymmetric padding": (
        ConvTranspose2d(6, 9, Axis(4, 2, 1, 0), Axis(5, 3, 1, 2), groups=3),
        (2, 9, 21),
    ),
    "depthwise": (
        ConvTranspose2d(6, 12, Axis(4, 2, 1, 0), Axis(5, 3, 1, 2), groups=6),
        (2, 9, 21),
    ),
}


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    return ARM.loader(tmp_path_factory.mktemp("loader"))


def run_with(loader, folder):
    """How `kernel.check` runs a kernel; an element that is not written is a NaN."""

    def run(built, x, packed, shape):
        y = np.full(shape, np.nan, "float32")
        return ARM.run(loader, built, TARGET, [x, packed, y], folder)

    return run


@pytest.mark.parametrize(("variant", "layer"), cases(VARIANTS, LAYERS))
def test_each_variant_equals_the_scatter_definition_on_armv7(loader, tmp_path, variant, layer):
    conv, shape = LAYERS[layer]
    reason = VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE)
    if reason is None:
        check(
            variant,
            conv,
            shape,
            target=TARGET,
            compile=compile_here,
            run=run_with(loader, tmp_path),
        )
    else:
        assert variant == "winograd", reason


def test_a_network_links_for_armv7(tmp_path):
    net = Net((1, 3, 9, 14))
    x = net("DepthToSpace", net.conv("x", 3, 12), blocksize=2, mode="CRD")
    compile_library(net.model(net.conv(net.nearest(x, 2), 3, 5)), tmp_path / "network.so", TAG)
    header = (tmp_path / "network.so").read_bytes()[:20]
    elf_arm, elf_32_bits = 40, 1
    assert (header[4], header[18]) == (elf_32_bits, elf_arm)
