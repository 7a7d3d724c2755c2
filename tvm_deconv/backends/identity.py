"""As much of a target as decides whether a kernel tuned for one is tuned for another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from tvm.target import Target

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.gpu.machine import GpuMachine

# Two spellings of one architecture each, in LLVM's triples.
_SPELLINGS = {"arm64": "aarch64", "amd64": "x86_64"}


@dataclass(frozen=True)
class CpuIdentity:
    """A processor, and how many of its threads a kernel uses."""

    kind: str
    architecture: str
    mcpu: str
    mattr: frozenset[str]
    threads: int

    @staticmethod
    def of(target: Target, machine: CpuMachine) -> CpuIdentity:
        return CpuIdentity(
            target.kind.name,
            _architecture(target),
            str(target.attrs.get("mcpu", "")),
            frozenset(str(feature) for feature in target.attrs.get("mattr", ())),
            machine.threads,
        )

    @property
    def name(self) -> str:
        """``cortex-a72``; the architecture where the target names no processor."""
        return self.mcpu or self.architecture or self.kind

    @property
    def device_name(self) -> str:
        """What a tuning log of it is called: ``cortex-a72-4-threads``."""
        return _as_name(f"{self.name}-{_threads(self.threads)}")

    @property
    def processor_threads(self) -> int:
        """How many of a processor's threads a kernel uses; None for a GPU."""
        return self.threads

    def __str__(self) -> str:
        words = [self.kind, self.architecture, self.mcpu, *sorted(self.mattr)]
        return f"{' '.join(filter(None, words))}, {_threads(self.threads)}"

    def difference(self, other: Identity) -> str | None:
        """``cortex-a72, not znver4``: in words how it differs from the one wanted, or None."""
        if not isinstance(other, CpuIdentity) or self.kind != other.kind:
            return _kinds(self, other)
        if (self.architecture, self.mcpu) != (other.architecture, other.mcpu):
            if self.name == other.name:
                return f"{self.name} of {self.architecture}, not of {other.architecture}"
            return f"{self.name}, not {other.name}"
        if self.threads != other.threads:
            return f"{_threads(self.threads)}, not {other.threads}"
        if self.mattr != other.mattr:
            return f"{self.name} with {_features(self.mattr)}, not {_features(other.mattr)}"
        return None


@dataclass(frozen=True)
class GpuIdentity:
    """A GPU with the limits that its kernels keep to; the processor that launches them is any.

    ``architecture`` is that of CUDA (``sm_87``) or OpenCL's device (``mali``, empty if unknown),
    ``model`` the target's own, such as ``mali-g52``. ``threads`` and ``shared_bytes`` are those of
    a block: a kernel that was tuned with more does not start where there are fewer.
    """

    kind: str
    architecture: str
    model: str
    threads: int
    shared_bytes: int

    @staticmethod
    def of(target: Target, machine: GpuMachine) -> GpuIdentity:
        named = str(target.attrs.get("arch", "") or target.attrs.get("device", ""))
        model = str(target.attrs.get("model", ""))
        return GpuIdentity(
            target.kind.name, named, model, machine.max_threads, machine.shared_bytes
        )

    @property
    def name(self) -> str:
        """``sm_87``, ``mali-g52``; the kind where the target says no more."""
        return self.model or self.architecture or self.kind

    @property
    def device_name(self) -> str:
        """The name itself."""
        return _as_name(self.name)

    @property
    def processor_threads(self) -> None:
        """A kernel uses none."""
        return None

    def __str__(self) -> str:
        return self.kind if self.name == self.kind else f"{self.kind} {self.name}"

    def difference(self, other: Identity) -> str | None:
        """``cuda sm_72, not sm_87``: in words how it differs from the one wanted, or None."""
        if not isinstance(other, GpuIdentity) or self.kind != other.kind:
            return _kinds(self, other)
        if (self.architecture, self.model) != (other.architecture, other.model):
            return f"{self}, not {other.name}"
        if self.threads != other.threads:
            return f"{self} with {self.threads} threads in a block, not {other.threads}"
        if self.shared_bytes != other.shared_bytes:
            mine, wanted = self.shared_bytes, other.shared_bytes
            return f"{self} with {mine} bytes of shared memory in a block, not {wanted}"
        return None


Identity: TypeAlias = CpuIdentity | GpuIdentity


def runs_here(processor: Target) -> bool:
    """Whether code for a CPU's target runs on this machine, as far as its architecture goes."""
    return _architecture(processor) == _architecture(None)


def _architecture(processor: Target | None) -> str:
    """That of a CPU's target, else of this machine, as one spells it."""
    triple = str(processor.attrs.get("mtriple", "")) if processor else ""
    triple = triple or llvm.default_triple()
    architecture = triple.split("-")[0]
    return _SPELLINGS.get(architecture, architecture)


def _kinds(one: Identity, other: Identity) -> str:
    return f"kind {one.kind}, not {other.kind}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _features(mattr: frozenset[str]) -> str:
    return " ".join(sorted(mattr)) or "no features of its own"


def _as_name(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", words)
