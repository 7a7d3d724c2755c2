"""Formulas in free sizes: what is provable of them, their simplest form, how they read in messages.

A size is an int, or an expression of int64 in the free sizes of the inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tvm
from tvm import sym, tirx

from tvm_deconv.size_errors import readable


def shown(shape: Sequence[Any]) -> str:
    """``[n, 8, h + 2]``: a shape in the words of a message."""
    return readable(list(shape))


# Sizes that many numbers divide, all alike (an image may have to be square) or all different.
_SAMPLES = ((2520,) * 4, (5040,) * 4, (2520, 5040, 10080, 15120), (15120, 10080, 2520, 7560))


def differ_at_all_sizes(a: Any, b: Any) -> bool:
    """Whether two numbers of elements, ints or expressions, differ at any sizes but special ones.

    Tried on a few sizes. False where they depend on different sizes, which may well fit together.
    """
    variables = [set() if isinstance(n, int) else set(_variables(n)) for n in (a, b)]
    if not variables[0] or variables[0] != variables[1] or len(variables[0]) > len(_SAMPLES[0]):
        return False
    known = sorted(variables[0], key=lambda var: str(var.name))
    for sample in _SAMPLES:
        analyzer = sym.Analyzer()
        for var, size in zip(known, sample, strict=False):
            analyzer.bind(var, tirx.IntImm("int64", size))
        values = [analyzer.simplify(n) for n in (a, b)]
        if not all(isinstance(n, tirx.IntImm) for n in values) or int(values[0]) == int(values[1]):
            return False
    return True


def _variables(value: Any) -> Iterable[tirx.Var]:
    return tirx.analysis.undefined_vars(value)


def sizes_analyzer(*values: Any) -> sym.Analyzer:
    """One that knows that the sizes in these expressions are at least 1: no input is empty."""
    analyzer = sym.Analyzer()
    bind_sizes(analyzer, values)
    return analyzer


def bind_sizes(analyzer: sym.Analyzer, values: Iterable[Any]) -> None:
    """Tell an analyzer that the sizes in these expressions are at least 1."""
    for value in values:
        for var in () if isinstance(value, int) else _variables(value):
            least_one = tvm.ir.Range.from_min_extent(1, tirx.Var("most", "int64"))
            analyzer.bind(var, least_one, allow_override=True)


def are_one(a: Any, b: Any) -> bool:
    """Whether two sizes are one at all free sizes, provably."""
    return bool(sizes_analyzer(a, b).can_prove_equal(int64(a), int64(b)))


def simplified(analyzer: sym.Analyzer, value: Any) -> Any:
    """``value`` in its simplest form: ``(h + 3) // 4 * 4`` for a size rounded up to a multiple.

    TVM makes ``h - h % -4`` of ``h + -h % 4``, and ``h + 3 - (h + 3) % 4``. Neither does it know to
    be a multiple of 4 and no less, and so not how long a slice of it is.
    """
    return _joined(analyzer, _with_remainders(analyzer, analyzer.simplify(value)))


def _with_remainders(analyzer: sym.Analyzer, value: Any) -> Any:
    """With ``h // 2 % 2`` for ``h // 2 - h // 4 * 2``, which TVM makes of it, h // 2 being a size.

    Of the difference it is not provable that it is no less than 0.
    """
    terms = list(_terms(value, 1))
    for one, (scale, fine) in enumerate(terms):
        for other, (factor, coarse) in enumerate(terms):
            found = _divided_further(analyzer, fine, coarse)
            if found is not None and factor == -scale * found[1]:
                more, times = found
                rest = [term for i, term in enumerate(terms) if i not in (one, other)]
                remainder = tirx.floormod(fine + more, int64(times)) - more
                return _with_remainders(
                    analyzer, analyzer.simplify(sum((k * x for k, x in rest), scale * remainder))
                )
    return value


def _terms(value: Any, scale: int) -> Iterator[tuple[int, Any]]:
    """The terms of a sum, each with its factor."""
    if isinstance(value, (tirx.Add, tirx.Sub)):
        yield from _terms(value.a, scale)
        yield from _terms(value.b, scale if isinstance(value, tirx.Add) else -scale)
    elif isinstance(value, tirx.Mul) and isinstance(value.b, tirx.IntImm):
        yield from _terms(value.a, scale * int(value.b.value))
    else:
        yield scale, value


def _divided_further(analyzer: sym.Analyzer, fine: Any, coarse: Any) -> tuple[int, int] | None:
    """n and k where ``coarse`` is ``(fine + n) // k``, as TVM joins quotients: (2, 3) of ``x // 2``
    and ``(x + 4) // 6``; None of others."""
    quotients = isinstance(fine, tirx.FloorDiv) and isinstance(coarse, tirx.FloorDiv)
    if not quotients or not all(isinstance(q.b, tirx.IntImm) for q in (fine, coarse)):
        return None
    divisor, product = int(fine.b.value), int(coarse.b.value)
    more = analyzer.simplify(coarse.a - fine.a)
    if not 0 < divisor < product or product % divisor or not isinstance(more, tirx.IntImm):
        return None
    n, left = divmod(int(more.value), divisor)
    return None if left else (n, product // divisor)


def _joined(analyzer: sym.Analyzer, value: Any) -> Any:
    """With each part in the form that mentions the fewest sizes."""
    if not isinstance(value, BINARY):
        return value
    a, b = _joined(analyzer, value.a), _joined(analyzer, value.b)
    forms = [value]
    if not (a.same_as(value.a) and b.same_as(value.b)):
        joined = type(value)(a, b)
        forms = [analyzer.simplify(joined), joined]
    divided = _divided(forms[-1])
    if not divided.same_as(forms[-1]):
        forms.append(analyzer.simplify(divided))
    return min(forms, key=_mentions)


def _divided(value: Any) -> Any:
    """With ``x - x // c * c`` for each remainder that is a term of the sum."""
    if isinstance(value, (tirx.Add, tirx.Sub)):
        a, b = _divided(value.a), _divided(value.b)
        return value if a.same_as(value.a) and b.same_as(value.b) else type(value)(a, b)
    if isinstance(value, tirx.Mul) and isinstance(value.b, tirx.IntImm):
        a = _divided(value.a)
        return value if a.same_as(value.a) else a * value.b
    if isinstance(value, tirx.FloorMod) and isinstance(value.b, tirx.IntImm):
        x, c = value.a, int(value.b.value)
        # The remainder by -4 is that of rounding up.
        quotient = tirx.floordiv(x - c - 1, int64(-c)) if c < 0 else tirx.floordiv(x, int64(c))
        return x - quotient * abs(c)
    return value


def _mentions(value: Any) -> int:
    """How often variables stand in a formula."""
    if isinstance(value, BINARY):
        return _mentions(value.a) + _mentions(value.b)
    return 0 if isinstance(value, tirx.IntImm) else 1


BINARY = (tirx.Add, tirx.Sub, tirx.Mul, tirx.FloorDiv, tirx.FloorMod, tirx.Min, tirx.Max)


def int64(value: Any) -> Any:
    """An int as an expression; an expression as it is."""
    return tirx.IntImm("int64", value) if isinstance(value, int) else value
