"""What both machines that execute GPU kernels on the processor do not let pass."""

from __future__ import annotations

import cuda_on_cpu
import numpy as np
import opencl
import pytest
from copy_kernels import crowd, through_scratch, vandal
from tvm.target import Target

both = pytest.mark.parametrize(
    ("harness", "target"),
    [
        pytest.param(
            cuda_on_cpu, Target({"kind": "cuda", "arch": "sm_87"}), marks=cuda_on_cpu.required
        ),
        pytest.param(opencl, Target({"kind": "opencl", "device": "mali"}), marks=opencl.required),
    ],
    ids=["CUDA", "OpenCL"],
)


@both
def test_scratch_that_was_not_written_is_not_a_number(harness, target):
    built = harness.build(through_scratch(), target)
    for first in (0, 7):
        x = np.arange(first, first + 64, dtype="float32")
        (got,) = built.run([x], ((64,), "float32"))
        np.testing.assert_array_equal(got, [*x[:32], *[np.nan] * 32])
    assert [launch.block for launch in built.launches] == [(32, 1, 1), (64, 1, 1)]


@both
@pytest.mark.parametrize(
    ("kernel", "size", "said"), [(vandal, 64, "wrote to input 0"), (crowd, 2048, "2048 threads")]
)
def test_what_a_kernel_must_not_do_or_ask_for_is_noticed(harness, target, kernel, size, said):
    x = np.arange(size, dtype="float32")
    with pytest.raises(AssertionError, match=said):
        harness.build(kernel(), target).run([x], ((size,), "float32"))
