"""Convolution of a Concat, some of which was resized, to a sum of convolutions.

    conv(concat(resize(a, r), b), w)
        => conv_transpose(a, weight_convolution(w_a, r), strides=r) + conv(b, w_b)

A convolution is a sum over its input channels. Split where the Concat joins its inputs, w = (w_a,
w_b), it is the sum of one convolution for each input, of the same padding; that of a resized input
is a transposed convolution of the small map, as ``nearest_resize`` derives. Neither the large map
nor the Concat is written, and the second kernel adds what the first one wrote in its own store.

- *Inputs* may be any number in any order, and Concats of Concats. Those that were resized alike
  become one transposed convolution of the Concat of their small maps, all that were not resized
  one convolution of their Concat: each term costs one more pass over the output.
- *Between the Concat and the convolution* pointwise operators and paddings act on each channel by
  itself, so every input gets them with its own share of the constants.
- *Between a resize and the Concat* everything is as in ``nearest_resize``: a padding that makes the
  large map as large as the skip joins the padding of that input alone, and so does a crop.
- *A linear resize* is a term of its own, as ``bilinear_resize`` derives.
- *Groups* read neighbouring channels. If none reads two inputs, the terms are groups of their own
  and their results are not added but joined again.
- *An input whose resize cannot go* is one that was not resized: the rest is split off all the same.
- *Bytes* of a quantized network are split at nearest resizes, too, though their terms are added as
  float32: the resize is taken out of its kernel again (``algebra.unfolding``). A linear one stays,
  since its weights would need int16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain
from math import prod
from typing import Any

import numpy as np

from . import bilinear_resize, layouts, pointwise
from .bilinear_resize import FoldedConv, InterpolatedConv
from .convolution import Conv, conv_of, reads_bytes
from .graph import Builder, Graph, Refused, Tensor, Transposed
from .joined import JoinedConv, Part, pixels_of, read_joined, unequal_sizes
from .nearest_resize import NearestConv, farthest, low_resolution, transposed
from .rule import Emit, Plan, Rule
from .split_cost import pays
from .stages import Stages, of_channels
from .subpixel import describe


@dataclass(frozen=True)
class Resized:
    """A term of the sum: a transposed convolution of the Concat of small maps."""

    start: int
    maps: tuple[NearestConv, ...]

    @property
    def conv(self) -> NearestConv:
        """One transposed convolution for all of ``maps``; without groups if they are several."""
        first = self.maps[0]
        if len(self.maps) == 1:
            return first
        op = replace(first.op, in_channels=sum(each.op.in_channels for each in self.maps))
        weight = np.concatenate([each.weight for each in self.maps])
        of_conv = np.concatenate([each.conv.weight for each in self.maps], axis=1)
        return replace(first, op=op, weight=weight, conv=replace(first.conv, weight=of_conv))


@dataclass(frozen=True)
class Folded:
    """A term of the sum: a transposed convolution of a map that was enlarged linearly."""

    start: int
    conv: FoldedConv


@dataclass(frozen=True)
class Kept:
    """A term of the sum: a convolution of the Concat of inputs that stay; ``stages`` follow it."""

    start: int
    parts: tuple[Part, ...]
    stages: Stages
    conv: Conv


@dataclass(frozen=True)
class SplitConv:
    """A candidate of which everything holds. ``reason`` says why a resized input stays, if so."""

    conv: Conv
    resized: tuple[Resized, ...]
    folded: tuple[Folded, ...]
    kept: tuple[Kept, ...]
    reason: str

    @property
    def convolutions(self) -> int:
        return len(self.resized) + len(self.folded) + len(self.kept)

    @property
    def weights(self) -> int:
        """Of all terms."""
        resized = sum(term.conv.weight.size for term in self.resized)
        kept = sum(term.conv.weight.size for term in self.kept)
        return resized + kept + sum(prod(term.conv.op.weight_shape) for term in self.folded)


class ConcatConv(Rule[JoinedConv]):
    """Given and result, as mini-IR.

    Given::

        u = resize(a, r)                       # in all forms of NearestResize, BilinearResize
        c = concat(u, b)
        p = pad(pointwise(c))                  # optional
        y = conv(p, w, padding=P)              # conv2d, or conv3d in NCDHW

    Result::

        t = conv_transpose(pointwise_a(a), W, strides=r, padding=E-1-P)
        s = conv(pad(pointwise_b(b)), w_b, padding=P)
        y = add(t, s)                          # concat(t, s) with groups

    Does not handle: what ``NearestResize`` and ``BilinearResize`` do not, a Concat along another
    axis, crops of the Concat, groups that read two inputs, sizes not provably equal.
    """

    name = "convolution of a Concat"
    statement = (
        "conv(concat(resize(a, r), b), w) => "
        "conv_transpose(a, weight_convolution(w_a, r), strides=r) + conv(b, w_b)"
    )

    def match(self, graph: Graph, var: Tensor) -> JoinedConv | None:
        """The convolution ``var`` and the Concat that it reads, one input of which is resized."""
        return read_joined(graph, var)

    def plan(self, graph: Graph, match: JoinedConv) -> Plan | Refused:
        """The terms that take the convolution's place, if they are cheaper than it is."""
        uneven = unequal_sizes(graph, match.inputs, match.layout)
        conv = uneven or conv_of(graph, match.conv_var)
        if isinstance(conv, Refused):
            return conv
        split = check(graph, conv, match)
        if isinstance(split, Refused):
            return split
        var = conv.var
        out_channels, _, *kernel = conv.weight.shape
        sizes = graph.sizes_text(var, *kernel)
        factors = {each.factor for term in split.resized for each in term.maps}
        linear = {term.conv.factor for term in split.folded}
        words = [f"resize {graph.sizes_text(var, *f)}" for f in sorted(factors)]
        words += [f"linear resize {graph.sizes_text(var, *f)}" for f in sorted(linear)]
        after = [describe(graph, var, term.conv.op) for term in split.resized]
        after += [describe(graph, var, term.conv.op) for term in split.folded]
        after += [
            f"conv {sizes} {term.conv.in_channels}->{term.conv.weight.shape[0]}"
            for term in split.kept
        ]
        ending = f" (stays resized: {split.reason})" if split.reason else ""
        return Plan(
            root=var,
            conv=var,
            before=f"{', '.join(words)}, concat, conv {sizes} {conv.in_channels}->{out_channels}",
            after=(" | " if conv.groups > 1 else " + ").join(after) + ending,
            absorbed=_absorbed(split),
            emit=rewrite(graph, split),
            convolutions=split.convolutions,
            weights=(conv.weight.size, split.weights),
        )


def check(graph: Graph, conv: Conv, match: JoinedConv) -> SplitConv | Refused:
    """Everything that must hold of a Concat of maps of one size."""
    group = conv.weight.shape[1]
    inside = next((p.start for p in match.parts if p.start % group), None)
    if conv.groups > 1 and inside is not None:
        return Refused(
            f"groups={conv.groups}: the Concat's inputs meet at channel {inside}, inside a group "
            f"of {group}"
        )
    reason = ""
    resized: list[tuple[Part, NearestConv]] = []
    folded: list[Folded] = []
    kept: list[Part] = []
    for part in match.parts:
        found = _enlarged(graph, conv, match, part) if part.is_resized else None
        if isinstance(found, NearestConv):
            resized.append((part, found))
            continue
        if isinstance(found, FoldedConv):
            folded.append(Folded(part.start, found))
            continue
        kept.append(part)
        if found is not None:
            reason = reason or found.reason
    if not resized and not folded:
        return Refused(reason)
    split = SplitConv(
        conv,
        _resized_terms(graph, conv, resized),
        tuple(folded),
        _kept_terms(conv, match, kept),
        reason,
    )
    # Sums of two terms one after the other; with groups one Concat of all of them.
    joins = split.convolutions - 1 if conv.groups == 1 else min(split.convolutions - 1, 1)
    maps: list[tuple[Transposed, tuple[int, ...]]]
    maps = [(each.op, each.factor) for term in split.resized for each in term.maps]
    maps += [(term.conv.op, term.conv.factor) for term in folded]
    copied = sum(t.conv.in_channels for t in split.kept if len(t.parts) > 1)
    enlarged = sum(term.conv.op.in_channels for term in folded)
    return pays(graph, conv, maps, joins, copied, enlarged) or split


def _enlarged(
    graph: Graph, conv: Conv, match: JoinedConv, part: Part
) -> NearestConv | FoldedConv | Refused:
    """The term of an input that was enlarged."""
    stages = of_channels(match.stages, part.channels) + part.below + part.above
    share = _share(conv, part.channels)
    if part.linear is None:
        return farthest(graph, share, stages)
    if len(conv.axes) != 2:
        return Refused("no fold is written for a linear resize of a volume")
    if reads_bytes(graph, conv):
        return Refused("a linear resize of bytes adds up bytes, and its folded weights need int16")
    linear, plain = part.linear, tuple(stage for stage, _ in stages)
    candidate = InterpolatedConv(
        conv.var, plain, linear.map, linear.layout, linear.resize, part.joins
    )
    return bilinear_resize.check(graph, share, candidate)


def rewrite(graph: Graph, split: SplitConv) -> Emit:
    """Build the result; assumes that ``check`` passed."""

    def emit(builder: Builder, remap: Callable[[Tensor], Any]) -> Any:
        terms: list[tuple[int, Any]] = []
        for term in split.resized:
            small = [low_resolution(builder, remap, each) for each in term.maps]
            x = _joined(builder, small)
            terms.append((term.start, transposed(builder, x, term.conv)))
        for folded in split.folded:
            terms.append((folded.start, bilinear_resize.transposed(builder, remap, folded.conv)))
        for kept in split.kept:
            x = _joined(builder, [_emit_part(graph, builder, remap, part) for part in kept.parts])
            x = _emit_stages(graph, builder, x, kept.stages)
            terms.append((kept.start, builder.conv(x, kept.conv.weight, kept.conv)))
        if split.conv.groups > 1:
            y = _joined(builder, [value for _, value in sorted(terms, key=lambda term: term[0])])
        else:
            y = reduce(lambda a, b: builder.apply("add", (a, b)), [value for _, value in terms])
        layout = split.conv.out_layout
        return layouts.to(builder, y, layouts.channels_first(layout), layout)

    return emit


def _absorbed(split: SplitConv) -> frozenset[Tensor]:
    nearest = frozenset().union(*(m.absorbed for t in split.resized for m in t.maps))
    return nearest.union(*(term.conv.match.upsamplings for term in split.folded))


def _share(conv: Conv, channels: Sequence[int]) -> Conv:
    """What the convolution computes of some of its input channels: all outputs, or whole groups."""
    if conv.groups == 1:
        return replace(conv, weight=conv.weight[:, list(channels)])
    inputs, outputs = conv.weight.shape[1], conv.weight.shape[0] // conv.groups
    groups = range(channels[0] // inputs, (channels[-1] + 1) // inputs)
    weight = conv.weight[groups.start * outputs : groups.stop * outputs]
    return replace(conv, weight=weight, groups=len(groups))


def _resized_terms(
    graph: Graph, conv: Conv, resized: Sequence[tuple[Part, NearestConv]]
) -> tuple[Resized, ...]:
    """Maps of the same size that are resized alike are one term; with groups each is its own."""
    terms: list[Resized] = []
    for part, found in resized:
        same = (i for i, term in enumerate(terms) if _alike(graph, term.maps[0], found))
        at = next(same, None) if conv.groups == 1 else None
        if at is None:
            terms.append(Resized(part.start, (found,)))
        else:
            terms[at] = replace(terms[at], maps=(*terms[at].maps, found))
    return tuple(terms)


def _alike(graph: Graph, a: NearestConv, b: NearestConv) -> bool:
    if (a.op.axes, a.ends) != (b.op.axes, b.ends):
        return False
    return graph.same_shape(*(pixels_of(graph, each.data, each.layout) for each in (a, b)))


def _kept_terms(conv: Conv, match: JoinedConv, kept: Sequence[Part]) -> tuple[Kept, ...]:
    """One term for all; with groups one for each run of neighbours."""
    runs: list[list[Part]] = []
    for part in kept:
        if runs and (conv.groups == 1 or runs[-1][-1].stop == part.start):
            runs[-1].append(part)
        else:
            runs.append([part])
    terms = []
    for run in runs:
        channels = [c for part in run for c in part.channels]
        stages = of_channels(match.stages, channels)
        terms.append(Kept(run[0].start, tuple(run), stages, _share(conv, channels)))
    return tuple(terms)


def _joined(builder: Builder, values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else builder.concat(values)


def _emit_part(graph: Graph, builder: Builder, remap: Callable, part: Part) -> Any:
    x = layouts.to(builder, remap(part.source), part.layout, layouts.channels_first(part.layout))
    return _emit_stages(graph, builder, x, part.below)


def _emit_stages(graph: Graph, builder: Builder, x: Any, stages: Stages) -> Any:
    """The pointwise operators and paddings of ``stages`` on ``x``, which is channels first."""
    for stage, layout in reversed(stages):
        if isinstance(stage, pointwise.Region):
            x = pointwise.emit(stage, builder, x, pointwise.PlainForm(len(layout) - 2))
            continue
        call = graph.call(stage.result)
        assert call is not None
        both = [int(width) for width in call.attrs.pad_width]
        _, _, *sides = layouts.dims(list(zip(both[::2], both[1::2], strict=True)), layout)
        x = builder.pad(x, list(chain(*sides)), str(call.attrs.pad_mode))
    return x
