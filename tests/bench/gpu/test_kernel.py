"""The GPU benchmark's kernels compute the layer as trained."""

from __future__ import annotations

import cuda_on_cpu
import numpy as np
import pytest

from tvm_deconv.backends import backend_of, machine_of
from tvm_deconv.bench.gpu import integer
from tvm_deconv.bench.gpu import kernel as gpu_kernel
from tvm_deconv.bench.gpu.eight_bits import SEED, EightBits
from tvm_deconv.bench.gpu.layer import Tensors
from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.workloads import find

TARGET = gpu_kernel.target_of("sm_90")
TOLERANCE = {"float32": 1e-5, "float16": 2e-3}

# Each activation, and a bias for each phase, for each channel and none.
CASES = [
    ("revd2", "espcn-x3/subpixel", "float32"),
    ("revd2", "dbnet/deconv-64-1", "float16"),
    ("tdc", "carn-m-x2/subpixel", "float16"),
    ("tdc", "dcgan/deconv-128-3", "float32"),
    ("winograd", "monodepth/upconv2", "float32"),
    ("revd", "srgan-x4/subpixel1", "float32"),
    ("stdd", "rrdbnet-x4/up1", "float32"),
    ("strd", "stylegan2/up-256", "float32"),
]


def packed_case(variant, name, dtype):
    """The function, its inputs and the result for a layer of 4 x 5 inputs."""
    (workload,) = find([name])
    workload = workload.resized(4, 5)
    spec, conv = workload.spec, workload.spec.geometry()
    variant = GPU_VARIANTS[variant]
    assert variant.refusal(conv, ACCUMULATE_DTYPE) is None
    parameters = variant.choose(conv, Sizes(1, 4, 5), machine_of(TARGET))
    func, weight_dtype = gpu_kernel.scheduled(spec, dtype, variant, parameters)
    tensors = Tensors.draw(spec, dtype, seed=2)
    packed = variant.pack_weights(tensors.deconv_weights, conv, parameters).astype(weight_dtype)
    return func, [tensors.x, packed, *tensors.epilogue_inputs], tensors.expected()


@cuda_on_cpu.required
@pytest.mark.parametrize(("variant", "name", "dtype"), CASES)
def test_the_cuda_source_computes_the_layer_as_trained(variant, name, dtype):
    func, inputs, expected = packed_case(variant, name, dtype)
    (found,) = cuda_on_cpu.build(func, TARGET).run(inputs, (expected.shape, dtype))
    scale = np.abs(expected).max()
    tolerance = TOLERANCE[dtype] * (10 if variant == "winograd" else 1)
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=tolerance)


# ReLU, slopes, an activation that is left out; folded weights that do not fit into a byte.
LAYERS_OF_BYTES = [
    "espcn-x3/subpixel",
    "rrdbnet-x4/up1",
    "srgan-x4/subpixel1",
    "dbnet/deconv-64-1",
    "cyclegan/deconv-128-64",
]


@cuda_on_cpu.required
@pytest.mark.parametrize("name", LAYERS_OF_BYTES)
def test_the_cuda_source_computes_a_layer_of_bytes(name):
    (workload,) = find([name])
    spec = workload.resized(4, 5).spec
    bits, kernel = EightBits.draw(spec, SEED), integer.kernel_of(spec, TARGET)
    expected = bits.expected()
    inputs = [bits.x, *integer.arrays_of(kernel, bits)]
    func = integer.scheduled(kernel, spec)
    (found,) = cuda_on_cpu.build(func, TARGET).run(inputs, (expected.shape, "uint8"))
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 50


@cuda_on_cpu.required
def test_the_peak_kernel_multiplies_and_adds_in_as_many_blocks_as_it_is_given():
    probe = backend_of(TARGET).peak(TARGET, blocks=3)
    inputs, out = probe.shapes
    factors = np.array([0.5, 1.5], "float32").reshape(inputs)
    (found,) = cuda_on_cpu.build(probe.func, TARGET).run([factors], (out, "float32"))
    # Each of the 16 chains goes to 1.5 / (1 - 0.5).
    np.testing.assert_allclose(found, np.full(out, 3.0 * 16), rtol=1e-6)
    assert probe.work >= 2 * found.size * 16 * 4096


@pytest.mark.parametrize("arch", ["90", "compute_90", "mali"])
def test_an_architecture_that_is_none_is_refused(arch):
    with pytest.raises(TargetError, match=arch):
        gpu_kernel.target_of(arch)
