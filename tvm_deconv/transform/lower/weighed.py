"""The forms of a layer as they are weighed against those of the rest of its network.

The machine model takes a free size for a typical one, that of each layer's own input
(``schedules.typical``). In a network every free size is one number, and the map behind a resize by
2 is four times as large: so it has as many times the cycles.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.algorithms.expressions import static
from tvm_deconv.schedules.budget import Form
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.typical import MEAN_SIZE, means

from .layers import kind_of
from .read import Convolution


def weighed_forms(conv: Convolution, chooser: Chooser) -> tuple[Form, ...]:
    """The forms of a layer, as the lowering chooses among them."""
    kind = kind_of(conv)
    forms = chooser.forms(kind)
    if all(isinstance(dim, int) for dim in conv.picture[2:]):
        return forms
    weighed = zip(conv.picture[2:], means(kind.sizes), strict=True)
    times = prod(size_of(dim) / mean for dim, mean in weighed)
    return tuple(replace(form, cycles=form.cycles * times) for form in forms)


def size_of(dim: Any) -> int:
    """A size in a network, of which every free one is the typical one."""
    if isinstance(dim, int):
        return dim
    free = tirx.analysis.undefined_vars(dim)
    known = static(edit.bind(dim, dict.fromkeys(free, MEAN_SIZE)))
    return known if isinstance(known, int) else MEAN_SIZE
