"""How a case is compiled: the arguments of ``tvm_deconv.compile`` that vary."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.cpu.variants import VARIANTS

from . import board
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


# Compiled for, and not run.
_ELSEWHERE = ("raspberry-pi/4b-aarch64", "arm/mali-g52")


@dataclass(frozen=True)
class Options:
    """``arguments`` are those that are not their defaults; ``fixed``: sizes are given.

    ``elsewhere``: for a machine that is not this one. ``library``: through a shared library.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    fixed: bool = False
    elsewhere: bool = False
    library: bool = False

    def __str__(self) -> str:
        words = [f"{name}={value!r}" for name, value in self.arguments.items()]
        words += ["shapes=..."] if self.fixed else []
        words += ["through a library"] if self.library else []
        return ", ".join(words) or "default options"


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
    target: Any = draw_processor(draw)
    elsewhere = draw.chance(0.05)
    if elsewhere:
        target = draw.pick(_ELSEWHERE)
    if target:
        arguments["target"] = target
        arguments.pop("threads", None)
    library = not elsewhere and draw.chance(0.05)
    return Options(arguments, draw.chance(0.3), elsewhere, library)


def draw_processor(draw: Choices) -> dict[str, Any]:
    """A target that this processor runs, with one to three threads; empty for itself."""
    own = board.target() if board.core() else None
    name, needs = draw.pick(_PROCESSORS, [9, 1.5, 1, 0.5, 0.5, 0.5])
    threads = draw.pick((2, 1, 3), [4, 1, 1])
    if own is not None:
        return own
    if name == "host" or not needs <= _features():
        return {}
    return {"kind": "llvm", "mcpu": name, "num-cores": threads}


@cache
def _features() -> frozenset[str]:
    """What this processor can do, as Linux calls it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), ":")
    return frozenset(flags.partition(":")[2].split())
