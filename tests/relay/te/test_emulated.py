"""Kernels of TE for ARM and RISC-V: cross-compiled, and run under qemu by a C program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tvm
from drawn import square
from te_kernel import check, compile_here
from tvm.contrib import cc

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.relay.layer import machine_of
from tvm_deconv.schedules.te.variants import TE_VARIANTS

TESTS = Path(__file__).parents[2]

# Processor: options of the target, prefix of the compiler, emulator.
BOARDS = {
    "aarch64": (
        "-device=arm_cpu -mtriple=aarch64-linux-gnu -mcpu=cortex-a72 -mattr=+neon",
        "aarch64-linux-gnu",
        "qemu-aarch64-static",
    ),
    "armv7": (
        "-device=arm_cpu -mtriple=armv7l-linux-gnueabihf -mcpu=cortex-a53 -mattr=+neon "
        "-mfloat-abi=hard",
        "arm-linux-gnueabihf",
        "qemu-arm-static",
    ),
    "riscv64 without vectors": (
        "-mtriple=riscv64-unknown-linux-gnu -mcpu=generic-rv64 -mattr=+m,+a,+f,+d -mabi=lp64d",
        "riscv64-linux-gnu",
        "qemu-riscv64-static",
    ),
}

LAYERS = {
    "nearest by 2": (
        ConvTranspose2d(12, 17, *square(axis_of_resize, ConvAxis(3, 1, 1), 2)),
        (1, 14, 24),
    ),
    "groups, asymmetric padding, a row of no whole tiles": (
        ConvTranspose2d(6, 9, Axis(4, 2, 1, 0), Axis(5, 3, 1, 2), groups=3),
        (2, 9, 21),
    ),
}


@pytest.fixture(scope="module", params=sorted(BOARDS))
def board(request, tmp_path_factory):
    """(target, prefix of the compiler, how to run a kernel's program)."""
    options, prefix, emulator = BOARDS[request.param]
    compiler = f"{prefix}-gcc"
    # What has to run is ARM's.
    required = os.environ.get("TVM_DECONV_REQUIRE_BOARD") == "1" and "riscv" not in prefix
    if not required and not (shutil.which(compiler) and shutil.which(emulator)):
        pytest.skip(f"apt install gcc-{prefix} qemu-user-static")
    target = tvm.target.Target(f"llvm {options} -num-cores=4")
    program = tmp_path_factory.mktemp("loader") / "kernel_main"
    # Of the wheel, or of a source tree.
    home = Path(tvm.__file__).parent
    folders = (home / "include", home / "dlpack" / "include", home.parents[1] / "include")
    if not any((folder / "tvm/runtime/c_runtime_api.h").exists() for folder in folders):
        pytest.skip("this TVM came without its headers")
    command = [compiler, "-Wall", "-Werror", "-rdynamic", "-DTVM_BEFORE_FFI"]
    command += [f"-I{folder}" for folder in folders]
    command += [str(TESTS / "kernel_main.c"), "-o", str(program), "-ldl"]
    subprocess.run(command, check=True)
    return target, compiler, [emulator, "-L", f"/usr/{prefix}", str(program)]


NEAREST, GROUPS = LAYERS


@pytest.mark.parametrize(
    ("variant", "layer"), [("revd2", NEAREST), *((name, GROUPS) for name in sorted(TE_VARIANTS))]
)
def test_each_variant_equals_the_scatter_definition_on_a_board(board, tmp_path, variant, layer):
    target, compiler, command = board
    conv, shape = LAYERS[layer]

    def run(built, x, packed, shape):
        library = tmp_path / "kernel.so"
        built.export_library(str(library), fcompile=cc.cross_compiler(compiler))
        tensors = {"x": x, "packed": packed, "y": np.full(shape, np.nan, "float32")}
        arguments = []
        for name, tensor in tensors.items():
            tensor.tofile(tmp_path / name)
            arguments += [str(tmp_path / name), "x".join(map(str, tensor.shape))]
        done = subprocess.run(
            [*command, str(library), *arguments], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return np.fromfile(tmp_path / "y", "float32").reshape(shape)

    options = {"target": target, "machine": machine_of(target)}
    check(variant, conv, shape, compile=compile_here, run=run, **options)
