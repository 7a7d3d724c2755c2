"""What becomes of each candidate of a function, as decisions and as lines of the report."""

from __future__ import annotations

from tvm_deconv.report import REFUSED, REWRITTEN, LayerReport

from .bilinear_resize import BilinearResize
from .concat import ConcatConv
from .graph import Graph, Refused, Tensor
from .linear_pointwise import LinearPointwise
from .nearest_resize import NearestResize
from .rule import Decision, Plan, Rule
from .subpixel import SubPixel
from .volume_subpixel import VolumeSubPixel

# In this order: a convolution between a resize and a shuffle can only go to one of them, and the
# shuffle gains more, since no pass over the large map remains.
RULES: tuple[Rule, ...] = (
    SubPixel(),
    VolumeSubPixel(),
    ConcatConv(),
    NearestResize(),
    LinearPointwise(),
    BilinearResize(),
)


def decide(graph: Graph) -> list[Decision]:
    """A decision for every candidate of a function, in the order of the program."""
    decisions: list[Decision] = []
    taken: dict[Tensor, str] = {}
    seen: set[Tensor] = set()
    for rule in RULES:
        found = rule.decide(graph, taken, seen)
        taken |= {d.outcome.conv: rule.name for d in found if isinstance(d.outcome, Plan)}
        decisions += found
    return sorted(decisions, key=lambda d: graph.position[d.layer])


def plans_of(decisions: list[Decision]) -> dict[Tensor, Plan]:
    """The plans among decisions, by the tensor that each gives a new value."""
    return {d.outcome.root: d.outcome for d in decisions if isinstance(d.outcome, Plan)}


def report_line(graph: Graph, function: str, decision: Decision) -> LayerReport:
    """The line of the report for a candidate in ``function``."""
    layer = graph.name(decision.layer)
    outcome = decision.outcome
    if isinstance(outcome, Refused):
        return LayerReport(function, layer, decision.statement, REFUSED, reason=outcome.reason)
    return LayerReport(
        function,
        layer,
        decision.statement,
        REWRITTEN,
        before=outcome.before,
        after=outcome.after,
    )
