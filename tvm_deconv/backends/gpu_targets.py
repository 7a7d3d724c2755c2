"""What makes a GPU's target complete, and what is wrong with one that there is no GPU for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import tvm
from tvm.target import Target

from tvm_deconv.errors import TargetError

CUDA, OPENCL = "cuda", "opencl"

# Architectures by compute capability: CUDA C++ Programming Guide, "Compute Capabilities", and the
# options of nvcc 12.9 and 13.0. A letter for features of that family only: "a" since 9.0, "f" since
# 10.0. TVM compiles for any name that begins with sm_, and the assembler fails much later.
_CUDA_ARCHITECTURES = (
    *("sm_50", "sm_52", "sm_53", "sm_60", "sm_61", "sm_62", "sm_70", "sm_72", "sm_75"),
    *("sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90", "sm_90a"),
    *(
        f"sm_{number}{letter}"
        for number in (100, 101, 103, 110, 120, 121)
        for letter in ("", *"af")
    ),
)

# A block of threads on every one of them (same guide, "Technical Specifications per Compute
# Capability"); more shared memory has to be asked for, which TVM does not. TVM's own tags say so,
# but a target without a tag does not, and DLight and MetaSchedule ask for it.
_CUDA_LIMITS = {"max_threads_per_block": 1024, "max_shared_memory_per_block": 48 * 1024}

# What TVM's target can say of an OpenCL device; nothing at all is an unknown GPU.
_OPENCL_DEVICES = ("mali", "adreno")

# Other kinds of GPU that TVM can generate code for.
_WITHOUT_SCHEDULES = ("vulkan", "metal", "rocm", "webgpu", "nvptx")


def is_gpu(target: Target) -> bool:
    """Whether kernels run on a device of their own."""
    return target.kind.name in (CUDA, OPENCL, *_WITHOUT_SCHEDULES)


def check_config(config: Mapping[str, Any]) -> None:
    """Raise TargetError for a kind without schedules, and for CUDA without an architecture.

    To be called before TVM makes a target of it: TVM prints warnings, and takes sm_50 for CUDA
    where there is no GPU to ask.
    """
    if config.get("kind") in _WITHOUT_SCHEDULES:
        raise _no_schedules(str(config["kind"]))
    if config.get("kind") != CUDA:
        return
    if "arch" in config:
        check_architecture(str(config["arch"]))
    elif not tvm.cuda(0).exist:
        raise TargetError(
            'CUDA for which GPU? Give its architecture, such as {"kind": "cuda", "arch": "sm_87"}'
        )


def complete(target: Target, host: Target) -> Target:
    """A GPU's target with the limits that a target of its kind must name, and with a host.

    A limit that the target has stays as it is. ``host`` is for one without. Raises TargetError for
    a kind of GPU without schedules, an architecture or a device that does not exist, and for a host
    that is no CPU.
    """
    kind = target.kind.name
    if kind in _WITHOUT_SCHEDULES:
        raise _no_schedules(kind, " (qcom/adreno-opencl)" if "adreno" in target.keys else "")
    if kind == CUDA:
        check_architecture(str(target.attrs.get("arch", "")))
    else:
        _check_device(target)
    found = target.host or host
    if "cpu" not in found.keys:
        raise TargetError(f"the host of a GPU is a CPU, got {found.kind.name}")
    limits = _CUDA_LIMITS if kind == CUDA else {}
    missing = {name: value for name, value in limits.items() if name not in target.attrs}
    if target.host is not None and not missing:
        return target
    config: dict[str, Any] = {**target.export(), **missing, "host": found.export()}
    return Target(config)


def _no_schedules(kind: str, advice: str = "") -> TargetError:
    return TargetError(
        f"no schedules for {kind}: there are some for CPUs (llvm), CUDA and OpenCL{advice}"
    )


def check_architecture(arch: str) -> None:
    """Raise TargetError for what is not the name of a CUDA architecture."""
    if arch in _CUDA_ARCHITECTURES:
        return
    if re.fullmatch(r"sm_[1-3]\d", arch):
        reason = "CUDA 12 and 13 compile for sm_50 and later"
    else:
        near = difflib.get_close_matches(arch, _CUDA_ARCHITECTURES, n=4)
        reason = f"did you mean {', '.join(near)}?" if near else "give one such as sm_87"
    raise TargetError(f"unknown CUDA architecture {arch!r}: {reason}")


def _check_device(target: Target) -> None:
    device = target.attrs.get("device")
    if device is not None and device not in _OPENCL_DEVICES:
        raise TargetError(
            f"unknown OpenCL device {str(device)!r}: give {' or '.join(_OPENCL_DEVICES)}, or leave "
            "it out for a GPU of which nothing is known"
        )
