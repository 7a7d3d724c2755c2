"""Tags of Mali GPUs and of boards with one, which TVM lacks.

A tag names everything that a library for a device needs: what the kernels must keep to, and the
processor that launches them. They get into TVM's own registry, so that
``tvm.target.Target("arm/mali-g52")`` knows them, too.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm.target import register_tag

from tvm_deconv.backends.cpu.target import aarch64

# Threads of one warp: Arm's libGPUCounters, get_warp_width.cpp. T860 (Midgard) has no warps.
_WARPS = {
    "t860": 1,
    "g31": 4,
    "g51": 4,
    "g71": 4,
    "g72": 4,
    "g52": 8,
    "g76": 8,
    "g57": 16,
    "g68": 16,
    "g77": 16,
    "g78": 16,
    "g310": 16,
    "g510": 16,
    "g610": 16,
    "g615": 16,
    "g710": 16,
    "g715": 16,
}

# clinfo says 384 threads of a work-group for G52 (ARM-software/ComputeLibrary, issue 999) and for
# G71 (96boards-hikey/linux, pull request 59); TVM's number for any OpenCL device is 256. A kernel
# of many registers may get fewer than a device says, so we stay with that.
_THREADS = 256

# 32 KiB of local memory: G610 (hashcat/hashcat, issue 4550), Immortalis-G720 (ggml-org/llama.cpp,
# pull request 27163) and Midgard's T628 (MichaIng/DietPi, issue 4101). OpenCL 1.2 asks for as much.
_LOCAL_BYTES = 32 * 1024

# Board or system on a chip -> its Mali, its (big) cores and how many of these. The cores are those
# of Linux, arch/arm64/boot/dts (rk3399, rk356x, rk3588, meson-g12b, meson-sm1, mt8195), which names
# a GPU by its family; its model is that of the makers' data sheets.
_BOARDS = {
    "hardkernel/odroid-c4": ("g31", "cortex-a55", 4),
    "hardkernel/odroid-n2": ("g52", "cortex-a73", 4),
    "khadas/vim3": ("g52", "cortex-a73", 4),
    "mediatek/genio-1200": ("g57", "cortex-a78", 4),
    "rockchip/rk3399": ("t860", "cortex-a72", 2),
    "rockchip/rk3566": ("g52", "cortex-a55", 4),
    "rockchip/rk3568": ("g52", "cortex-a55", 4),
    "rockchip/rk3588": ("g610", "cortex-a76", 4),
}


def mali(model: str, host: dict[str, Any]) -> dict[str, Any]:
    """The target of a Mali GPU, such as ``g52``, whose kernels ``host`` launches."""
    return {
        "kind": "opencl",
        "device": "mali",
        "model": f"mali-{model}",
        "max_num_threads": _THREADS,
        "max_threads_per_block": _THREADS,
        "max_shared_memory_per_block": _LOCAL_BYTES,
        "thread_warp_size": _WARPS[model],
        "host": host,
    }


def register_tags() -> None:
    """Add the tags to TVM's registry; one that TVM itself has by now stays TVM's."""
    known = tvm_ffi.get_global_func("target.TargetTagListTags")()
    ours = {f"arm/mali-{model}": mali(model, aarch64()) for model in _WARPS}
    for name, (model, mcpu, cores) in _BOARDS.items():
        ours[name] = mali(model, aarch64(mcpu, cores))
    for name, config in ours.items():
        if name not in known:
            register_tag(name, config)
