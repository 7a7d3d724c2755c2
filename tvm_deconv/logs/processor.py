"""As much of a target as decides whether a kernel tuned for one is tuned for another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

import tvm
from tvm.target import Target

from tvm_deconv.backends.gpu_targets import is_gpu
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.gpu.machine import gpu_machine

# Two spellings of one architecture each, in LLVM's triples.
_SPELLINGS = {"arm64": "aarch64", "amd64": "x86_64"}


@dataclass(frozen=True)
class Cpu:
    """A processor, and how many of its threads a kernel uses."""

    kind: str
    architecture: str
    mcpu: str
    mattr: frozenset[str]
    threads: int

    @property
    def name(self) -> str:
        """``cortex-a72``; the architecture where the target names no processor."""
        return self.mcpu or self.architecture or self.kind

    @property
    def device_name(self) -> str:
        """``cortex-a72-4-threads``."""
        return _as_name(f"{self.name}-{_threads(self.threads)}")

    def __str__(self) -> str:
        words = [self.kind, self.architecture, self.mcpu, *sorted(self.mattr)]
        return f"{' '.join(filter(None, words))}, {_threads(self.threads)}"

    def difference(self, other: Processor) -> str | None:
        """``cortex-a72, not znver4``: in words how it differs from the one wanted, or None."""
        if not isinstance(other, Cpu) or self.kind != other.kind:
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
class Gpu:
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

    @property
    def name(self) -> str:
        """``sm_87``, ``mali-g52``; the kind where the target says no more."""
        return self.model or self.architecture or self.kind

    @property
    def device_name(self) -> str:
        """The name itself."""
        return _as_name(self.name)

    def __str__(self) -> str:
        return self.kind if self.name == self.kind else f"{self.kind} {self.name}"

    def difference(self, other: Processor) -> str | None:
        """``cuda sm_72, not sm_87``: in words how it differs from the one wanted, or None."""
        if not isinstance(other, Gpu) or self.kind != other.kind:
            return _kinds(self, other)
        if (self.architecture, self.model) != (other.architecture, other.model):
            return f"{self}, not {other.name}"
        if self.threads != other.threads:
            return f"{self} with {self.threads} threads in a block, not {other.threads}"
        if self.shared_bytes != other.shared_bytes:
            mine, wanted = self.shared_bytes, other.shared_bytes
            return f"{self} with {mine} bytes of shared memory in a block, not {wanted}"
        return None


Processor: TypeAlias = Cpu | Gpu


def processor_for(target: Target) -> Processor:
    """What a target compiles for.

    Threads of a CPU come from the target's ``num-cores``, else as ``cpu_machine`` has them.
    """
    if is_gpu(target):
        machine = gpu_machine(target)
        named = str(target.attrs.get("arch", "") or target.attrs.get("device", ""))
        model = str(target.attrs.get("model", ""))
        return Gpu(target.kind.name, named, model, machine.max_threads, machine.shared_bytes)
    triple = str(target.attrs.get("mtriple", "")) or _default_triple()
    architecture = triple.split("-")[0]
    cores = target.attrs.get("num-cores")
    return Cpu(
        target.kind.name,
        _SPELLINGS.get(architecture, architecture),
        str(target.attrs.get("mcpu", "")),
        frozenset(str(feature) for feature in target.attrs.get("mattr", ())),
        cpu_machine(target).threads if cores is None else int(cores),
    )


def runs_here(processor: Target) -> bool:
    """Whether code for a CPU's target runs on this machine, as far as its architecture goes."""
    triples = str(processor.attrs.get("mtriple", "")) or _default_triple(), _default_triple()
    mine, wanted = (_SPELLINGS.get(t.split("-")[0], t.split("-")[0]) for t in triples)
    return mine == wanted


def _kinds(one: Processor, other: Processor) -> str:
    return f"kind {one.kind}, not {other.kind}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count > 1 else ''}"


def _features(mattr: frozenset[str]) -> str:
    return " ".join(sorted(mattr)) or "no features of its own"


def _as_name(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", words)


def _default_triple() -> str:
    return str(tvm.get_global_func("tvm.codegen.llvm.GetDefaultTargetTriple")())
