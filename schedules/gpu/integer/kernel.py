"""An integer convolution on a GPU: its form, tile and store, how operands are packed, its function.

A layer is computed as one of float32 that has words of ``dot.group`` channels for channels: in the
form of ``revd2``, a thread with all phases, or that of ``tdc``, one phase a thread and planes in
memory; tile, staging and model are theirs, too. The input becomes words where it is brought: on the
way to shared memory, or in a kernel of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import te, tirx

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.known_weights import phase_sums
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.cpu.integer.kernel import (
    NUMBERS,
    SUM_VALUES,
    Store,
)
from tvm_deconv.schedules.gpu import revd2, tdc
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.tile import COPY, READ, GpuTile
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes, Variant

from .compute import Parameters, stored, sums, words_of_input
from .dot import X_BITS, Dot

# In the order in which a tie is decided.
FORMS: dict[str, Variant] = {"revd2": revd2.REVD2, "tdc": tdc.TDC}

# Numbers that ``points`` gives.
_POINTS = 2


@dataclass(frozen=True)
class GpuInteger:
    """One kernel: geometry with its step, kind of x, form, tile and store.

    Zero points, scales and weights are parameters, so that the layers of a network share one.
    """

    op: ConvTranspose2d
    dtype: str
    dot: Dot
    form: str
    tile: GpuTile
    store: Store

    @property
    def words(self) -> ConvTranspose2d:
        """The layer that has words for channels."""
        return words_of(self.op, self.dot)

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """IOHW integers as words, in the order of the form."""
        op, group, depth = self.op, self.dot.group, self.words.group_inputs
        grouped = weights.reshape(op.groups, op.group_inputs, *weights.shape[1:])
        full = np.pad(grouped, [(0, 0), (0, depth * group - op.group_inputs), *[(0, 0)] * 3])
        full = full.reshape(op.groups * depth, group, *weights.shape[1:])
        words = self.dot.words(full.transpose(0, 2, 3, 4, 1))
        return FORMS[self.form].packing(self.words, self.tile).pack(words, "int32")

    def lines(self, values: np.ndarray) -> np.ndarray:
        """(O, r_h, r_w) as the kernel reads it."""
        return np.ascontiguousarray(values)

    def corrections(self, weights: np.ndarray, zero_point: int) -> np.ndarray:
        """(O, r_h, r_w): what the sums are too large by where x has ``zero_point``."""
        return (zero_point + self.dot.shift(self.dtype)) * phase_sums(self.op, weights)

    def points(self, zero_point: int, stored: int = 0) -> np.ndarray:
        """[the word of a border, where x has ``zero_point``; the zero point ``stored`` of y]."""
        element = (zero_point + self.dot.shift(self.dtype)) & ((1 << X_BITS) - 1)
        word = sum(element << (X_BITS * i) for i in range(self.dot.group))
        return np.array([word, stored % 2**32], "uint32").view("int32")

    def write(self, shape: tuple[Any, ...]) -> tirx.PrimFunc:
        """The scheduled function of x (NCHW bytes) of ``shape``, words, points and so on, and y.

        The arguments are those of ``cpu.integer.write``, with scales and what is like them of the
        shape (O, r_h, r_w). A size is an int or a variable of its own.
        """
        op, words, tile = self.op, self.words, self.tile
        x = te.placeholder(shape, self.dtype, "x")
        packing = FORMS[self.form].packing(words, tile)
        assert isinstance(packing, Direct)
        packed = te.placeholder(packing.shape, "int32", "words")
        given = self._parameters(op.output_shape(shape[0], *shape[2:]))
        pad = words_of_input(op, words, tile, self.dot, x, given.points[0])
        weight = stages.weights_in(packed, packing)
        total = sums(words, tile, self.dot, shape, pad, weight, self.form == "tdc")
        y = stored(self.store, op.strides, total, given)
        others = [one for one in vars(given).values() if one is not None]
        func = te.create_prim_func([x, packed, *others, y], index_dtype_override="int64")
        func = func.with_attr("tirx.noalias", True).without_attr("global_symbol")
        if self.form == "tdc":
            return _adding_to_sums(tdc.schedule(func, words, tile), self.dot)
        # Bytes are stored one by one: a warp's lie side by side.
        return _adding_to_sums(revd2.schedule(func, words, tile, most=1), self.dot)

    def _parameters(self, out: tuple[Any, ...]) -> Parameters:
        op, store = self.op, self.store
        lines = op.out_channels, *op.strides

        def floats(name: str, is_there: bool = True) -> te.Tensor | None:
            return te.placeholder(lines, "float32", name) if is_there else None

        total = store.sum
        return Parameters(
            points=te.placeholder((_POINTS,), "int32", "points"),
            offsets=te.placeholder(lines, "int32", "offsets"),
            scales=te.placeholder(lines, "float32", "scales"),
            numbers=te.placeholder((NUMBERS,), "float32", "numbers"),
            shifts=floats("shifts", store.has_shift),
            slopes=floats("slopes", store.has_slope),
            other=None if total is None else te.placeholder(out, total.other, "other"),
            values=None if total is None else te.placeholder((SUM_VALUES,), "float32", "values"),
        )


def words_of(op: ConvTranspose2d, dot: Dot) -> ConvTranspose2d:
    """The layer that has a word of channels for each channel."""
    return replace(op, in_channels=op.groups * -(-op.group_inputs // dot.group))


def choose_form(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: GpuMachine
) -> tuple[str, GpuTile, float] | str:
    """The form of fewest estimated cycles, its tile and they, or in words why there is none.

    ``sizes`` are those of the input. The model is float32's, with a product of words for a
    multiply-add; vectors of columns are none of a function's operands.
    """
    words, machine = words_of(op, dot), replace(machine, lanes=1)
    found: list[tuple[float, str, GpuTile]] = []
    refused = []
    for name, variant in FORMS.items():
        reason = variant.refusal(words, ACCUMULATE_DTYPE)
        if reason is None:
            tile = variant.choose(words, sizes, machine)
            # To make a word takes a load for each byte: once, not for each block of channels.
            if tile.stage_input == READ:
                tile = replace(tile, stage_input=COPY)
            reason = variant.space.refusal(words, sizes, tile, machine)
        if reason is not None:
            refused.append(f"{name}: {reason}")
            continue
        found.append((variant.cycles(words, sizes, tile, machine), name, tile))
    if not found:
        return "; ".join(refused)
    cycles, name, tile = min(found, key=lambda one: one[0])
    return name, tile, cycles


def _adding_to_sums(func: tirx.PrimFunc, dot: Dot) -> tirx.PrimFunc:
    """``sum + dot(x, w, 0)`` as ``dot(x, w, sum)``, which is one instruction.

    A reduction of tensor expressions adds a term to a sum; it knows no term that takes the sum.
    """

    def taking(term: Any, total: Any) -> Any:
        if isinstance(term, tvm.ir.Call) and term.op.name == "prim.if_then_else":
            condition, live, _ = term.args
            made = dot.added(live, total)
            return made if made is None else tirx.if_then_else(condition, made, total)
        return dot.added(term, total)

    def replaced(store: tirx.BufferStore) -> tirx.BufferStore:
        value = store.value
        added = taking(value.b, value.a) if isinstance(value, tirx.Add) else None
        return store if added is None else tirx.BufferStore(store.buffer, added, store.indices)

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.BufferStore, replaced)))
