"""The device that a compiled library runs on, and in words why it cannot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import tvm

from tvm_deconv.errors import ModelError

from .gpu_targets import CUDA, OPENCL

_NAMES = {CUDA: "CUDA", OPENCL: "OpenCL"}
# What TVM says when it loads a library whose device code it has no runtime for.
_NO_LOADER = re.compile(r"created using \{(\w+)\} but a loader")


@dataclass(frozen=True)
class LibraryDevice:
    """What the kernels of a library run on: ``kind`` is ``"cpu"``, ``"cuda"`` or ``"opencl"``.

    ``name`` is the architecture of CUDA (``sm_87``), else empty: OpenCL compiles on the device.
    """

    kind: str = "cpu"
    name: str = ""


def missing_runtime(error: Exception) -> str | None:
    """What to do where TVM cannot load a library for want of a GPU's runtime, else None."""
    found = _NO_LOADER.search(str(error))
    kind = found[1] if found else ""
    if kind not in _NAMES:
        return None
    name = _NAMES[kind]
    folder = Path(tvm.__file__).parent / "lib"
    if list(folder.glob(f"libtvm_runtime_{kind}.*")):
        return (
            f"it is for {name}, and TVM's runtime for that does not load here: no driver, or one "
            "of another version than the runtime was built for (see docs/devices.md)"
        )
    return f"it is for {name}, and this TVM has no {name} runtime: build it, see docs/devices.md"


def device_for(description: LibraryDevice, library: str) -> tvm.runtime.Device:
    """The first device of the kind that a library is for.

    Raises ModelError, naming the library, where there is none, or a CUDA GPU of an architecture
    that cannot execute its machine code.
    """
    if description.kind not in _NAMES:
        return tvm.cpu()
    name = _NAMES[description.kind]
    device = tvm.device(description.kind, 0)
    if not device.exist:
        raise ModelError(f"{library} is for {name}, but no {name} GPU is found on this machine")
    if description.kind == CUDA:
        here = "sm_" + str(device.compute_version).replace(".", "")
        if not _executes(here, description.name):
            raise ModelError(
                f"{library} is for {description.name}, but the GPU of this machine is {here}: "
                f'compile with --target \'{{"kind": "cuda", "arch": "{here}"}}\''
            )
    return device


def _executes(gpu: str, code: str) -> bool:
    """Whether a GPU executes machine code of an architecture: the same generation, not a later one.

    CUDA C++ Programming Guide, "Binary Compatibility". A letter asks for exactly that architecture.
    """
    (generation, version), (wanted, least) = (divmod(_number(arch), 10) for arch in (gpu, code))
    later_is_fine = not code[-1].isalpha()
    return generation == wanted and (version >= least if later_is_fine else version == least)


def _number(arch: str) -> int:
    return int(re.sub(r"\D", "", arch))
