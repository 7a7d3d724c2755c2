"""A table of PyTorch expressions, all in one exported module, so that they are compiled once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
import tvm
from quick_network import built, compiled
from rows_compare import compare
from torch import nn
from torch.nn import functional as F
from torch.utils import _pytree as pytree

from tvm_deconv.importer import load

# Largest difference from eager PyTorch, relative to the largest value or 1.
TOLERANCE = {"float16": 2e-3, "float32": 3e-6, "float64": 1e-12}

# What the names of free sizes stand for, run after run; the first is what is exported.
SIZES: Sequence[Mapping[str, int]] = (
    {"n": 2, "h": 7, "w": 10},
    {"n": 3, "h": 8, "w": 5},
    {"n": 4, "h": 13, "w": 9},
)

_NAMES = {"math": math, "torch": torch, "F": F, "nn": nn, "inf": math.inf, "nan": math.nan}
_RNG = np.random.default_rng(0)


def floats(*shape: int, dtype: str = "float32") -> torch.Tensor:
    return torch.from_numpy(np.asarray(_RNG.standard_normal(shape)).astype(dtype))


def integers(*shape: int, low: int = 0, high: int = 9, dtype: str = "int64") -> torch.Tensor:
    return torch.from_numpy(np.asarray(_RNG.integers(low, high, shape)).astype(dtype))


def t(*values: Any, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A tensor of one axis."""
    return torch.tensor(values, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Row:
    """An expression of its operands x, y, z, or a module of them.

    Operands are tensors, or shapes for random numbers of ``dtype`` in which names are free sizes.
    """

    text: str
    function: Callable[..., Any]
    operands: tuple[Any, ...]
    dtype: str = "float32"

    @property
    def is_free(self) -> bool:
        return any(isinstance(size, str) for o in self.operands if _is_shape(o) for size in o)

    def inputs(self, sizes: Mapping[str, int]) -> list[torch.Tensor]:
        return [self._input(operand, sizes) for operand in self.operands]

    def _input(self, operand: Any, sizes: Mapping[str, int]) -> torch.Tensor:
        if not _is_shape(operand):
            return operand
        shape = [eval(n, {}, dict(sizes)) if isinstance(n, str) else n for n in operand]
        return floats(*shape, dtype=self.dtype)

    def free_axes(self) -> list[dict[int, Any]]:
        return [
            {
                axis: torch.export.Dim.AUTO
                for axis, size in enumerate(operand)
                if isinstance(size, str)
            }
            if _is_shape(operand)
            else {}
            for operand in self.operands
        ]

    def __str__(self) -> str:
        kinds = {str(x.dtype).removeprefix("torch.") for x in self.inputs(SIZES[0])}
        words = [self.text, *([] if kinds == {"float32"} else ["/".join(sorted(kinds))])]
        return " ".join([*words, *(["free"] if self.is_free else [])])


def _is_shape(operand: Any) -> bool:
    return isinstance(operand, tuple)


def row(text: str | Callable[..., Any], *operands: Any, dtype: str = "float32") -> Row:
    """``text`` is an expression such as ``x + y`` or ``nn.Conv2d(3, 4, 3)``, or a function."""
    if callable(text):
        return Row(text.__name__, text, operands, dtype)
    if not text.startswith("nn."):
        names = ", ".join("xyz"[: len(operands)])
        return Row(text, eval(f"lambda {names}: {text}", dict(_NAMES)), operands, dtype)
    return Row(text, _module(text, dtype), operands, dtype)


def _module(text: str, dtype: str) -> nn.Module:
    """In evaluation, with running statistics that are not 0 and 1."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = eval(text, dict(_NAMES))
        for name, value in module.state_dict().items():
            if "running" in name or ("weight" in name and value.ndim == 1):
                value.uniform_(0.5, 1.5)
    return module.eval().to(getattr(torch, dtype)).requires_grad_(False)


class Network(nn.Module):
    """The rows side by side; the inputs of all are its inputs."""

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self.rows = list(rows)
        self.parts = nn.ModuleList(r.function for r in rows if isinstance(r.function, nn.Module))

    def forward(self, *inputs: torch.Tensor) -> list[Any]:
        values = iter(inputs)
        return [r.function(*islice(values, len(r.operands))) for r in self.rows]


def exported(rows: Sequence[Row], decomposed: bool = False) -> torch.export.ExportedProgram:
    from torch._dynamo import config  # takes two seconds, which collection need not

    inputs = tuple(x for r in rows for x in r.inputs(SIZES[0]))
    free = tuple(axes for r in rows for axes in r.free_axes())
    # What PyTorch remembers of tensors of free size is seldom asked for again here, and takes a
    # third of an export: each size in it is compared with all others.
    remembers = config.patch(fake_tensor_cache_enabled=not any(free))
    with warnings.catch_warnings(), torch.no_grad(), remembers:
        warnings.simplefilter("ignore")  # PyTorch's remarks about its own future
        program = torch.export.export(
            Network(rows), inputs, dynamic_shapes=(free,) if any(free) else None, strict=False
        )
        return program.run_decompositions() if decomposed else program


# By row: pairs of what we compute and what PyTorch gives.
Results = dict[int, list[tuple[np.ndarray, np.ndarray]]]


def results(rows: Sequence[Row], decomposed: bool = False, scheduled: bool = True) -> Results:
    """All rows, compiled together, at every size of ``SIZES`` where one is free.

    ``scheduled`` by our pipeline; otherwise by TVM's, unscheduled, which takes a fifth of the time
    and tells as well whether the translation is right.
    """
    program = exported(rows, decomposed)
    main = compiled(program) if scheduled else built(load(program))
    found: Results = {id(r): [] for r in rows}
    for sizes in SIZES if any(r.is_free for r in rows) else SIZES[:1]:
        inputs = [r.inputs(sizes) for r in rows]
        # Copies: a row may be wrong about what it may change.
        arrays = [x.numpy().copy() for values in inputs for x in values]
        got = main(*map(tvm.runtime.tensor, arrays))
        flat = iter([got] if hasattr(got, "numpy") else got)
        for one, values in zip(rows, inputs, strict=True):
            with torch.no_grad():
                expected = pytree.tree_leaves(one.function(*values))
            for tensor in expected:
                if tensor is not None:
                    found[id(one)].append((next(flat).numpy(), tensor.numpy()))
    return found


# PyTorch decomposes a program in a time that grows as the square of the free sizes in it.
_FREE_AT_ONCE = 12


class Table:
    """Rows that are computed, those of one kind compiled together, once; a few of free sizes.

    Free sizes and float16 are scheduled by our pipeline in any case: it sums float16 in float32 as
    PyTorch does, TVM's does not.
    """

    def __init__(
        self, rows: Sequence[Row], decomposed: bool = False, scheduled: bool = False
    ) -> None:
        self.rows, self.decomposed, self.scheduled = list(rows), decomposed, scheduled
        free = [r for r in self.rows if r.is_free]
        fixed = [r for r in self.rows if not r.is_free]
        self._groups = [
            [r for r in fixed if self._is_scheduled(r) == kind] for kind in (True, False)
        ]
        self._groups += [free[i : i + _FREE_AT_ONCE] for i in range(0, len(free), _FREE_AT_ONCE)]
        self._results: dict[int, Results | Exception] = {}

    def check(self, one: Row) -> None:
        number = next(i for i, group in enumerate(self._groups) if one in group)
        if number not in self._results:
            try:
                self._results[number] = results(
                    self._groups[number], self.decomposed, self._is_scheduled(one)
                )
            except Exception as error:
                # Kept, too: every row would compile all for nothing.
                self._results[number] = error
        found = self._results[number]
        if isinstance(found, Exception):
            raise AssertionError(f"the table cannot be compiled: {found}") from found
        for got, expected in found[id(one)]:
            compare(got, expected, TOLERANCE)

    def _is_scheduled(self, one: Row) -> bool:
        return self.scheduled or one.is_free or one.dtype == "float16"
