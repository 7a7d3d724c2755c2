"""What a user may call a target, and what is said when it does not exist."""

from __future__ import annotations

import json

import pytest
from tvm.target import Target

from tvm_deconv import targets
from tvm_deconv.backends import backend_of, machine_of
from tvm_deconv.errors import TargetError
from tvm_deconv.targets import known_tags, resolve_target

HASWELL = {"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"}


def test_the_host_is_an_llvm_target_that_names_its_processor_and_its_cores():
    host = resolve_target("host")
    assert host.kind.name == "llvm"
    assert host.attrs["mcpu"]
    assert int(host.attrs["num-cores"]) >= 1


def test_a_registered_tag_is_resolved():
    assert resolve_target("raspberry-pi/4b-aarch64").attrs["mcpu"] == "cortex-a72"


@pytest.mark.parametrize("spec", [HASWELL, json.dumps(HASWELL), f"  {json.dumps(HASWELL)}"])
def test_json_text_and_mappings_mean_the_same(spec):
    assert resolve_target(spec).attrs["mcpu"] == "haswell"


def test_a_target_is_returned_as_it_is():
    target = Target(HASWELL)
    assert resolve_target(target).same_as(target)


@pytest.mark.parametrize(
    ("spec", "abi"),
    [
        ("arm/rasp4b", "hard"),
        ({"kind": "llvm", "mtriple": "armv7a-linux-gnueabihf", "mfloat-abi": "soft"}, "soft"),
        ("raspberry-pi/4b-aarch64", None),
        ("arm/pynq", None),
    ],
)
def test_floats_are_passed_as_the_triple_promises(spec, abi):
    assert resolve_target(spec).attrs.get("mfloat-abi") == abi


BAD = [
    ("raspberry-pi/4b", "unknown target 'raspberry-pi/4b': did you mean raspberry-pi/4b-aarch64"),
    ("hsot", "unknown target 'hsot': did you mean host"),
    ("zzzz", "unknown target 'zzzz': give host, a TVM tag"),
    ("llvm -mcpu=haswell", "options go into JSON"),
    ("{kind: llvm}", "target '{kind: llvm}' is not valid JSON"),
    ({"kind": "llvm", "colour": 1}, "Unknown config option 'colour'"),
    ({"kind": "llvm", "mcpu": "znver44"}, "mcpu 'znver44'.*did you mean znver4"),
    ({"kind": "llvm", "mtriple": "zz80-linux"}, "LLVM does not know mtriple 'zz80-linux'"),
    (
        {"kind": "llvm", "mtriple": "riscv64-linux-gnu", "mcpu": "sifive-x280"},
        "no schedules for the vectors of RISC-V: leave them out",
    ),
    ({"kind": "llvm", "num-cores": 0}, "num-cores must be at least 1, got 0"),
    ({"kind": "llvm", "num-cores": 1 << 40}, "num-cores must be at most 4096, got 1099511627776"),
    ({"kind": "llvm", "num-cores": -4}, "num-cores must be at least 1, got -4"),
    ({}, "TVM rejects target {}"),
    (3, "a target is text, a mapping or a tvm.target.Target, got 3"),
]


# TVM counts these as processors; nothing here makes a library that runs of what comes of them.
NO_MACHINE_CODE = [
    ("c", r"no schedules for c: there are some for CPUs \(llvm\)"),
    ({"kind": "c", "mcpu": "cortex-m7"}, "no schedules for c: "),
    ({"kind": "hexagon"}, "no schedules for hexagon: "),
    ({"kind": "hexagon", "mtriple": "hexagon"}, "no schedules for hexagon: "),
]


@pytest.mark.parametrize(("spec", "reason"), BAD + NO_MACHINE_CODE)
def test_what_does_not_exist_is_refused_with_its_value(spec, reason, capfd):
    with pytest.raises(TargetError, match=reason):
        resolve_target(spec)
    assert capfd.readouterr().err == "", "one line for the user: LLVM must not print its own"


def test_a_processor_of_risc_v_without_its_vectors_is_taken():
    spec = {"kind": "llvm", "mtriple": "riscv64-linux-gnu", "mcpu": "sifive-x280", "mattr": ["-v"]}
    assert resolve_target(spec).attrs["mcpu"] == "sifive-x280"


def test_a_misspelt_processor_is_found_in_a_target_object_too():
    with pytest.raises(TargetError, match="mcpu 'cortex-a720000'"):
        resolve_target(
            Target({"kind": "llvm", "mcpu": "cortex-a720000", "mtriple": "aarch64-linux-gnu"})
        )


FEATURES = [
    (["+avx3"], r"mattr '\+avx3' of x86_64-linux-gnu: did you mean .*\+avx2"),
    (["-fooooooo"], "mattr '-fooooooo' of x86_64-linux-gnu: leave it out"),
    (["+avx2", "fma"], r"mattr holds 'fma': give features such as \+avx2"),
    (["+"], r"mattr holds '\+': give"),
]


@pytest.mark.parametrize(("features", "reason"), FEATURES)
def test_a_feature_that_llvm_would_ignore_is_refused(features, reason):
    with pytest.raises(TargetError, match=reason):
        resolve_target({**HASWELL, "mattr": features})


@pytest.mark.parametrize(
    ("triple", "features"),
    [
        ("x86_64-linux-gnu", ["+avx512f", "-avx2", "+soft-float"]),
        ("aarch64-linux-gnu", ["+neon", "+strict-align"]),
        ("armv7a-linux-gnueabihf", ["+neon", "+vfp4"]),
        ("riscv64-linux-gnu", ["+m", "+zba"]),
    ],
)
def test_features_that_no_processor_has_are_known_too(triple, features, capfd):
    target = resolve_target({"kind": "llvm", "mtriple": triple, "mattr": features})
    assert list(target.attrs["mattr"]) == features
    assert capfd.readouterr().err == ""


BAD_GPUS = [
    ("cuda", "Give its architecture"),
    ({"kind": "cuda"}, "Give its architecture"),
    ({"kind": "cuda", "arch": "sm_78"}, "unknown CUDA architecture 'sm_78': did you mean .*sm_87"),
    ({"kind": "cuda", "arch": "sm_35"}, "'sm_35': CUDA 12 and 13 compile for sm_50 and later"),
    ({"kind": "cuda", "arch": "volta"}, "'volta': give one such as sm_87"),
    ({"kind": "opencl", "device": "malli"}, "unknown OpenCL device 'malli': give mali or adreno"),
    ("arm/mali-g25", "unknown target 'arm/mali-g25': did you mean .*arm/mali-g52"),
    ("vulkan", "no schedules for vulkan: there are some for CPUs .*CUDA and OpenCL$"),
    ("qcom/adreno-vulkan", r"no schedules for vulkan: .*\(qcom/adreno-opencl\)"),
    ("metal", "no schedules for metal"),
    ("rocm", "no schedules for rocm"),
    (
        {"kind": "opencl", "device": "mali", "host": {"kind": "cuda", "arch": "sm_87"}},
        r"the host of a GPU is a CPU \(llvm\), got cuda",
    ),
    (
        {"kind": "opencl", "device": "mali", "host": {"kind": "c"}},
        r"the host of a GPU is a CPU \(llvm\), got c$",
    ),
    (
        {"kind": "cuda", "arch": "sm_87", "host": {"kind": "llvm", "mcpu": "znver44"}},
        "mcpu 'znver44'.*did you mean znver4",
    ),
]


@pytest.mark.parametrize(("spec", "reason"), BAD_GPUS)
def test_a_gpu_that_there_is_not_is_refused_with_its_value(spec, reason, capfd):
    with pytest.raises(TargetError, match=reason):
        resolve_target(spec)
    assert capfd.readouterr().err == "", "one line for the user: TVM must not print its own"


@pytest.mark.parametrize(
    ("tag", "warp", "processor", "cores"),
    [
        ("hardkernel/odroid-n2", 8, "cortex-a73", 4),
        ("rockchip/rk3588", 16, "cortex-a76", 4),
        ("rockchip/rk3399", 1, "cortex-a72", 2),
        ("arm/mali-g31", 4, None, None),
    ],
)
def test_a_mali_tag_says_what_kernels_keep_to_and_who_launches_them(tag, warp, processor, cores):
    target = resolve_target(tag)
    assert (target.kind.name, target.attrs["device"]) == ("opencl", "mali")
    assert int(target.attrs["thread_warp_size"]) == warp
    assert int(target.attrs["max_threads_per_block"]) == 256
    assert int(target.attrs["max_shared_memory_per_block"]) == 32768
    host = backend_of(target).processor(target)
    assert host.attrs["mtriple"] == "aarch64-linux-gnu"
    assert (host.attrs.get("mcpu"), host.attrs.get("num-cores")) == (processor, cores)


def test_our_tags_are_targets_for_tvm_too():
    assert Target("arm/mali-g52").attrs["model"] == "mali-g52"
    assert {"arm/mali-g610", "khadas/vim3"} <= set(known_tags())


@pytest.mark.parametrize("tag", [tag for tag in known_tags() if tag.startswith("nvidia/jetson-")])
def test_every_jetson_has_the_arm_processor_that_a_library_is_linked_for(tag):
    target = resolve_target(tag)
    host = backend_of(target).processor(target)
    assert str(host.attrs["mtriple"]).startswith("aarch64-")
    assert host.attrs["mcpu"]


@pytest.mark.parametrize(
    "spec", [{"kind": "cuda", "arch": "sm_87"}, {"kind": "opencl", "device": "mali"}, "opencl"]
)
def test_a_gpu_without_a_host_is_launched_by_this_machine_and_has_limits(spec):
    target = resolve_target(spec)
    host = backend_of(target).processor(target)
    assert host.attrs["mcpu"] == resolve_target("host").attrs["mcpu"]
    assert int(target.attrs["max_threads_per_block"]) in (256, 1024)
    assert int(target.attrs["max_shared_memory_per_block"]) in (16384, 49152)


def test_limits_of_a_gpu_that_the_user_lowers_stay():
    low = {"kind": "cuda", "arch": "sm_87", "max_threads_per_block": 64}
    assert int(resolve_target(low).attrs["max_threads_per_block"]) == 64
    assert machine_of(resolve_target(low)).max_threads == 64


def test_a_complete_gpu_target_is_returned_as_it_is():
    target = Target("nvidia/jetson-agx-orin-64gb")
    assert resolve_target(target).same_as(target)


def test_the_processor_of_a_cpu_target_is_the_target():
    target = resolve_target("raspberry-pi/4b-aarch64")
    assert backend_of(target).processor(target).same_as(target)


def test_the_tags_that_are_offered_exist():
    assert "raspberry-pi/4b-aarch64" in known_tags()


def _pretend(monkeypatch, **answers):
    real = targets.tvm_ffi.get_global_func
    monkeypatch.setattr(
        targets.tvm_ffi,
        "get_global_func",
        lambda name: (lambda: answers[name]) if name in answers else real(name),
    )


@pytest.mark.parametrize(
    ("cpu", "features", "expected"),
    [
        ("generic", {"avx2": True, "fma": True, "sse2": True}, ["+avx2", "+fma"]),
        ("unheard-of", {"avx512f": True, "rdpid": True}, ["+avx512f"]),
        ("haswell", {"avx2": False, "avx": True}, ["-avx2"]),
        ("haswell", {"avx2": True, "avx": True}, None),
    ],
)
def test_the_host_states_what_its_processors_name_does_not_say(
    monkeypatch, cpu, features, expected
):
    _pretend(
        monkeypatch,
        **{
            "tvm.codegen.llvm.GetDefaultTargetTriple": "x86_64-linux-gnu",
            "tvm.codegen.llvm.GetHostCPUName": cpu,
            "tvm.codegen.llvm.GetHostCPUFeatures": features,
        },
    )
    host = resolve_target("host")
    found = host.attrs.get("mattr")
    assert (list(found) if found is not None else None) == expected
