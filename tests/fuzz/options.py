"""How a case is compiled: the arguments of ``tvm_deconv.compile`` that vary."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.variants import VARIANTS

from .choices import Choices

# Processors to compile for, and what this one must have to run it.
_PROCESSORS: tuple[tuple[str, frozenset[str]], ...] = (
    ("host", frozenset()),
    ("haswell", frozenset({"avx2", "fma", "bmi2"})),
    ("x86-64", frozenset({"sse2"})),
    ("skylake-avx512", frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"})),
    ("znver3", frozenset({"avx2", "fma", "vaes", "clwb", "sha_ni", "sse4a"})),
    ("nehalem", frozenset({"sse4_2", "popcnt"})),
)


@dataclass(frozen=True)
class Options:
    """``arguments`` are those that are not their defaults; ``fixed``: sizes are given."""

    arguments: dict[str, Any] = field(default_factory=dict)
    fixed: bool = False

    def __str__(self) -> str:
        words = [f"{name}={value!r}" for name, value in self.arguments.items()]
        return ", ".join([*words, *(["shapes=..."] if self.fixed else [])]) or "default options"


def draw_options(draw: Choices) -> Options:
    """Default options in every second case."""
    if not draw.chance(0.5):
        return Options()
    arguments: dict[str, Any] = {}
    if draw.chance(0.45):
        arguments["variant"] = draw.pick((AUTO, *VARIANTS))
    if draw.chance(0.2) and arguments.get("variant") != "winograd":
        arguments["winograd"] = False
    if draw.chance(0.25):
        arguments["rewrite"] = False
    if draw.chance(0.3):
        arguments["threads"] = draw.integer(1, 3)
    target = draw_processor(draw)
    if target:
        arguments["target"] = target
        arguments.pop("threads", None)
    return Options(arguments, draw.chance(0.3))


def draw_processor(draw: Choices) -> dict[str, Any]:
    """A target that this processor runs, with one to three threads; empty for itself."""
    name, needs = draw.pick(_PROCESSORS, [9, 1.5, 1, 0.5, 0.5, 0.5])
    threads = draw.pick((2, 1, 3), [4, 1, 1])
    if name == "host" or not needs <= _features():
        return {}
    return {"kind": "llvm", "mcpu": name, "num-cores": threads}


@cache
def _features() -> frozenset[str]:
    """What this processor can do, as Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), ":")
    return frozenset(flags.partition(":")[2].split())
