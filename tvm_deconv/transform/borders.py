"""What the fold of a resize adds at the border of a map, as a call in Relax (``algebra.outside``).

The PrimFunc of ``add_border`` carries ``BORDER``, so that ``LowerConvolutions`` can put it where
the convolution is stored: then nothing passes over the map again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tvm import relax, te

from tvm_deconv.annotations import BORDER
from tvm_deconv.schedules.algorithms.borders import Counts, with_border

if TYPE_CHECKING:
    from .graph import Graph


def add_border(y: te.Tensor, *faces: te.Tensor, counts: Counts, volume: Any = None) -> te.Tensor:
    """``patterns.graph.BorderBuilder.add_border``; ``faces`` are those that ``counts`` ask for.

    ``volume`` is that of ``with_border``, of a picture of a volume's slices.
    """
    element = with_border(y, faces, counts, volume=volume)
    return te.compute(y.shape, element, name="add_border")


@dataclass(frozen=True)
class Border:
    """A call of ``add_border``: the map, and the faces for the axes (from 2 on) with counts."""

    y: relax.Expr
    faces: dict[int, relax.Expr]
    counts: Counts

    @property
    def names(self) -> int:
        """Names in the expression of an element beside its own: a condition and a place a face."""
        return 8 * sum(map(sum, self.counts))


def emit_border(
    builder: relax.BlockBuilder,
    y: relax.Expr,
    faces: dict[int, relax.Expr],
    counts: Counts,
    volume: Any = None,
) -> relax.Var:
    """``add_border`` as a call that ``read_border`` recognises."""
    words = " ".join(str(count) for pair in counts for count in pair)
    return builder.emit_te(
        partial(add_border, counts=counts, volume=volume),
        y,
        *(faces[axis] for axis in sorted(faces)),
        primfunc_name_hint="add_border",
        primfunc_attrs={BORDER: words},
    )


def read_border(graph: Graph, var: relax.Expr) -> Border | None:
    """The call of ``add_border`` that computes ``var``; None if something else does."""
    words = graph.annotation(var, BORDER)
    if words is None:
        return None
    numbers = [int(word) for word in words.split()]
    counts = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    operands = graph.value(var).args[1].fields
    # Free sizes are operands, too.
    y, *faces = (operand for operand in operands if graph.is_tensor(operand))
    axes = [axis for axis, pair in enumerate(counts, start=2) if any(pair)]
    return Border(y, dict(zip(axes, faces, strict=True)), counts)
