"""What a user may call a target, and what is said when it does not exist."""

from __future__ import annotations

import json

import pytest
from tvm.target import Target

from tvm_deconv import targets
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
    ({}, "TVM rejects target {}"),
    (3, "a target is text, a mapping or a tvm.target.Target, got 3"),
]


@pytest.mark.parametrize(("spec", "reason"), BAD)
def test_what_does_not_exist_is_refused_with_its_value(spec, reason, capfd):
    with pytest.raises(TargetError, match=reason):
        resolve_target(spec)
    assert capfd.readouterr().err == "", "one line for the user: LLVM must not print its own"


def test_a_misspelt_processor_is_found_in_a_target_object_too():
    with pytest.raises(TargetError, match="mcpu 'cortex-a720000'"):
        resolve_target(
            Target({"kind": "llvm", "mcpu": "cortex-a720000", "mtriple": "aarch64-linux-gnu"})
        )


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
