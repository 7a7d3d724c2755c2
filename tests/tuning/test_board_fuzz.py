"""Random models and layers on an emulated board: ``make fuzz ARGS="--board cortex-a53"``."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz import board as boards
from fuzz.pool import Worker
from kernel import compile_here, function, square
from tvm.support import cc

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.backends.linking import linker
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.targets import resolve_target

pytestmark = pytest.mark.board

SEED = 5
FAMILIES = ("onnx-subpixel", "onnx-quantized", "layer", "torch")


@pytest.fixture(scope="module")
def core(board):
    """An old core, of which the emulated board has all that it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(boards.VARIABLE, "cortex-a53")
        yield "cortex-a53"
        boards.close()


@pytest.fixture(scope="module")
def worker(core):
    one = Worker()
    yield one
    one.close()


@pytest.mark.parametrize("index, family", [*enumerate(FAMILIES)])
def test_a_random_case_is_right_on_an_arm_core(worker, index, family):
    result = worker.run({"family": family, "seed": SEED, "index": index})
    assert result.outcome.kind == "ok", result


@pytest.mark.parametrize("mcpu, fails", [("cortex-a53", False), ("cortex-a76", True)])
def test_an_instruction_that_the_core_lacks_is_noticed(core, mcpu, fails):
    """Sums of float16, which an A53 does not add: the next library finds a new process."""
    target = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": mcpu})
    conv = ConvTranspose2d(4, 4, *square(Axis, 3, 1, 1, 1))
    accumulate = "float16" if fails else "float32"
    func, tile = function("revd2", conv, (1, 5, 8), "float16", target, accumulate=accumulate)
    library = boards.OnBoard(kernel=True)
    built = compile_here(func, target)
    built.export_library(str(library.path), fcompile=cc.create_shared, cc=linker(target))
    x = np.ones((1, 4, 5, 8), "float16")
    variant = variants_for(machine_of(target), accumulate)["revd2"]
    weight = np.ones(variant.packed_shape(conv, tile), variant.weight_dtype("float16"))
    y = np.full((1, 4, 5, 8), np.nan, "float16")
    found = library.run([x, weight, y])
    assert isinstance(found, boards.BoardDied) is fails
    if not fails:
        assert found[0][0, 0, 2, 2] == 36
