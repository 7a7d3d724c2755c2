"""Integer kernels of 64-bit ARM under qemu: with dot products of bytes, and without."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest
from integer_kernel import SUB_PIXEL, UNEVEN, of_layer
from paths import TESTS
from tvm.support import cc
from tvm_ffi import libinfo

from tvm_deconv.backends.linking import linker
from tvm_deconv.schedules.cpu.integer.dot import dot_of
from tvm_deconv.targets import resolve_target

COMPILER, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64-static"
LOADER = TESTS.joinpath("kernel_main.c")

pytestmark = [
    pytest.mark.board,
    pytest.mark.skipif(
        os.environ.get("TVM_DECONV_REQUIRE_BOARD") != "1"
        and not (shutil.which(COMPILER) and shutil.which(QEMU)),
        reason="apt install gcc-aarch64-linux-gnu qemu-user-static",
    ),
]


@pytest.fixture(scope="module")
def loader(tmp_path_factory):
    program = tmp_path_factory.mktemp("loader") / "kernel_main"
    folders = libinfo.find_include_path(), libinfo.find_dlpack_include_path()
    includes = [f"-I{folder}" for folder in folders]
    command = [COMPILER, "-Wall", "-Werror", "-rdynamic", *includes, LOADER, "-o", program, "-ldl"]
    subprocess.run(command, check=True)
    return program


def run_with(loader, folder, target):
    kinds = {"uint8": "u8", "int8": "s8", "int32": "s32", "float32": ""}

    def run(built, arrays, out):
        library = folder / "kernel.so"
        built.export_library(str(library), fcompile=cc.create_shared, cc=linker(target))
        arguments = []
        for i, array in enumerate([*arrays, out]):
            array.tofile(folder / f"{i}")
            shape = "x".join(map(str, array.shape))
            arguments += [folder / f"{i}", shape + kinds[str(array.dtype)]]
        command = [QEMU, "-L", "/usr/aarch64-linux-gnu", loader, library, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return np.fromfile(arguments[-2], out.dtype).reshape(out.shape)

    return run


@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 3), ("int8", -5)])
@pytest.mark.parametrize("op", [SUB_PIXEL, UNEVEN], ids=["sub-pixel", "uneven"])
@pytest.mark.parametrize(("mcpu", "name"), [("cortex-a76", "sdot"), ("cortex-a53", "plain")])
def test_arm_gives_the_same_integers(loader, tmp_path, mcpu, name, op, dtype, zero_point):
    target = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": mcpu})
    dot = dot_of(target)
    assert dot.name == name
    shape = (1, op.in_channels, 5, 19)
    run = run_with(loader, tmp_path, target)
    got, expected = of_layer(op, shape, dtype, zero_point, dot, target=target, run=run)
    np.testing.assert_array_equal(got, expected)
