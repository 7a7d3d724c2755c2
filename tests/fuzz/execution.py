"""Running what was compiled, between guards that tell what is read or written beside a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from . import outcome as kinds
from .memory import Guarded, spoil
from .outcome import Outcome


def run_guarded(executable: Any, inputs: Sequence[np.ndarray]) -> Any:
    """The arrays that ``main`` returns, or the exception that came instead.

    An Outcome where something is no array, or where an input or what lies beside it has changed.
    """
    guarded = [Guarded(array) for array in inputs]
    spoil()
    try:
        main = relax.VirtualMachine(executable, tvm.cpu())["main"]
        found = results_of(main(*(g.tensor for g in guarded)))
    except Exception as error:  # TVM's, of many classes
        return error
    damage = [d for g in guarded if (d := g.damage())]
    return Outcome(kinds.WRONG, damage[0]) if damage else found


def results_of(found: Any) -> Any:
    """The arrays that ``main`` of an executable returned; an Outcome where it is something else."""
    results = list(found) if isinstance(found, (list, tuple, tvm_ffi.Array)) else [found]
    for index, result in enumerate(results):
        if not hasattr(result, "numpy"):
            return Outcome(kinds.WRONG, f"result {index} is a {type(result).__name__}")
    return [result.numpy() for result in results]
