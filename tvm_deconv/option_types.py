"""What callers may give for an option that is a yes or no, a number of things, or one of words."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from tvm_deconv.errors import OptionError


def check_flag(name: str, value: Any) -> bool:
    """The flag as a bool. Raises OptionError for all else: ``"no"`` would count as a yes."""
    if not isinstance(value, (bool, np.bool_)):
        raise OptionError(f"{name} is {value!r}: give True or False")
    return bool(value)


def check_integer(name: str, value: Any, least: int) -> int:
    """The number as an int. Raises OptionError for none, and for less than ``least``."""
    if not is_integer(value) or value < least:
        raise OptionError(f"{name} is {value!r}: give an integer of at least {least}")
    return int(value)


def is_integer(value: Any) -> bool:
    """Whether it is an integer of any type, NumPy's too; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    """The word. Raises OptionError for one that is not among ``known``."""
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"{name} is {value!r}: give {' or '.join(map(repr, known))}")
    return value
