"""float16 on PoCL 3.0, whose processor device does not offer it, though its compiler can do it.

Clang compiles ``half`` for any x86 processor that converts it in hardware (F16C), once the device
lists ``cl_khr_fp16``. What then lacks are the built-in functions: ``definitions`` compute them in
float32 and round the result.
"""

from __future__ import annotations

import functools

from . import builtins, processor

_NAME = b"cl_khr_fp16"


def missing() -> str:
    """Why float16 cannot be executed here, or ''."""
    if "f16c" not in processor.flags():
        return "this processor does not convert float16 (F16C)"
    return ""


def switch_on(device) -> None:
    """Let a device of PoCL say that it has float16."""
    before = processor.read(device, processor.EXTENSIONS)
    processor.replace(device, processor.EXTENSIONS, before + b" " + _NAME)
    assert _NAME in device.extensions.encode().split()


def definitions(wanted: set[str]) -> str:
    """The built-in functions of float16 that have these names."""
    pragma = "#pragma OPENCL EXTENSION cl_khr_fp16 : enable\n"
    return pragma + builtins.chosen(_definitions(), wanted)


@functools.cache
def _definitions() -> tuple[tuple[str, str], ...]:
    """Each by its name."""
    lines = []

    def define(result: str, name: str, parameters: str, body: str) -> None:
        statement = f"return {body};" if result != "void" else f"{body};"
        function = f"{result} __attribute__((overloadable)) {name}({parameters}) {{ {statement} }}"
        lines.append((name, function))

    for n in ("", "2", "3", "4", "8", "16"):

        def convert(value: str, to: str, n: str = n) -> str:
            return f"__builtin_convertvector({value}, {to}{n})" if n else f"({to})({value})"

        for other in ("float", "int", "uint", "long", "ulong", "short", "ushort", "char", "uchar"):
            define(f"half{n}", f"convert_half{n}", f"{other}{n} x", convert("x", "half"))
            define(f"{other}{n}", f"convert_{other}{n}", f"half{n} x", convert("x", other))
        define(f"half{n}", f"convert_half{n}", f"half{n} x", "x")
        for names, count in ((_ONE, 1), (_TWO, 2), (_THREE, 3)):
            letters = "abc"[:count]
            parameters = ", ".join(f"half{n} {letter}" for letter in letters)
            wide = ", ".join(convert(letter, "float") for letter in letters)
            for name in names:
                define(f"half{n}", name, parameters, convert(f"{name}({wide})", "half"))
        if n:
            for space in ("__global", "__local", "__private"):
                _define_memory(define, n, space)
            chosen = f"as_half{n}(select(as_short{n}(a), as_short{n}(b), c))"
            for condition in ("short", "ushort"):
                parameters = f"half{n} a, half{n} b, {condition}{n} c"
                define(f"half{n}", "select", parameters, chosen)
    return tuple(lines)


def _define_memory(define, n: str, space: str) -> None:
    """``vloadn`` and ``vstoren``, as of shorts: an element's address is all that is aligned."""
    bits = f"({space} {{}}short*)p"
    load = f"as_half{n}(vload{n}(i, {bits.format('const ')}))"
    define(f"half{n}", f"vload{n}", f"size_t i, const {space} half* p", load)
    store = f"vstore{n}(as_short{n}(v), i, {bits.format('')})"
    define("void", f"vstore{n}", f"half{n} v, size_t i, {space} half* p", store)


_ONE = (
    *("exp", "exp2", "exp10", "log", "log2", "log10", "sqrt", "rsqrt", "tanh", "sin", "cos", "erf"),
    *("floor", "ceil", "trunc", "round", "rint", "fabs"),
)
_TWO = ("max", "min", "fmax", "fmin", "pow", "fmod")
_THREE = ("fma", "mad")
