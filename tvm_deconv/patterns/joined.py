"""Reading the Concat in front of a convolution: its inputs, and what stands between."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from . import layouts
from .copying import Copying
from .graph import Graph, Interpolated, Refused, Tensor
from .operators import CONCAT, CONVOLUTIONS, PAD
from .stages import Stages, of_channels, tensors_of, up_to_last_resize, upsamplings, upstream

_AXES = {"NCHW": "batch, height, width", layouts.VOLUME: "batch, depth, height, width"}


@dataclass(frozen=True)
class Linear:
    """A linear resize: ``map``, of ``layout``, is the enlarged map."""

    map: Tensor
    layout: str
    resize: Interpolated


@dataclass(frozen=True)
class Part:
    """Channels ``start`` to ``stop`` of what the convolution reads.

    ``source``, of ``layout``, is the input of a Concat; ``below`` are the stages between that one
    and the outermost Concat, ``above`` those from ``source`` up to its last nearest resize, or to
    the linear one that it was enlarged by (``linear``), if any. ``joins`` are the Concats below the
    source, and what stands between them and the convolution.
    """

    start: int
    stop: int
    source: Tensor
    layout: str
    below: Stages
    above: Stages
    linear: Linear | None
    joins: frozenset[Tensor]

    @property
    def channels(self) -> range:
        return range(self.start, self.stop)

    @property
    def is_resized(self) -> bool:
        return self.linear is not None or bool(self.above)


@dataclass(frozen=True)
class JoinedConv:
    """A convolution and the stages between it and a Concat.

    ``inputs`` are those of the Concat, of ``layout``, each with its channels; ``parts`` are the
    same with Concats among them taken apart.
    """

    conv_var: Tensor
    stages: Stages
    inputs: tuple[tuple[Tensor, int], ...]
    layout: str
    parts: tuple[Part, ...]

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        nearest = frozenset().union(*(upsamplings(part.above) for part in self.parts))
        return nearest | {part.linear.resize.resize for part in self.parts if part.linear}


def read_joined(graph: Graph, var: Tensor) -> JoinedConv | None:
    """The convolution ``var`` and the Concat that it reads, one input of which is resized."""
    call = graph.call(var)
    if call is None or call.op not in CONVOLUTIONS:
        return None
    stages, joined, layout = upstream(graph, call.args[0], str(call.attrs.data_layout))
    inputs = _inputs(graph, joined, layout)
    if inputs is None or not _acts_on_each_channel(graph, stages):
        return None
    parts = tuple(_parts(graph, inputs, layout, {joined} | tensors_of([s for s, _ in stages])))
    match = JoinedConv(var, stages, tuple(inputs), layout, parts)
    return match if match.upsamplings else None


def _inputs(graph: Graph, joined: Tensor, layout: str) -> list[tuple[Tensor, int]] | None:
    """The tensors that ``joined`` has along the channels, each with how many; None if no Concat."""
    call = graph.call(joined)
    if call is None or call.op != CONCAT or call.attrs.axis is None:
        return None
    if layout[int(call.attrs.axis) % len(layout)] != "C":
        return None
    found = []
    for tensor in call.args:
        own = graph.shape(tensor)
        if own is None or len(own) != len(layout):
            return None
        channels = layouts.dims(own, layout)[1]
        if not isinstance(channels, int):
            return None
        found.append((tensor, channels))
    return found


def _parts(
    graph: Graph, inputs: Sequence[tuple[Tensor, int]], layout: str, joins: Set[Tensor]
) -> list[Part]:
    parts: list[Part] = []
    first = 0
    for tensor, channels in inputs:
        stages, source, at = upstream(
            graph, tensor, layout, until=lambda found: graph.interpolated(found) is not None
        )
        last, linear = up_to_last_resize(stages), None
        resize = None if last else graph.interpolated(source)
        if resize is not None:
            last, linear = stages, Linear(source, at, resize)
        inner = None if last or linear else _inputs(graph, source, at)
        if inner is not None and unequal_sizes(graph, inner, at):
            inner = None
        below = joins | {source} | tensors_of([stage for stage, _ in stages])
        nested = [] if inner is None else _parts(graph, inner, at, below)
        if any(part.is_resized for part in nested) and _acts_on_each_channel(graph, stages):
            for part in nested:
                moved = of_channels(stages, part.channels) + part.below
                start, stop = first + part.start, first + part.stop
                parts.append(replace(part, start=start, stop=stop, below=moved))
        else:
            stop = first + channels
            parts.append(Part(first, stop, tensor, layout, (), last, linear, frozenset(joins)))
        first += channels
    return parts


def _acts_on_each_channel(graph: Graph, stages: Stages) -> bool:
    """Whether the stages can be emitted again for some of their channels."""
    return all(
        not isinstance(stage, Copying) or graph.operator(stage.result) == PAD for stage, _ in stages
    )


def unequal_sizes(
    graph: Graph, inputs: Sequence[tuple[Tensor, int]], layout: str
) -> Refused | None:
    """Sizes that TVM takes for equal and that we cannot prove to be."""
    first, *others = ((tensor, pixels_of(graph, tensor, layout)) for tensor, _ in inputs)
    for tensor, pixels in others:
        if not graph.same_shape(first[1], pixels):
            return Refused(
                f"the Concat joins {graph.describe(first[0])} of {graph.shape_text(first[1])} "
                f"({_AXES[layouts.channels_first(layout)]}) and {graph.describe(tensor)} of "
                f"{graph.shape_text(pixels)}, which are not provably equal"
            )
    return None


def pixels_of(graph: Graph, tensor: Tensor, layout: str) -> tuple[Any, ...]:
    """(batch, height, width), of volumes with the depth."""
    n, _, *sides = layouts.dims(graph.shape(tensor) or (), layout)
    return (n, *sides)
