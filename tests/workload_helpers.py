"""Named workloads as test parameters, and at sizes that a test can afford."""

from __future__ import annotations

import pytest

from tvm_deconv.workloads import Workload


def by_name(workloads):
    return pytest.mark.parametrize("workload", workloads, ids=lambda workload: workload.name)


def small(workload: Workload) -> Workload:
    """At a size of a few pixels, odd where the network allows it."""
    if workload.name.startswith("unet-"):
        return workload.resized(8, 12)  # halved twice, and joined again
    return workload if workload.name == "dcgan" else workload.resized(6, 9)
