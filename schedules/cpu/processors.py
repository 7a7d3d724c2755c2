"""How many processors this process has, and what numbers of threads there may be."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path
from typing import Any

from tvm_deconv.errors import TargetError
from tvm_deconv.option_types import is_integer

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")

# More than any machine has: what weighs schedules walks through the shares of a kernel.
MOST_THREADS = 4096


def check_threads(count: Any, name: str = "threads") -> int:
    """The count as an int. Raises TargetError where it is no integer of 1 to ``MOST_THREADS``."""
    if not is_integer(count) or count < 1:
        raise TargetError(f"{name} must be a positive integer, got {count!r}")
    if int(count) > MOST_THREADS:
        raise TargetError(f"{name} must be at most {MOST_THREADS}, got {count}")
    return int(count)


def available_processors() -> int:
    """Logical processors that this process may run on, or those whose time it is given.

    Containers are given time, such as that of two processors (``docker run --cpus 2``), of all that
    a machine has: threads for all use it up at once, and then all of them wait.
    """
    count = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    quota = processor_quota()
    return count if quota is None else max(1, min(count, ceil(quota)))


def processor_quota(groups: Path = _GROUPS, membership: Path = _MEMBERSHIP) -> float | None:
    """The time of how many processors Linux gives this process at most; None where it is not said.

    ``groups`` is where control groups are mounted, of version 1 or 2; ``membership`` names those of
    the process. A group has what those above it leave, too.
    """
    try:
        # A group's name is one of a folder, which is any bytes.
        lines = os.fsdecode(membership.read_bytes()).split("\n")
    except OSError:
        return None
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, is_line, path = rest.partition(":")
        if not is_line or (controllers and "cpu" not in controllers.split(",")):
            continue
        root = groups / controllers
        if not root.exists():
            # Of version 1, whoever mounts them may name the folder after one controller.
            root = groups / "cpu"
        group = root / path.lstrip("/")
        # In a container the path is often that outside, of which nothing is to be seen.
        for folder in (group, *group.parents):
            if folder.is_relative_to(root):
                found += [_quota_of(folder)]
    return min((quota for quota in found if quota is not None), default=None)


def _quota_of(group: Path) -> float | None:
    """What a group says of itself: time in a period, ``max`` or -1 for any."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except (OSError, ValueError):
        return None
