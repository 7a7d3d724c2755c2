"""Formulas in free sizes: the simplest form, of which most is provable."""

from __future__ import annotations

import pytest
from tvm import sym, tirx

from tvm_deconv.frontends.onnx.formulas import int64, shown, simplified, sizes_analyzer

h = tirx.Var("h", "int64")
FOUR = int64(4)

FORMS = [
    (h + tirx.floormod(FOUR - tirx.floormod(h, FOUR), FOUR), "(h + 3) // 4 * 4"),
    (h - tirx.floormod(h, FOUR), "h // 4 * 4"),
    (h + 1 - tirx.floormod(h, FOUR), "h // 4 * 4 + 1"),
    (tirx.max(h - tirx.floormod(h, FOUR), int64(7)), "max(h // 4 * 4, 7)"),
    (tirx.floordiv(h + tirx.floormod(-h, FOUR), FOUR), "(h + 3) // 4"),
    (tirx.floormod(h, FOUR), "h % 4"),
    (h * 2 + 1, "h * 2 + 1"),
    (h // 2 - h // 4 * 2, "h % 4 // 2"),
    (h // 6 * -3 + 1 + h // 2, "h % 6 // 2 + 1"),
    ((h + 3) // 6 * 3 - (h - 1) // 2, "2 - ((h - 1) // 2 + 2) % 3"),
    (h // 3 - h // 4 * 2, "h // 3 - h // 4 * 2"),
]


@pytest.mark.parametrize(("formula", "form"), FORMS, ids=lambda value: str(value)[:40])
def test_a_formula_has_its_simplest_form_and_its_value(formula, form):
    found = simplified(sizes_analyzer(formula), formula)
    assert shown([found]) == f"[{form}]"
    for size in range(1, 14):
        at = sym.Analyzer()
        at.bind(h, int64(size))
        assert at.simplify(found).value == at.simplify(formula).value


def test_a_size_rounded_up_to_a_multiple_is_no_less():
    rounded = h + tirx.floormod(FOUR - tirx.floormod(h, FOUR), FOUR)
    analyzer = sizes_analyzer(h)
    found = simplified(analyzer, rounded)
    assert analyzer.can_prove(found >= 4)
    part = tirx.max(found - 2, int64(0)) - tirx.max(found - 4, int64(0))
    assert analyzer.simplify(part).value == 2
