"""The search space of a layer, and the parts that MetaSchedule's search is made of."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from hypothesis import HealthCheck, given, settings
from kernel import expected_output, layers
from tvm.ir.utils import derived_object
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.builder import BuilderResult, PyBuilder
from tvm.s_tir.meta_schedule.database import MemoryDatabase, TuningRecord
from tvm.s_tir.meta_schedule.measure_callback import PyMeasureCallback
from tvm.s_tir.meta_schedule.runner import PyRunner, PyRunnerFuture, RunnerResult
from tvm.s_tir.meta_schedule.task_scheduler import RoundRobin

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.space import parameters_of, point_of, tuning_refusal
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning.context import tune_context
from tvm_deconv.tuning.definition import LAYER_ATTRIBUTE, candidate_of, definition, is_layer
from tvm_deconv.tuning.features import GuidedXGBoost, features
from tvm_deconv.tuning.search import (
    DefaultsThenSearch,
    Feasible,
    Mutate,
    SearchSpace,
    default_candidates,
    key,
    key_of,
)

HOST = resolve_target("host")
MACHINE = cpu_machine(HOST)
AXIS = Axis(4, 2, 1, 1)
LAYER = Layer(ConvTranspose2d(16, 24, AXIS, AXIS), Sizes(1, 20, 33))


@given(layers())
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_the_plain_definition_of_a_layer_computes_it(drawn):
    conv, shape = drawn
    layer = Layer(conv, Sizes(*shape))
    if min(layer.output_shape) < 1:
        return
    random = np.random.default_rng(0)
    x = random.standard_normal(layer.input_shape).astype("float32")
    weight = random.standard_normal(conv.weight_shape).astype("float32")
    y = tvm.runtime.empty(layer.output_shape)
    mod = definition(layer)
    tvm.compile(mod, target=HOST)["main"](tvm.runtime.tensor(x), tvm.runtime.tensor(weight), y)
    expected = expected_output(conv, x, weight)
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert is_layer(mod)
    assert mod["main"].attrs[LAYER_ATTRIBUTE] == str(layer)


def test_every_default_is_a_candidate_and_the_first_is_the_one_that_compile_takes():
    found = default_candidates(LAYER, MACHINE)
    able = {name for name, variant in VARIANTS.items() if variant.cannot(LAYER.conv) is None}
    assert {c.variant.name for c in found} == able == set(VARIANTS) - {"depthwise"}
    chosen = choose(LAYER.conv, LAYER.sizes, LAYER.dtype, MACHINE)
    assert (found[0].variant, found[0].parameters) == (chosen.variant, chosen.parameters)


def test_a_candidate_is_read_back_from_its_trace():
    space = SearchSpace(LAYER, MACHINE)
    for candidate in default_candidates(LAYER, MACHINE):
        measurable = space.measurable(candidate)
        assert candidate_of(measurable.sch, MACHINE) == candidate
        replayed = Schedule(definition(LAYER))
        measurable.sch.trace.apply_to_schedule(replayed, remove_postproc=False)
        assert candidate_of(replayed, MACHINE) == candidate
        assert key(measurable, MACHINE) == key_of(candidate)


def test_a_value_that_the_space_lacks_can_be_measured_too():
    space = SearchSpace(LAYER, MACHINE)
    candidate = default_candidates(LAYER, MACHINE)[0]
    point = point_of(candidate.parameters)
    odd = max(space.fields[candidate.variant.name]["channel_splits"]) + 7
    changed = Candidate(
        LAYER, candidate.variant, parameters_of(candidate.variant, {**point, "channel_splits": odd})
    )
    assert candidate_of(space.measurable(changed).sch, MACHINE) == changed


def test_infeasible_candidates_are_dropped_before_they_are_built():
    space, feasible = SearchSpace(LAYER, MACHINE), Feasible(MACHINE)
    (good,) = (c for c in default_candidates(LAYER, MACHINE) if c.variant.name == "revd2")
    point = {**point_of(good.parameters), "vectors": 8, "channels": 16}
    spilling = Candidate(LAYER, good.variant, parameters_of(good.variant, point))
    assert feasible.apply(space.measurable(good).sch)
    assert not feasible.apply(space.measurable(spilling).sch)


def test_a_mutation_changes_one_field_or_two_and_stays_in_the_space():
    space, mutate = SearchSpace(LAYER, MACHINE), Mutate(3)
    measurable = space.measurable(default_candidates(LAYER, MACHINE)[0])
    before = point_of(candidate_of(measurable.sch, MACHINE).parameters)
    name = candidate_of(measurable.sch, MACHINE).variant.name
    changed = set()
    for _ in range(40):
        sch = Schedule(definition(LAYER))
        mutate.apply(measurable.sch.trace).apply_to_schedule(sch, remove_postproc=False)
        after = point_of(candidate_of(sch, MACHINE).parameters)
        differing = {field for field in before if before[field] != after[field]}
        assert 1 <= len(differing) <= 2
        assert all(after[field] in space.fields[name][field] for field in differing)
        changed |= differing
    assert len(changed) > 4


def test_features_are_finite_for_every_variant():
    for candidate in default_candidates(LAYER, MACHINE):
        row = features(candidate, MACHINE)
        assert row.dtype == "float32"
        assert np.isfinite(row).all()


@derived_object
class _Answer(PyRunnerFuture):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def done(self):
        return True

    def result(self):
        return RunnerResult([self.seconds], None)


class _Search:
    """MetaSchedule's search with times that a function gives."""

    def __init__(self, cost, known=frozenset(), stop_after=10**9, database=None):
        self.cost, self.seen, self.rounds = cost, [], 0
        self.space = SearchSpace(LAYER, MACHINE)
        first = [self.space.measurable(c) for c in default_candidates(LAYER, MACHINE)]
        first = [c for c in first if key(c, MACHINE) not in known]
        strategy = DefaultsThenSearch(first, set(known), lambda: self.rounds >= stop_after, MACHINE)
        self.model = GuidedXGBoost(MACHINE, 1)
        self.database = database or MemoryDatabase()
        self.context = tune_context(
            self.space.mod,
            HOST,
            space=self.space.generator(1),
            strategy=strategy,
            name="layer",
            seed=1,
        )

    def run(self, trials):
        search = self

        @derived_object
        class Runner(PyRunner):
            def run(self, inputs):
                return [_Answer(s) for s in search.pending]

        @derived_object
        class Builder(PyBuilder):
            def build(self, inputs):
                made = [candidate_of(Schedule(given.mod), MACHINE) for given in inputs]
                search.pending = [search.cost(c) for c in made]
                return [BuilderResult("nothing", None) for _ in inputs]

        @derived_object
        class Record(PyMeasureCallback):
            def apply(self, scheduler, task_id, candidates, built, results):
                search.rounds += 1
                workload = search.database.commit_workload(search.space.mod)
                for c, r in zip(candidates, results, strict=True):
                    search.seen.append(candidate_of(c.sch, MACHINE))
                    search.database.commit_tuning_record(
                        TuningRecord(c.sch.trace, workload, r.run_secs, HOST, c.args_info)
                    )
                search.model.update(search.context, candidates, results)

        RoundRobin().tune(
            [self.context],
            [1.0],
            max_trials_global=trials,
            max_trials_per_task=trials,
            num_trials_per_iter=8,
            builder=Builder(),
            runner=Runner(),
            measure_callbacks=[Record()],
            database=self.database,
            cost_model=self.model,
        )
        return self.seen


def _prefers_low_strips_of_tdc(candidate):
    if candidate.variant.name != "tdc":
        return 1e-2
    return 1e-4 * (1 + candidate.parameters.rows) * (1 + 0.1 * candidate.parameters.column_tiles)


@pytest.fixture(scope="module")
def seen(small_generations):
    """What a search measures, in order."""
    return _Search(_prefers_low_strips_of_tdc).run(64)


def test_the_search_measures_defaults_first_and_nothing_twice_or_infeasible(seen):
    defaults = default_candidates(LAYER, MACHINE)
    assert seen[: len(defaults)] == defaults
    assert len({key_of(c) for c in seen}) == len(seen) >= 62
    for c in seen:
        assert not tuning_refusal(c.variant, LAYER.conv, LAYER.sizes, c.parameters, MACHINE)


def test_the_search_finds_what_the_machine_model_would_not_choose(seen):
    defaults = default_candidates(LAYER, MACHINE)
    best = min(map(_prefers_low_strips_of_tdc, seen))
    assert best < 0.6 * min(map(_prefers_low_strips_of_tdc, defaults))


def test_what_an_earlier_run_measured_guides_the_search_but_is_not_measured_again(
    small_generations,
):
    first = _Search(_prefers_low_strips_of_tdc)
    earlier = {key_of(c) for c in first.run(24)}
    again = _Search(_prefers_low_strips_of_tdc, known=earlier, database=first.database).run(24)
    # A search that comes up with nothing new asks again, and must not exceed what was agreed.
    assert 0 < len(again) <= 24
    assert not earlier & {key_of(c) for c in again}


def test_a_search_that_is_stopped_ends_after_the_round(small_generations):
    seen = _Search(_prefers_low_strips_of_tdc, stop_after=2).run(64)
    assert len(default_candidates(LAYER, MACHINE)) < len(seen) <= 6 + 8
