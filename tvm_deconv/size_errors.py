"""What TVM's virtual machine says of sizes that do not fit, in words.

Its errors name the C++ condition that failed, then the context in which it was asked: the type of a
parameter, the sizes that ``transform.CheckSizes`` wants, or ``Select(condition, size, -1)``, which
a program of PyTorch asks for; its reader calls the size of input x along axis 2 ``x_axis2``.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import first_line

_CHECKED = re.compile(
    r"\((-?\d+) vs\. (-?\d+)\) : ErrorContext\(match_cast, ty=R\.(?:Shape\(\[|Tensor\(\()(.*?)"
    r"(?:\]\)|\), dtype=.*)\) .* shape\[(\d+)\] mismatch"
)
_SIZE = re.compile(
    r"\((-?\d+) vs\. (-?\d+)\) : ErrorContext\(fn=\w+, loc=param\[\d+\], param=(.*?), annotation="
    r".* shape\[(\d+)\] mismatch"
)
_RANK = re.compile(r"param=(.*?), annotation=.* expect Tensor with ndim (\d+) but get (\d+)")
_LOW = re.compile(r"max\((.*), (\d+)\)")
_CONDITION = re.compile(r"Select\((.*), (.*), -1\)")
_AXIS = re.compile(r"(\w+)_axis(\d+)")
_FLOAT = re.compile(r'Cast\("float64", ((?:[^()]|\([^()]*\))*)\)|float64\(([^()]*)\)')
_INTEGER = re.compile(r"T\.int64\((-?\d+)\)")


def in_words(error: BaseException) -> str:
    """One line: which size does not fit, or the error's own first line if it is not about sizes."""
    text = str(error)
    if text == "std::bad_alloc":
        return "a tensor asks for more memory than there is"
    if found := _RANK.search(text):
        name, rank, given = found.groups()
        return f"input {name!r} has {given} axes, not {rank}"
    if found := _SIZE.search(text):
        given, wanted, name, axis = found.groups()
        return f"input {name!r} has the size {given} along axis {axis}, not {wanted}"
    if found := _CHECKED.search(text):
        given, wanted, formulas, number = found.groups()
        formula = readable(_parts(formulas)[int(number)])
        if condition := _CONDITION.fullmatch(formula):
            return f"{_size(condition[2], given)} {_demand(condition[1], condition[2])}"
        low = _LOW.fullmatch(formula)
        if low and wanted == low[2] != given:
            return f"{_size(low[1], given)} and has to be at least {wanted}"
        if low and low[2] == "0":  # as CheckSizes writes a plain size
            formula = low[1]
        told = "" if formula == wanted else f", which is {wanted}"
        return f"a size is {given} for these inputs and has to be {formula}{told}"
    return first_line(error)


def _size(formula: str, value: str) -> str:
    if axis := _AXIS.fullmatch(formula):
        return f"input {axis[1]!r} has the size {value} along axis {axis[2]}"
    return f"{formula} is {value} for these inputs"


def _demand(condition: str, size: str) -> str:
    """What a condition asks of a size."""
    for pattern, words in (
        (r"{} >= (\d+)", "at least {}"),
        (r"{} <= (\d+)", "at most {}"),
        (r"{} != (\d+)", "other than {}"),
        (r"{} % (\d+) == 0", "a multiple of {}"),
    ):
        if found := re.fullmatch(pattern.format(re.escape(size)), condition):
            return f"and has to be {words.format(found[1])}"
    text = _FLOAT.sub(lambda found: found[1] or repr(float(found[2])), condition)
    return f"and the program is only for sizes with {text}"


def readable(sizes: Any) -> str:
    """``h + 2``: a formula of TVM, or a list of them, as one writes it."""
    return _INTEGER.sub(r"\1", str(sizes)).replace("T.", "")


def _parts(text: str) -> list[str]:
    """Split at the commas outside of parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
