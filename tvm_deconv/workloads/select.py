"""Workloads by name, by pattern or by group."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from tvm_deconv.errors import WorkloadError

from .dense_prediction import DENSE_PREDICTION
from .design import DESIGN
from .generation import GENERATION
from .networks import NETWORKS
from .sounds import SOUNDS
from .super_resolution import SUPER_RESOLUTION
from .volumes import VOLUMES
from .workload import Workload

LAYERS: tuple[Workload, ...] = (*SUPER_RESOLUTION, *GENERATION, *DENSE_PREDICTION, *DESIGN)
ALL: tuple[Workload, ...] = (*LAYERS, *NETWORKS)
GROUPS: dict[str, tuple[Workload, ...]] = {
    "all": ALL,
    "layers": LAYERS,
    "networks": NETWORKS,
    "design": DESIGN,
    "sounds": SOUNDS,
    "volumes": VOLUMES,
}
_KNOWN = (*ALL, *SOUNDS, *VOLUMES)


def find(patterns: Sequence[str]) -> list[Workload]:
    """The workloads that any of the patterns names, each once: those of ``ALL``, then the others.

    A pattern is a name, a shell pattern (``"espcn*"``, ``"*/deconv*"``) or a group: ``"layers"``,
    ``"networks"``, ``"all"`` of these two, ``"design"``, ``"sounds"`` or ``"volumes"``.

    Raises WorkloadError for one that names nothing.
    """
    chosen = {workload.name for pattern in patterns for workload in _named(pattern)}
    return [workload for workload in _KNOWN if workload.name in chosen]


def _named(pattern: str) -> Sequence[Workload]:
    if pattern in GROUPS:
        return GROUPS[pattern]
    found = [workload for workload in _KNOWN if fnmatchcase(workload.name, pattern)]
    if not found:
        raise WorkloadError(f"no workload is called {pattern!r}: {_advice(pattern)}")
    return found


def _advice(pattern: str) -> str:
    names = [workload.name for workload in _KNOWN] + list(GROUPS)
    near = get_close_matches(pattern.lower(), names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return (
        f"give a name such as {ALL[0].name}, a pattern such as 'espcn*', or one of the groups "
        f"{', '.join(GROUPS)}"
    )
