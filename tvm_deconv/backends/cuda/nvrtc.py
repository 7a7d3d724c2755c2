"""NVIDIA's run-time compiler (NVRTC) as a C library: CUDA source to machine code, no GPU needed.

``pip install 'tvm-deconv[cuda12]'`` brings version 12 (90 MB), the last for the older Jetson
boards: it knows sm_50 to sm_121, while CUDA 13 begins with sm_75. No driver and no host compiler
are needed, and a kernel takes 30 ms.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# What TVM's source includes for NVRTC and the pip packages do not have: integer types and a few
# traits. CUDA's own (libcu++) would also do, and take half a second to compile.
_INTEGERS = """
namespace cuda { namespace std {
typedef signed char int8_t; typedef unsigned char uint8_t;
typedef short int16_t; typedef unsigned short uint16_t;
typedef int int32_t; typedef unsigned int uint32_t;
typedef long long int64_t; typedef unsigned long long uint64_t;
} }
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
"""
_TRAITS = """
namespace cuda { namespace std {
template <bool B> struct truth { static constexpr bool value = B; };
template <class T, class U> struct is_same : truth<false> {};
template <class T> struct is_same<T, T> : truth<true> {};
template <class T, class U> inline constexpr bool is_same_v = is_same<T, U>::value;
template <class T> struct is_floating_point
    : truth<is_same_v<T, float> || is_same_v<T, double>> {};
template <class T> struct is_integral : truth<!is_floating_point<T>::value> {};
template <class T> struct is_signed : truth<(T(-1) < T(0))> {};
template <class T> struct is_unsigned : truth<!(T(-1) < T(0))> {};
template <bool B, class T = void> struct enable_if {};
template <class T> struct enable_if<true, T> { typedef T type; };
template <bool B, class T, class F> struct conditional { typedef T type; };
template <class T, class F> struct conditional<false, T, F> { typedef F type; };
} }
"""
_HEADERS = {b"cuda/std/cstdint": _INTEGERS.encode(), b"cuda/std/type_traits": _TRAITS.encode()}


class NvrtcError(Exception):
    """What the compiler says about source that it rejects."""


class Nvrtc:
    """The library, and the headers beside it (``cuda_fp16.h``)."""

    def __init__(self, library: Path, headers: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._headers = headers
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    @functools.cached_property
    def architectures(self) -> tuple[str, ...]:
        """``sm_50`` and so on."""
        count = ctypes.c_int()
        self._call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self._call("nvrtcGetSupportedArchs", numbers)
        return tuple(f"sm_{number}" for number in numbers)

    def compile(self, source: str, arch: str, options: Sequence[str]) -> tuple[bytes, str]:
        """Machine code (a cubin) and the compiler's log; NvrtcError for source that is wrong."""
        program = ctypes.c_void_p()
        names, texts = _strings(list(_HEADERS)), _strings(list(_HEADERS.values()))
        self._call(
            *("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"kernels.cu"),
            *(len(_HEADERS), texts, names),
        )
        try:
            given = [f"--gpu-architecture={arch}", f"-I{self._headers}", *options]
            status = self._library.nvrtcCompileProgram(
                program, len(given), _strings([option.encode() for option in given])
            )
            log = self._read(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            if status:
                raise NvrtcError(log)
            return self._read(program, "CUBIN"), log
        finally:
            self._call("nvrtcDestroyProgram", ctypes.byref(program))

    def _read(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self._call(f"nvrtcGet{what}", program, text)
        return text.raw

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise NvrtcError(f"{name} failed with status {status}")


@functools.cache
def installed() -> Nvrtc | None:
    """The library of the extra ``cuda12``, if that is installed."""
    library = _file("nvidia.cuda_nvrtc", "lib/libnvrtc.so.12")
    header = _file("nvidia.cuda_runtime", "include/cuda_fp16.h")
    return Nvrtc(library, header.parent) if library and header else None


def _file(package: str, path: str) -> Path | None:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # of the package that it is in
        return None
    folders = spec.submodule_search_locations if spec else None
    found = [Path(folder, path) for folder in folders or () if Path(folder, path).is_file()]
    return found[0] if found else None


def _strings(values: list[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * len(values))(*values)
