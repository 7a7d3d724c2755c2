"""What PoCL 3.0 believes of the processor, corrected where it has no option for it.

PoCL asks the LLVM inside it for the processor's name and gives that to Clang. A processor newer
than that LLVM (14) is called ``generic``, which Clang refuses: *unknown target CPU 'generic'*.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

# PoCL's version, as its platform and its package on PyPI state it.
VERSION = "3.0"

# Where PoCL 3.0 keeps the addresses of texts in a device's description, on 64-bit Linux
# (``struct _cl_device_id`` of lib/CL/pocl_cl.h).
EXTENSIONS, CPU = 584, 640

UNKNOWN = b"generic"

# LLVM's processors for which PoCL's kernel libraries are compiled, and what PoCL asks of one before
# it takes that library (getX86KernelLibName): a kernel has to be compiled for the same processor,
# because vectors are handed over in its registers. In the words of /proc/cpuinfo, the best first.
_PROCESSORS = (
    ("skylake-avx512", {"avx512f"}),
    ("haswell", {"avx", "avx2", "cx16", "popcnt", "abm", "f16c", "fma", "bmi1", "bmi2"}),
    ("ivybridge", {"avx", "cx16", "popcnt", "f16c"}),
    ("sandybridge", {"avx", "cx16", "popcnt"}),
    ("penryn", {"sse4_1", "cx16"}),
    ("core2", {"ssse3", "cx16"}),
    ("athlon64", set()),
)

_kept = []  # the texts that devices now refer to


def flags() -> set[str]:
    """What this processor can do, in the words of Linux."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def name_known_processor(device) -> None:
    """Have PoCL compile for a processor that its LLVM knows, where it does not know ours."""
    if read(device, CPU) == UNKNOWN:
        have = flags()
        replace(device, CPU, next(name for name, needs in _PROCESSORS if needs <= have).encode())


def read(device, place: int) -> bytes:
    """The text of a device's description at one of the places above."""
    return ctypes.string_at(_address(device, place).value)


def replace(device, place: int, text: bytes) -> None:
    """Put another text there. Not undone: it lives as long as the process."""
    buffer = ctypes.create_string_buffer(text)
    _kept.append(buffer)
    _address(device, place).value = ctypes.addressof(buffer)


def _address(device, place: int) -> ctypes.c_void_p:
    # An address in the wrong place would be read as text: this one both sides know.
    known = ctypes.c_void_p.from_address(device.int_ptr + EXTENSIONS)
    assert ctypes.string_at(known.value).split() == device.extensions.encode().split()
    return ctypes.c_void_p.from_address(device.int_ptr + place)
