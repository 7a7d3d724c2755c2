"""Running what was compiled, between guards that tell what is read or written beside a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm.runtime.vm import VirtualMachine

from . import outcome as kinds
from .board import OnBoard
from .memory import Guarded, spoil
from .outcome import Outcome


def run_guarded(executable: Any, inputs: Sequence[np.ndarray]) -> Any:
    """The arrays that ``main`` returns, or the exception that came instead.

    An Outcome where something is no array, or where an input or what lies beside it has changed.
    """
    if isinstance(executable, OnBoard):
        return executable.run(inputs)
    guarded = [Guarded(array) for array in inputs]
    spoil()
    try:
        main = VirtualMachine(executable, tvm.cpu())["main"]
        found = results_of(main(*(g.tensor for g in guarded)))
    except Exception as error:  # TVM's, of many classes
        return error
    damage = [d for g in guarded if (d := g.damage())]
    return Outcome(kinds.WRONG, damage[0]) if damage else found


def run_kernel(built: Any, arrays: Sequence[np.ndarray]) -> Any:
    """What the kernel ``main`` leaves in the last array, or what came instead, as ``run_guarded``.

    The last array lies between guards, too.
    """
    if isinstance(built, OnBoard):
        return built.run(arrays)
    guarded = [Guarded(array) for array in arrays]
    spoil()
    try:
        built["main"](*(g.tensor for g in guarded))
    except Exception as error:  # TVM's, of many classes
        return error
    *operands, result = guarded
    found = [*(g.damage() for g in operands), result.damage(written=True)]
    damage = next((d for d in found if d), None)
    return Outcome(kinds.WRONG, damage) if damage else [result.values()]


def results_of(found: Any) -> Any:
    """The arrays that ``main`` of an executable returned; an Outcome where it is something else."""
    results = list(found) if isinstance(found, (list, tuple, tvm_ffi.Array)) else [found]
    for index, result in enumerate(results):
        if not hasattr(result, "numpy"):
            return Outcome(kinds.WRONG, f"result {index} is a {type(result).__name__}")
    return [result.numpy() for result in results]
