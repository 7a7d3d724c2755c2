"""Sums of float16, where a caller asks for them: on ARMv8.2, under qemu, and on no other."""

from __future__ import annotations

import numpy as np
import pytest
from kernel import check, function
from onnx_net import Net
from qemu import Processor

import tvm_deconv
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import linking, machine_of
from tvm_deconv.errors import OptionError, TargetError
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

ARM = Processor(
    "aarch64-linux-gnu-gcc",
    "qemu-aarch64-static",
    "/usr/aarch64-linux-gnu",
    "gcc-aarch64-linux-gnu qemu-user-static",
)
SUB_PIXEL = ConvTranspose2d(8, 3, Axis(6, 2, 2, 2), Axis(6, 2, 2, 2))
PLAIN = ConvTranspose2d(16, 9, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
WHOLE = ConvTranspose2d(16, 16, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1))
UNEVEN = ConvTranspose2d(6, 10, Axis(4, 2, 1, 1), Axis(5, 3, 1, 0, 1), groups=2)


def cortex(core):
    return resolve_target(
        {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": core, "num-cores": 2}
    )


A76, A72 = cortex("cortex-a76"), cortex("cortex-a72")


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    return ARM.loader(tmp_path_factory.mktemp("loader"))


def network(**attributes):
    net = Net((1, 8, 20, 40))
    return net.model(net.conv("x", 8, 12, **attributes))


class TestOnArm:
    pytestmark = ARM.marks

    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    @pytest.mark.parametrize("op", [SUB_PIXEL, PLAIN, UNEVEN], ids=["sub-pixel", "plain", "uneven"])
    def test_a_layer_is_right_but_for_its_rounding(self, loader, tmp_path, op, dtype):
        def run(built, x, packed, shape):
            assert packed.dtype == "float16"
            return ARM.run(loader, built, A76, [x, packed, np.zeros(shape, dtype)], tmp_path)

        check(
            "revd2",
            op,
            (1, 5, 43),
            dtype,
            target=A76,
            accumulate="float16",
            compile=linking.compiled,
            run=run,
        )


def test_eight_products_are_added_at_a_time():
    func, tile = function("revd2", PLAIN, (1, 16, 64), target=A76, accumulate="float16")
    built = linking.compiled(func.with_attr("global_symbol", "main"), A76).mod
    listing = "\n".join(m.inspect_source("asm") for m in (built, *built.imports))
    assert tile.lanes == 8
    assert ".8h, v" in listing and "fmla" in listing
    assert "fmla\tv0.4s" not in listing


def test_the_model_expects_half_of_the_cycles_of_a_layer_of_many_products():
    machine, sizes = machine_of(A76), Sizes(1, 64, 64)
    cycles = []
    for accumulate in ("float32", "float16"):
        variant = variants_for(machine, accumulate)["revd2"]
        tile = variant.choose(WHOLE, sizes, machine)
        assert variant.space.refusal(WHOLE, sizes, tile, machine) is None
        cycles.append(variant.cycles(WHOLE, sizes, tile, machine))
    assert 1.7 < cycles[0] / cycles[1] < 2.1


def test_it_is_off_unless_it_is_asked_for():
    report = tvm_deconv.explain(network(), target=A76, variant="revd2")
    assert "float16" not in str(report)
    halved = tvm_deconv.explain(network(), target=A76, variant="revd2", accumulate="float16")
    assert "sums=float16" in halved.kernels[0].parameters


def test_variants_that_need_float32_keep_it():
    report = tvm_deconv.explain(network(), target=A76, variant="winograd", accumulate="float16")
    assert report.kernels[0].variant == "winograd"
    assert "float16" not in report.kernels[0].parameters


@pytest.mark.parametrize("target", [A76, "arm/mali-g52", {"kind": "opencl", "device": "adreno"}])
def test_what_gains_by_it_takes_it(target):
    tvm_deconv.pipeline(target, accumulate="float16")


@pytest.mark.parametrize(
    ("target", "name"), [(A72, "cortex-a72"), ("nvidia/jetson-nano", "sm_53"), ("opencl", "opencl")]
)
def test_what_does_not_gain_by_it_is_refused_by_name(target, name):
    with pytest.raises(TargetError, match=name):
        tvm_deconv.pipeline(target, accumulate="float16")


@pytest.mark.parametrize("accumulate", ["half", 16, None])
def test_another_type_is_refused(accumulate):
    with pytest.raises(OptionError, match="give 'float32' or 'float16'"):
        tvm_deconv.pipeline(A76, accumulate=accumulate)


def test_weights_that_fill_no_vector_leave_a_layer_to_float32():
    """A register's lane is a factor only in the first 16: LLVM would spill single weights."""
    net = Net((1, 32, 20, 40))
    report = tvm_deconv.explain(
        net.model(net.conv("x", 32, 3)), target=A76, winograd=False, accumulate="float16"
    )
    assert "float16" not in report.kernels[0].parameters
    assert "weights of a tap in whole vectors" in report.kernels[0].reason
