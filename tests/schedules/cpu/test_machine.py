"""Machine descriptions follow a target's features."""

from __future__ import annotations

import dataclasses
import os
import re

import pytest
import tvm
from tvm import te
from tvm.target import Target

from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.cpu.machine import (
    _cache_bytes,
    _count_list,
    _level_2_parts,
    cpu_machine,
)
from tvm_deconv.targets import resolve_target

FAMILIES = [
    ({"kind": "llvm", "mcpu": "znver4", "mtriple": "x86_64-linux-gnu"}, "avx512", 16, 32),
    ({"kind": "llvm", "mcpu": "skylake-avx512", "mtriple": "x86_64-linux-gnu"}, "avx512", 16, 32),
    ({"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"}, "avx2", 8, 16),
    ({"kind": "llvm", "mattr": ["+avx2"], "mtriple": "x86_64-linux-gnu"}, "avx2", 8, 16),
    ({"kind": "llvm", "mcpu": "sandybridge", "mtriple": "x86_64-linux-gnu"}, "avx", 8, 16),
    ({"kind": "llvm", "mtriple": "x86_64-linux-gnu"}, "sse", 4, 16),
    ({"kind": "llvm", "mcpu": "cortex-a72", "mtriple": "aarch64-linux-gnu"}, "neon", 4, 32),
    ({"kind": "llvm", "mcpu": "apple-m1", "mtriple": "arm64-apple-darwin"}, "neon", 4, 32),
    ({"kind": "llvm", "mattr": ["+neon"], "mtriple": "armv7l-linux-gnueabihf"}, "neon32", 4, 16),
    ({"kind": "llvm", "mtriple": "riscv64-linux-gnu"}, "generic", 4, 16),
]


@pytest.mark.parametrize(("config", "name", "lanes", "registers"), FAMILIES)
def test_lanes_and_registers_follow_the_features(config, name, lanes, registers):
    machine = cpu_machine(Target(config))
    assert (machine.name, machine.lanes, machine.vector_registers) == (name, lanes, registers)


def test_switching_a_feature_off_switches_to_the_next_smaller_unit():
    config = {"kind": "llvm", "mcpu": "znver4", "mtriple": "x86_64-linux-gnu"}
    assert cpu_machine(Target({**config, "mattr": ["-avx512f"]})).name == "avx2"


@pytest.mark.parametrize(
    ("cpu", "triple", "has_fp16"),
    [
        ("sapphirerapids", "x86_64-linux-gnu", True),
        ("znver4", "x86_64-linux-gnu", False),
        ("cortex-a76", "aarch64-linux-gnu", True),
        ("cortex-a72", "aarch64-linux-gnu", False),
    ],
)
def test_float16_arithmetic_is_claimed_only_where_llvm_has_it(cpu, triple, has_fp16):
    machine = cpu_machine(Target({"kind": "llvm", "mcpu": cpu, "mtriple": triple}))
    assert machine.fp16_arithmetic is has_fp16


@pytest.mark.parametrize(
    ("config", "by_lane", "from_memory"),
    [
        ({"kind": "llvm", "mcpu": "cortex-a53", "mtriple": "aarch64-linux-gnu"}, True, False),
        ({"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"}, False, True),
        ({"kind": "llvm", "mcpu": "znver4", "mtriple": "x86_64-linux-gnu"}, False, True),
        ({"kind": "llvm", "mtriple": "riscv64-linux-gnu"}, False, False),
    ],
)
def test_a_multiply_add_takes_a_lane_on_arm_and_memory_on_x86(config, by_lane, from_memory):
    machine = cpu_machine(Target(config))
    assert (machine.multiplies_by_lane, machine.memory_operands) == (by_lane, from_memory)


@pytest.mark.parametrize(
    ("cpu", "loads"),
    [("znver4", 2), ("znver5", 1), ("sapphirerapids", 1), ("znver3", 1), ("haswell", 1)],
)
def test_a_load_can_start_with_each_multiply_add_and_two_where_vectors_are_halved(cpu, loads):
    target = Target({"kind": "llvm", "mcpu": cpu, "mtriple": "x86_64-linux-gnu"})
    machine = cpu_machine(target)
    assert machine.loads_per_multiply_add == loads
    assert machine.is_zen5 == (cpu == "znver5")


def test_threads_are_the_cores_that_the_target_states():
    assert cpu_machine(Target("raspberry-pi/4b-aarch64")).threads == 4
    assert cpu_machine(Target({"kind": "llvm", "num-cores": 7})).threads == 7


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs processor affinity")
def test_threads_of_the_host_are_the_processors_that_we_may_run_on():
    assert cpu_machine(resolve_target("host")).threads == len(os.sched_getaffinity(0))


def test_a_machine_is_a_value():
    machine = cpu_machine(resolve_target("host"))
    assert machine == cpu_machine(resolve_target("host"))
    assert hash(machine) == hash(dataclasses.replace(machine))


@pytest.mark.parametrize("tag", ["nvidia/jetson-nano", "qcom/adreno-opencl"])
def test_a_gpu_is_refused_by_name(tag):
    target = Target(tag)
    with pytest.raises(TargetError, match=f"no schedules for {target.kind.name} yet"):
        cpu_machine(target)


def _write_cache(folder, level, kind, size, sharers):
    folder.mkdir(parents=True)
    for name, text in {
        "level": level,
        "type": kind,
        "size": size,
        "shared_cpu_list": sharers,
    }.items():
        (folder / name).write_text(f"{text}\n")


def test_cache_sizes_are_read_from_sysfs_and_shared_caches_divided(tmp_path):
    _write_cache(tmp_path / "cache/index0", 1, "Instruction", "64K", "0")
    _write_cache(tmp_path / "cache/index1", 1, "Data", "48K", "0")
    _write_cache(tmp_path / "cache/index2", 2, "Unified", "1024K", "0-3")
    assert _cache_bytes(1, tmp_path) == 48 * 1024
    assert _cache_bytes(2, tmp_path) == 256 * 1024
    assert _cache_bytes(3, tmp_path) is None


@pytest.mark.parametrize(
    ("vendor", "siblings", "parts"),
    [("GenuineIntel", "0", 2), ("GenuineIntel", "0-1", 1), ("AuthenticAMD", "0", 1)],
    ids=["Intel's", "already shared", "another maker's"],
)
def test_half_of_the_level_2_cache_of_an_intel_core_counts(tmp_path, vendor, siblings, parts):
    (tmp_path / "topology").mkdir()
    (tmp_path / "topology/thread_siblings_list").write_text(f"{siblings}\n")
    (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {vendor}\nflags\t\t: fpu avx\n")
    assert _level_2_parts(tmp_path, tmp_path / "cpuinfo") == parts
    assert _level_2_parts(tmp_path, tmp_path / "missing") == 1


@pytest.mark.parametrize(("text", "count"), [("0", 1), ("0-3", 4), ("0-1,8,10-11\n", 5)])
def test_kernel_processor_lists_are_counted(text, count):
    assert _count_list(text) == count


@pytest.mark.parametrize(
    ("cpu", "register"), [("skylake-avx512", "zmm"), ("znver4", "zmm"), ("haswell", "ymm")]
)
def test_vectors_of_the_promised_width_reach_the_assembly(cpu, register):
    """Explicit vectors stay whole even on processors with LLVM's prefer-256-bit."""
    target = Target({"kind": "llvm", "mcpu": cpu, "mtriple": "x86_64-linux-gnu"})
    lanes = cpu_machine(target).lanes
    a = te.placeholder((1024,), name="a")
    b = te.compute((1024,), lambda i: a[i] * a[i] + 1.0, name="b")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([a, b]))
    _, inner = schedule.split(schedule.get_loops("b")[0], [None, lanes])
    schedule.vectorize(inner)
    assembly = tvm.compile(schedule.mod, target).mod.inspect_source("asm")
    assert re.search(rf"vfmadd\w+\s+.*%{register}|vmulps\s+.*%{register}", assembly)
