"""Random inputs of a Relax module, and sizes for what is free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax, sym, tirx

from tvm_deconv.errors import CheckError

# Sizes of two free dimensions; a third has the first one's again. Odd ones first, and of different
# sides; then what networks ask for that divide by a power of 2, take squares or only small sizes.
_SIZES = (
    (19, 23),
    (24, 32),
    (33, 17),
    (20, 28),
    (48, 64),
    (96, 64),
    (64, 64),
    (128, 192),
    (224, 224),
    (27, 27),
    (6, 8),
    (5, 3),
    (2, 2),
    (1, 1),
)
_BATCHES = (1, 2, 3)

Sizes = tuple[tuple[int, ...], ...]


def sizes_of(mod: tvm.IRModule) -> Iterator[Sizes]:
    """Shapes of all inputs of ``main``, one set after the other; a single one if none is free.

    Raises CheckError for an input that is no tensor of known rank.
    """
    shapes = [_dims(param) for param in mod["main"].params]
    batches: dict[tirx.Var, None] = {}
    others: dict[tirx.Var, None] = {}
    for dims in shapes:
        for axis, dim in enumerate(dims):
            for var in _variables(dim):
                (batches if axis == 0 and len(dims) > 1 else others).setdefault(var)
    found: set[Sizes] = set()
    for row, pair in enumerate(_SIZES):
        known = {var: _BATCHES[row % len(_BATCHES)] for var in batches}
        known |= {var: pair[i % 2] for i, var in enumerate(others) if var not in batches}
        sizes = tuple(tuple(_value(dim, known) for dim in dims) for dims in shapes)
        if sizes not in found and all(size > 0 for shape in sizes for size in shape):
            found.add(sizes)
            yield sizes


def drawn(mod: tvm.IRModule, sizes: Sizes, seed: int) -> list[np.ndarray]:
    """Inputs of these shapes: even seeds give values in [0, 1), odd ones normal values."""
    random = np.random.default_rng(seed)
    return [
        draw(random, shape, np.dtype(str(param.ty.dtype)), normal=bool(seed % 2))
        for param, shape in zip(mod["main"].params, sizes, strict=True)
    ]


def draw(
    random: np.random.Generator, shape: Sequence[int], dtype: np.dtype, *, normal: bool = False
) -> np.ndarray:
    """An input of a model: floats in [0, 1), or normal ones.

    Integers are 0 and 1, because they may be indices; those of 8 bits are any.
    """
    values: np.ndarray
    if dtype.kind == "f":
        values = random.standard_normal(shape) if normal else random.random(shape)
    elif dtype.kind in "iu" and dtype.itemsize == 1:
        limits = np.iinfo(dtype)
        values = random.integers(limits.min, limits.max + 1, shape)
    else:
        values = random.integers(0, 2, shape)
    return values.astype(dtype)


def _dims(param: relax.Var) -> Sequence[Any]:
    ty = param.ty
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        raise CheckError(f"input {param.name!r} has no shape to draw values for: give --shape")
    try:
        np.dtype(str(ty.dtype))
    except TypeError as error:
        raise CheckError(f"input {param.name!r} is {ty.dtype}, which NumPy lacks") from error
    return list(ty.shape.values)


def _variables(dim: Any) -> list[tirx.Var]:
    return list(relax.analysis.tir_vars_in_type(relax.TensorType([dim], "float32")))


def _value(dim: Any, known: Mapping[tirx.Var, int]) -> int:
    def number(var: tirx.Var) -> Any:
        return tirx.IntImm("int64", known[var]) if var in known else var

    return int(sym.Analyzer().simplify(tvm_ffi.structural_map(dim, (tirx.Var, number))))
