"""Rewrites that would make more weights than a network may have are given up.

A folded resize has more weights than its convolution: 16 for 9 of a 3x3 kernel behind a nearest
resize by 2. What it saves is in proportion to the pixels of its result, for each weight. So those
of the smallest maps are given up first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, prod

from .graph import Graph, Refused, Tensor
from .operators import CONV
from .rule import Decision, Plan

_CONVOLUTIONS = (CONV, "nn.conv2d_transpose", "nn.conv3d", "nn.conv3d_transpose")


def within_budget(
    graph: Graph, decisions: list[Decision], most: Callable[[int], float]
) -> list[Decision]:
    """``decisions`` after which all convolutions together have few enough weights.

    ``most`` says how many they may have, given how many they have before.
    """
    before = sum(_weights(graph, var) for var in graph.order if var in graph.live)
    folds = [d for d in decisions if _added(d) > 0]
    after = before + sum(map(_added, decisions))
    allowed = most(before)
    given_up: dict[Tensor, Decision] = {}
    for decision in sorted(folds, key=lambda d: _pixels(graph, d)):
        if after <= allowed:
            break
        after -= _added(decision)
        given_up[decision.layer] = replace(decision, outcome=_refused(decision, allowed))
    return [given_up.get(decision.layer, decision) for decision in decisions]


def _refused(decision: Decision, allowed: float) -> Refused:
    assert isinstance(decision.outcome, Plan) and decision.outcome.weights is not None
    before, after = decision.outcome.weights
    return Refused(
        f"it would make {after} weights of {before}, and all convolutions together may have "
        f"{allowed:.0f} (max_weight_growth)"
    )


def _added(decision: Decision) -> int:
    """Weights that a decision adds."""
    plan = decision.outcome
    if not isinstance(plan, Plan) or plan.weights is None:
        return 0
    return plan.weights[1] - plan.weights[0]


def _weights(graph: Graph, var: Tensor) -> int:
    """Constant weights of the convolution ``var``; 0 if it is none, or has no constant ones."""
    call = graph.call(var)
    if call is None or call.op not in _CONVOLUTIONS:
        return 0
    kernel = graph.constant(call.args[1])
    return 0 if kernel is None else int(kernel.size)


def _pixels(graph: Graph, decision: Decision) -> float:
    """Of the result of what is rewritten; a free size counts as large."""
    shape = graph.shape(decision.layer) or ()
    return prod(size if isinstance(size, int) else inf for size in shape)
