"""Probes do the work that they count: they are executed with few steps and compared with NumPy."""

from __future__ import annotations

import numpy as np
import opencl
import pytest
import tvm
from kernel import HOST

from tvm_deconv.backends import backend_of, machine_of
from tvm_deconv.measure import cpu_probes, gpu_probes
from tvm_deconv.schedules.cpu.dot import Dot, dot_of
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.targets import resolve_target

MACHINE = CpuMachine("neon", 4, 32, 32 << 10, 1 << 20, 2)
MALI = resolve_target({"kind": "opencl", "device": "mali"})


def chains(count: int, steps: int) -> float:
    """The sum of as many chains of multiply-adds by 0.5 and 1, which begin with 1, 2, 3 ..."""
    sums = np.arange(1, count + 1, dtype="float64")
    for _ in range(steps):
        sums = sums * 0.5 + 1
    return float(sums.sum())


def factors(lanes: int) -> np.ndarray:
    return np.array([[0.5] * lanes, [1.0] * lanes], "float32")


def run(probe, x, target="llvm"):
    out = tvm.runtime.empty(probe.shapes[1], probe.dtype)
    assert x.shape == probe.shapes[0]
    tvm.compile(tvm.IRModule({"main": probe.func}), target)["main"](tvm.runtime.tensor(x), out)
    return out.numpy()


def test_the_peak_of_a_processor_is_that_of_the_multiply_adds_it_computes(monkeypatch):
    monkeypatch.setattr(cpu_probes, "_STEPS", 3)
    probe = cpu_probes.multiply_adds(MACHINE)
    out = run(probe, factors(4))
    np.testing.assert_allclose(out, np.full((2, 4), chains(12, 3)), rtol=1e-6)
    assert probe.work == 2 * out.size * 12 * 3


@pytest.mark.parametrize("dot", [dot_of(HOST), Dot("plain", 4, 1, 16)], ids=["best", "plain"])
def test_the_peak_of_integers_is_that_of_the_products_it_computes(dot, monkeypatch):
    monkeypatch.setattr(cpu_probes, "_STEPS", 3)
    probe = cpu_probes.integer_multiply_adds(MACHINE, dot)
    elements = dot.words(np.array([[2] * dot.group, [3] * dot.group])).reshape(2, 1)
    out = run(probe, np.tile(elements, dot.lanes).reshape(-1), HOST)
    x, w = elements[:, 0].astype("int64")
    sums = [int(x) + i for i in range(12)]
    for _ in range(3):
        # Where products are added apart they are of the sum itself, as a word.
        sums = [s + (6 * dot.group if dot.adds else _product(dot, s, int(w))) for s in sums]
    np.testing.assert_array_equal(out, np.full((2, dot.lanes), sum(sums)).astype("int32"))
    assert probe.work == 2 * out.size * 12 * 3 * dot.group


def _product(dot, *words):
    a, b = (np.array([word], "int64").astype("int32").view(f"int{dot.bits}") for word in words)
    return int(a.astype("int64") @ b.astype("int64"))


@opencl.required
def test_the_peak_of_a_gpu_is_that_of_the_multiply_adds_it_computes(monkeypatch):
    monkeypatch.setattr(gpu_probes, "_STEPS", 3)
    machine = machine_of(MALI)
    probe = gpu_probes.multiply_adds(machine, blocks=5)
    inputs, out = probe.shapes
    assert (inputs, out[0]) == ((2, machine.lanes), 5)
    (found,) = opencl.run(probe.func, MALI, [factors(machine.lanes)], (out, "float32"))
    count, steps = 16 // machine.lanes, 3 * 8
    np.testing.assert_allclose(found, np.full(out, chains(count, steps)), rtol=1e-6)
    assert probe.work == 2 * np.prod(out) * count * steps


def test_the_peak_of_a_gpu_fills_it_by_default():
    (_, (blocks, *block)) = backend_of(MALI).peak(MALI).shapes
    assert blocks >= machine_of(MALI).units
    assert block == [128, 4]


@pytest.mark.parametrize("passes", [1, 3])
def test_a_thread_reads_every_value_of_its_row_in_each_pass(passes):
    probe = cpu_probes.reads(MACHINE, 1000, passes)
    (threads, row), _ = probe.shapes
    assert 4 * threads * row <= 1000 < 4 * threads * (row + 8 * MACHINE.lanes)
    assert probe.work == 4 * threads * row * passes
    # Whole numbers, whose sums are exact in any order.
    x = np.random.default_rng(0).integers(0, 9, (threads, row)).astype("float32")
    expected = passes * x.reshape(threads, -1, MACHINE.lanes).sum(1)
    np.testing.assert_array_equal(run(probe, x), expected)


def test_the_smallest_working_set_is_one_group_of_vectors():
    assert cpu_probes.reads(MACHINE, 1, 1).shapes[0] == (2, 8 * 4)
