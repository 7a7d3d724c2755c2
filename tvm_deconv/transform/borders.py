"""What the fold of a resize adds at the border of a map, as a call in Relax (``algebra.outside``).

The PrimFunc of ``add_border`` carries ``BORDER``, so that ``LowerConvolutions`` can put it where
the convolution is stored: then nothing passes over the map again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tvm import relax, te

from tvm_deconv.annotations import BORDER
from tvm_deconv.schedules.algorithms.borders import Counts, with_border

if TYPE_CHECKING:
    from .graph import Graph


def add_border(y: te.Tensor, *lines: te.Tensor, counts: Counts) -> te.Tensor:
    """``patterns.graph.BorderBuilder.add_border``; ``lines`` are those that ``counts`` ask for."""
    return te.compute(y.shape, with_border(y, lines, counts), name="add_border")


@dataclass(frozen=True)
class Border:
    """A call of ``add_border``: the map, and the lines for the axes (2, 3) that have counts."""

    y: relax.Expr
    lines: dict[int, relax.Expr]
    counts: Counts

    @property
    def names(self) -> int:
        """Names in the expression of an element beside its own: a condition and a place a line."""
        return 8 * sum(map(sum, self.counts))


def emit_border(
    builder: relax.BlockBuilder, y: relax.Expr, lines: dict[int, relax.Expr], counts: Counts
) -> relax.Var:
    """``add_border`` as a call that ``read_border`` recognises."""
    words = " ".join(str(count) for pair in counts for count in pair)
    return builder.emit_te(
        partial(add_border, counts=counts),
        y,
        *(lines[axis] for axis in (2, 3) if axis in lines),
        primfunc_name_hint="add_border",
        primfunc_attrs={BORDER: words},
    )


def read_border(graph: Graph, var: relax.Expr) -> Border | None:
    """The call of ``add_border`` that computes ``var``; None if something else does."""
    words = graph.annotation(var, BORDER)
    if words is None:
        return None
    top, bottom, left, right = map(int, words.split())
    counts = (top, bottom), (left, right)
    operands = graph.value(var).args[1].fields
    # Free sizes are operands, too.
    y, *lines = (operand for operand in operands if graph.is_tensor(operand))
    axes = [axis for axis, pair in zip((2, 3), counts, strict=True) if any(pair)]
    return Border(y, dict(zip(axes, lines, strict=True)), counts)
