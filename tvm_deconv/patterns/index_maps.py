"""Where a convolution reads a map through resizes, repeats, takes, paddings and crops: per axis."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_deconv.algebra.axis_map import AxisMap, Border, border

from . import pointwise
from .copying import Copying, Maps
from .graph import Graph, Refused
from .operators import KEEPS_ZERO, PRELU, TRANSPOSE
from .stages import Stage


def compose(graph: Graph, stages: Sequence[Stage], sizes: Sequence[object]) -> Maps | Refused:
    """Where ``stages``, nearest to the convolution first, read a map of ``sizes`` behind N, C."""
    maps: Maps = tuple(AxisMap(size if isinstance(size, int) else None) for size in sizes)
    zeros: Copying | None = None
    for stage in reversed(stages):
        if isinstance(stage, Copying):
            applied = stage.apply(maps)
            if isinstance(applied, Refused):
                return applied
            maps = applied
            zeros = stage if stage.adds_zeros else zeros
        elif zeros is not None:
            moved = next((s for s in stage.steps if not _keeps_zero(s)), None)
            if moved is not None:
                return Refused(
                    f"{graph.spell(moved.op)} follows the zero padding "
                    f"{graph.describe(zeros.result)} and does not map 0 to 0"
                )
    return maps


def borders(name: str, found: AxisMap) -> tuple[Border, Border] | Refused:
    """Begin and end of axis ``name`` as zeros around copies of the edge."""
    sides = (found.begin, found.end[::-1])
    result = []
    for side, sources, cropped in zip(("begin", "end"), sides, found.cropped, strict=True):
        read = border(sources, cropped)
        if read is None:
            return Refused(
                f"padding at the {side} of axis {name} reads input samples {list(sources)}, "
                f"which is no edge padding of the input (factor {found.factor})"
            )
        result.append(read)
    return result[0], result[1]


def _keeps_zero(step: pointwise.Step) -> bool:
    if step.op in (PRELU, TRANSPOSE) or step.op in KEEPS_ZERO:
        return True
    constants = [o for o in step.operands if isinstance(o, pointwise.Channel)]
    return step.op == "multiply" and len(constants) == 1
