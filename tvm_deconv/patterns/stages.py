"""What stands between a convolution and the far end of its input: copies and pointwise regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from . import pointwise
from .copying import Copying, read_copying
from .graph import Graph, Refused, Tensor
from .regions import collect

Stage: TypeAlias = Copying | pointwise.Region
# Each stage with the layout of its input; the stage nearest to the convolution is the first.
Stages: TypeAlias = tuple[tuple[Stage, str], ...]


def upstream(
    graph: Graph,
    data: Tensor,
    layout: str,
    until: Callable[[Tensor], bool] = lambda tensor: False,
) -> tuple[Stages, Tensor, str]:
    """All stages above ``data``, the tensor that the last one reads, and that one's layout.

    Nothing is looked for above a tensor of which ``until`` is true.
    """
    stages: list[tuple[Stage, str]] = []
    while graph.is_variable(data) and not until(data):
        step = read_copying(graph, data, layout)
        if isinstance(step, Copying):
            stages.append((step, layout))
            data = step.data
            continue
        region = collect(graph, data, layout) if step is None else step
        if isinstance(region, Refused) or not region.members:
            break
        stages.append((region, region.layout))
        data, layout = region.source, region.layout
    return tuple(stages), data, layout


def up_to_last_resize(stages: Stages) -> Stages:
    """The stages without those above the farthest resize; none if none resizes."""
    count = max((i + 1 for i, (stage, _) in enumerate(stages) if upsamples(stage)), default=0)
    return stages[:count]


def upsamplings(stages: Stages) -> frozenset[Tensor]:
    """The results of the resizes among ``stages``."""
    return frozenset(stage.result for stage, _ in stages if upsamples(stage))


def tensors_of(stages: Sequence[Stage]) -> frozenset[Tensor]:
    """What the stages compute, inside and at their ends."""
    inside = (s.members if isinstance(s, pointwise.Region) else {s.result} for s in stages)
    return frozenset().union(*inside)


def upsamples(stage: Stage) -> bool:
    return isinstance(stage, Copying) and stage.upsamples


def of_channels(stages: Stages, channels: Sequence[int]) -> Stages:
    """The stages as they act on some ``channels`` only; the constants of the others are left out.

    Copies act on all channels alike.
    """
    return tuple(
        (_region_of(stage, channels) if isinstance(stage, pointwise.Region) else stage, layout)
        for stage, layout in stages
    )


def _region_of(region: pointwise.Region, channels: Sequence[int]) -> pointwise.Region:
    def chosen(operand: object) -> object:
        if isinstance(operand, pointwise.Channel) and operand.values.ndim:
            return pointwise.Channel(operand.values[np.asarray(channels)])
        return operand

    steps = (replace(s, operands=tuple(map(chosen, s.operands))) for s in region.steps)
    return replace(region, steps=tuple(steps))
