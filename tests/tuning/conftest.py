"""Tuning that is quick: how long a kernel takes, and how good the best is, matters to few tests."""

from __future__ import annotations

from functools import partial

import pytest


@pytest.fixture(scope="module")
def small_generations():
    """A search thinks of an eighth of the candidates or less, and measures as many as before."""
    from tvm_deconv.tuning import ops, search

    few = {"population_size": 32, "init_min_unmeasured": 8, "genetic_num_iters": 2}
    small = partial(ops.EvolutionarySearch, **few)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_POPULATION", 64)
        patch.setattr(search, "_GENERATIONS", 2)
        patch.setattr(ops, "EvolutionarySearch", small)
        yield


@pytest.fixture
def quick(monkeypatch, small_generations):
    """Short samples, small generations, one process that builds."""
    from tvm_deconv.tuning import driver

    monkeypatch.setattr(driver, "_MIN_REPEAT_MS", 1)
    monkeypatch.setattr(driver, "available_processors", lambda: 1)
