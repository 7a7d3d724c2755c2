"""What can be compared of two runtimes: kernels of both that compute the same nodes.

Where one runtime computes {Conv, Relu} and {Add}, the other {Conv} and {Relu, Add}, only all three
nodes together are the same: kernels are put together until no node is computed in two places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm_deconv.bench.figures import HEADLINE, Spread

PROFILED_PEER = "onnxruntime"


@dataclass(frozen=True)
class Part:
    """Nodes of a model, and the kernels that compute them: ``ours``, and the peer's ``theirs``.

    ``share`` is that of our kernels in all of ours. Kernels of no known node have a part without
    nodes each. Either side may be empty, and then has no time (``Spread``, in milliseconds).
    """

    nodes: tuple[str, ...]
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    ours_ms: Spread | None
    theirs_ms: Spread | None
    share: float

    @property
    def ratio(self) -> float | None:
        """The peer's time over ours; None where only one of both has kernels of these nodes."""
        if self.ours_ms is None or self.theirs_ms is None or not self.ours_ms.median:
            return None
        return self.theirs_ms.median / self.ours_ms.median


def kernels_of(workload: Mapping[str, Any], contestant: str) -> list[Mapping[str, Any]]:
    """The profiled kernels of a contestant in the record of a workload; none if there is none."""
    record = workload["contestants"].get(contestant, {})
    return record.get("profile", {}).get("kernels", [])


def parts_of(workload: Mapping[str, Any]) -> list[Part]:
    """All kernels of both in parts, the longest of ours first."""
    ours, theirs = (kernels_of(workload, name) for name in (HEADLINE, PROFILED_PEER))
    total = sum(_median([kernel]) for kernel in ours)
    parts = []
    for own, other in _together(ours, theirs):
        nodes = {name for kernel in (*own, *other) for name in kernel["nodes"]}
        parts.append(
            Part(
                tuple(name for name in workload.get("nodes", ()) if name in nodes),
                tuple(kernel["name"] for kernel in own),
                tuple(kernel["name"] for kernel in other),
                _spread(own),
                _spread(other),
                sum(_median([kernel]) for kernel in own) / total if total else 0.0,
            )
        )
    return sorted(parts, key=lambda part: -part.share)


Kernels = list[Mapping[str, Any]]


def _together(
    ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]
) -> list[tuple[Kernels, Kernels]]:
    """Kernels that share nodes, or share them with kernels that share nodes, and so on."""
    found: list[tuple[set[str], Kernels, Kernels]] = []
    for side, kernels in ((0, ours), (1, theirs)):
        for kernel in kernels:
            nodes = set(kernel["nodes"])
            both: tuple[Kernels, Kernels] = ([], [])
            both[side].append(kernel)
            apart = []
            for known, own, other in found:
                if known.isdisjoint(nodes):
                    apart.append((known, own, other))
                else:
                    nodes |= known
                    both = (own + both[0], other + both[1])
            found = [*apart, (nodes, *both)]
    return [(own, other) for _, own, other in found]


def _spread(kernels: Kernels) -> Spread | None:
    """Of the kernels' times in each call, added."""
    sums = [sum(times) for times in zip(*(kernel["ms"] for kernel in kernels), strict=True)]
    return Spread.of(sums) if sums else None


def _median(kernels: Kernels) -> float:
    spread = _spread(kernels)
    return spread.median if spread else 0.0
