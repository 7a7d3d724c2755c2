"""Straight-line vector code: small constant matrices and shuffles, written out in full.

What a Winograd transform does to a tile is a product with a constant matrix on each axis, all
lanes alike. Written as loops over a matrix it would multiply by 0 and 1 and repeat half of its
sums; here every product becomes the additions that it needs, with the even and odd parts that
two rows or two columns have in common computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import tirx

from .edit import shuffle

# Lanes of AVX-512, from which vectors are blended.
_BLENDED_LANES = 16


class StraightLine:
    """Statements that bind values to names, one after the other."""

    def __init__(self) -> None:
        self.statements: list[tirx.Stmt] = []

    def name(self, value: Any) -> tirx.Var:
        """A variable bound to ``value`` from here on."""
        var = tirx.Var("v", value.ty)
        self.statements.append(tirx.Bind(var, value))
        return var

    def combine(self, matrix: np.ndarray, values: Sequence[Any]) -> list[Any]:
        """``matrix`` (p, q) times q values: p values."""
        matrix, values = self._pair_columns(np.array(matrix, dtype="float64"), list(values))
        results: list[Any] = [None] * len(matrix)
        for row in range(len(matrix)):
            if results[row] is not None:
                continue
            twin = self._twin(matrix, row, results)
            if twin is None:
                results[row] = self._sum(matrix[row], values)
                continue
            same = matrix[row] == matrix[twin]
            even = self._sum(np.where(same, matrix[row], 0), values)
            odd = self._sum(np.where(same, 0, matrix[row]), values)
            results[row], results[twin] = self.name(even + odd), self.name(even - odd)
        return results

    def multiply_add(self, value: Any, factor: float, added: Any) -> Any:
        """``value * factor + added``.

        In one instruction where there is one, also of a product that is added and subtracted, which
        LLVM would compute once and round.
        """
        if factor == 1:
            return self.name(added + value)
        if factor == -1:
            return self.name(added - value)
        operands = value, _like(value, factor), added
        return self.name(tirx.call_llvm_pure_intrin(value.ty.dtype, "llvm.fmuladd", *operands))

    def _pair_columns(self, matrix: np.ndarray, values: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """Two columns that differ in signs only => the same on the sum and the difference."""
        done: set[int] = set()
        for first in range(matrix.shape[1]):
            for second in range(first + 1, matrix.shape[1]):
                if {first, second} & done or not _signs_differ(matrix[:, first], matrix[:, second]):
                    continue
                done |= {first, second}
                a, b = values[first], values[second]
                values[first], values[second] = self.name(a + b), self.name(a - b)
                same = matrix[:, first] == matrix[:, second]
                both = matrix[:, first]
                matrix[:, first], matrix[:, second] = (
                    np.where(same, both, 0),
                    np.where(same, 0, both),
                )
        return matrix, values

    def _twin(self, matrix: np.ndarray, row: int, results: list[Any]) -> int | None:
        """A later row that differs from ``row`` in some signs only."""
        for other in range(row + 1, len(matrix)):
            if results[other] is None and _signs_differ(matrix[row], matrix[other]):
                return other
        return None

    def _sum(self, factors: np.ndarray, values: Sequence[Any]) -> Any:
        """Sum of factor * value; ones first, so that the rest are multiply-adds."""
        terms = [(float(f), v) for f, v in zip(factors, values, strict=True) if f != 0]
        terms.sort(key=lambda term: abs(term[0]) != 1)
        (factor, value), *rest = terms
        total = value if factor == 1 else value * _like(value, factor)
        for factor, value in rest:
            if factor == 1:
                total = total + value
            elif factor == -1:
                total = total - value
            else:
                total = total + value * _like(value, factor)
        return total if isinstance(total, tirx.Var) else self.name(total)

    def interleave(self, values: list[Any]) -> list[Any]:
        """n vectors => n vectors whose elements, in order, are v0[0], v1[0], ..., v0[1], ...

        One prime factor of n at a time, so that eight vectors take three shuffles each, not seven.
        """
        if len(values) == 1:
            return values
        factor = prime_factors(len(values))[-1]
        parts = [self.interleave(values[first::factor]) for first in range(factor)]
        results = []
        for pieces in zip(*parts, strict=True):
            results += self._interleaved(list(pieces))
        return results

    def _interleaved(self, values: list[Any]) -> list[Any]:
        """The same of a prime number of vectors."""
        count, lanes = len(values), _lanes(values[0])
        if _blends(count, lanes):
            step = pow(count, -1, lanes)
            turned = [
                self.name(shuffle([value], [(lane - p) * step % lanes for lane in range(lanes)]))
                for p, value in enumerate(values)
            ]
            return [self._blend(turned, part * lanes, 1) for part in range(count)]
        results = []
        for part in range(count):
            elements = range(part * lanes, (part + 1) * lanes)
            order = [e % count * lanes + e // count for e in elements]
            results.append(self._gather(values, order))
        return results

    def _blend(self, vectors: list[Any], first: int, step: int) -> Any:
        """Lane i of vector ``(first + i) * step`` modulo their number, for every lane i.

        All start with the vector of lane 0, so that they have masks in common: n - 1 of them.
        """
        count, lanes = len(vectors), _lanes(vectors[0])
        chosen = [(first + lane) * step % count for lane in range(lanes)]
        result = vectors[chosen[0]]
        for index in chosen[1:count]:
            order = [lanes + lane if chosen[lane] == index else lane for lane in range(lanes)]
            result = self.name(shuffle([result, vectors[index]], order))
        return result

    def _gather(self, vectors: list[Any], order: list[int]) -> Any:
        """Element ``order[i]`` of all ``vectors`` side by side, for every lane i.

        A chain of shuffles of two vectors each: one instruction apiece where there are two-register
        permutes, while LLVM makes twice as many of one shuffle of five vectors.
        """
        lanes = _lanes(vectors[0])
        first, second, *others = vectors
        start = [element if element < 2 * lanes else 0 for element in order]
        result = self.name(shuffle([first, second], start))
        for index, vector in enumerate(others, start=2):
            added = [
                lanes + element % lanes if element // lanes == index else lane
                for lane, element in enumerate(order)
            ]
            result = self.name(shuffle([result, vector], added))
        return result

    def deinterleave(self, values: list[Any]) -> list[Any]:
        """The inverse of ``interleave``: element e goes to vector e % n."""
        count = len(values)
        if count == 1:
            return values
        factor = prime_factors(count)[-1]
        parts: list[list[Any]] = [[] for _ in range(factor)]
        for first in range(0, count, factor):
            for part, value in enumerate(self._deinterleaved(values[first : first + factor])):
                parts[part].append(value)
        results: list[Any] = [None] * count
        for part, pieces in enumerate(parts):
            results[part::factor] = self.deinterleave(pieces)
        return results

    def _deinterleaved(self, values: list[Any]) -> list[Any]:
        """The same of a prime number of vectors."""
        count, lanes = len(values), _lanes(values[0])
        results = []
        for part in range(count):
            order = [lane * count + part for lane in range(lanes)]
            if _blends(count, lanes):
                # Vector k has the elements from k * lanes on.
                step = pow(-lanes, -1, count)
                blended = self._blend(values, -part, step)
                results.append(self.name(shuffle([blended], [e % lanes for e in order])))
            else:
                results.append(self._gather(values, order))
        return results


def _signs_differ(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two vectors agree in some elements, are opposite in others, and nothing else."""
    equal, opposite = (a == b) & (a != 0), (a == -b) & (a != 0)
    return bool((np.abs(a) == np.abs(b)).all() and equal.any() and opposite.any())


def _blends(count: int, lanes: int) -> bool:
    """Whether vectors are interleaved by blends, and a shuffle of each: an odd number of them.

    Lanes are a power of two, so no two elements of a vector go to the same lane of what is blended,
    and all n blended vectors have n - 1 masks in common. LLVM joins the last blend and the shuffle.
    On Zen 5 eight blends take as long as three shuffles of two vectors (0.25 and 0.63 cycles). With
    AVX2 layers of 28 and 64 channels take 0.98 to 1.02 of the time, and ARM has shuffles of four.
    """
    return count % 2 == 1 and lanes >= _BLENDED_LANES


def prime_factors(count: int) -> list[int]:
    """Prime factors of ``count``, smallest first; none of 1."""
    factors, factor = [], 2
    while count > 1:
        while count % factor == 0:
            factors.append(factor)
            count //= factor
        factor += 1
    return factors


def _lanes(value: Any) -> int:
    return int(value.ty.dtype.lanes)


def _like(value: Any, factor: float) -> Any:
    lanes = _lanes(value)
    scalar = tirx.const(factor, "float32")
    return tirx.Broadcast(scalar, lanes) if lanes > 1 else scalar
