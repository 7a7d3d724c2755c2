"""The function of a recurrence, before and after the machine is known."""

from __future__ import annotations

from collections.abc import Collection

from tvm import tirx

from tvm_deconv.annotations import WRITTEN_OUT
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.tir.last_steps import for_llvm

from .layer import SUMS, Packing, Recurrence
from .write import Writer

# The attribute of a function that computes a recurrence: what it computes, as text.
RECURRENCE = "tvm_deconv.recurrence"

# The place of the recurrent weights among the parameters.
_WEIGHTS = 1


def plain_function(layer: Recurrence) -> tirx.PrimFunc:
    """The function without a schedule, to be given one when the machine is known.

    Parameters: inputs (steps, rows, directions, gates * hidden) with all biases, recurrent weights
    (directions, gates * hidden, hidden), the first state (directions, rows, hidden), for an LSTM
    the first cell alike; where the layer has them the bias of the recurrent product within a
    resetting gate (directions, hidden), peepholes (directions, 3 * hidden), and lengths (rows), of
    int32. Results: all states (steps, directions, rows, hidden), the last state, and for an LSTM
    the last cell.
    """
    func = Writer(layer, 1, 1, 1, False).write()
    # TVM's fusion is to leave it alone: 8 is opaque.
    return func.with_attr({RECURRENCE: layer.text(), WRITTEN_OUT: layer.kind, "op_pattern": 8})


def is_recurrence(func: tirx.PrimFunc) -> bool:
    return func.attrs is not None and RECURRENCE in func.attrs


def schedule_recurrence(
    func: tirx.PrimFunc, machine: CpuMachine, constants: Collection[int]
) -> tuple[tirx.PrimFunc, dict[int, Packing]]:
    """``func`` of ``plain_function`` for ``machine``, and how it wants constant weights packed.

    ``constants`` are the positions of parameters that are constants.
    """
    are_constant = _WEIGHTS in constants
    layer = Recurrence.of_text(str(func.attrs[RECURRENCE]))
    lanes = machine.lanes // (2 if layer.dtype == "float64" else 1)
    while lanes > 1 and lanes // 2 >= layer.hidden:
        lanes //= 2
    # Two rows have twice the sums: they need the registers.
    rows = 1 if machine.vector_registers <= 2 * SUMS or layer.lengths else 2
    writer = Writer(layer, lanes, rows, machine.threads, are_constant)
    packings = {_WEIGHTS: writer.packing} if are_constant else {}
    return for_llvm(writer.write()), packings
