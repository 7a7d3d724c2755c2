"""Every tuning log in the repository is in order, and what it says to be fastest computes right."""

from __future__ import annotations

import pytest
from kernel import check
from log_helper import HOST
from tvm.target import Target

from tvm_deconv.backends import identity_of
from tvm_deconv.logs.find import find_log, folders_below
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.roots import shipped_root
from tvm_deconv.logs.verifying import problems_of

LOGS = list(folders_below(shipped_root()))
# The float64 reference takes a second for as many.
MOST_MULTIPLY_ADDS = 200e6
# Layers of each log, from small to large.
REPLAYED = 4


def name(folder) -> str:
    return folder.parent.name


@pytest.mark.skipif(not LOGS, reason="tuning_logs/ holds no log yet")
def test_the_repository_has_logs():
    assert all(LogFolder.open(folder).layers for folder in LOGS)


@pytest.mark.parametrize("folder", LOGS, ids=name)
def test_a_committed_log_is_in_order(folder):
    assert list(problems_of(folder)) == []


@pytest.mark.parametrize("folder", LOGS, ids=name)
def test_a_committed_log_leaves_nothing_out(folder):
    log = LogFolder.open(folder)
    assert all(log.measured(layer) for layer in log.layers)
    assert log.notes == []


@pytest.mark.parametrize("folder", LOGS, ids=name)
def test_a_committed_log_is_found_by_its_target(folder):
    logs, _ = find_log(Target(LogFolder.open(folder).header.target), [shipped_root()])
    assert folder in [log.path for log in logs.folders]


def replayed():
    """Logs and layers to compute: kernels for another architecture cannot run here."""
    here = identity_of(HOST).architecture
    rows = []
    for log in map(LogFolder.open, LOGS):
        if log.header.processor.architecture == here:
            small = [one for one in log.layers if one.multiply_adds < MOST_MULTIPLY_ADDS]
            small.sort(key=lambda layer: layer.multiply_adds)
            step = max(len(small) // REPLAYED, 1)
            rows += [(log, layer) for layer in small[::step]]
    return rows


@pytest.mark.parametrize(
    ("log", "layer"), [pytest.param(*row, id=str(row[1])) for row in replayed()]
)
def test_the_best_candidate_of_a_layer_computes_what_it_should(log, layer):
    best, *_ = log.measured(layer)
    sizes = tuple(layer.sizes)
    check(best.variant.name, layer.conv, sizes, layer.dtype, parameters=best.parameters)
