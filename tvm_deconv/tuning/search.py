"""The search space of a layer for MetaSchedule, and what its evolutionary search needs for it.

Each variant is a design space of its own: the plain definition with one sampled number for each
field of the variant's parameters. Combinations that could not work are dropped by a postprocessor
before anything is built.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tvm.ir.utils import derived_object
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.mutator import PyMutator
from tvm.s_tir.meta_schedule.postproc import PyPostproc
from tvm.s_tir.meta_schedule.search_strategy import (
    EvolutionarySearch,
    MeasureCandidate,
    PySearchStrategy,
)
from tvm.s_tir.meta_schedule.space_generator import ScheduleFn
from tvm.s_tir.schedule import Trace

from tvm_deconv.errors import TvmDeconvError
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.schedules.machines import AnyVariant, Machine, variants_of_dtype
from tvm_deconv.schedules.space import fields, point_of, tuning_refusal

from .definition import annotate, candidate_of, definition

# Replaying a trace in Python takes about a millisecond, so generations are small: MetaSchedule's
# own 512 candidates for 4 generations would take longer to think of than to measure.
_POPULATION, _GENERATIONS, _RANDOM_AT_LEAST = 256, 4, 32
# Share of random candidates in a round: against a cost model that is wrong early.
_RANDOM_SHARE = 0.1

# How often a round may come up with nothing but candidates that were measured before.
_MAX_KNOWN_ROUNDS = 5


def variants_of(layer: Layer, machine: Machine) -> list[AnyVariant]:
    """The machine's variants that can compute a layer."""
    variants = variants_of_dtype(machine, layer.dtype).values()
    is_volume = layer.conv.slices is not None
    usable = [v for v in variants if v.for_volumes or not is_volume]
    return [v for v in usable if v.cannot(layer.conv) is None]


def default_candidates(layer: Layer, machine: Machine) -> list[Candidate]:
    """Each variant with the parameters that it chooses itself, the fastest by the model first."""
    found = []
    for variant in variants_of(layer, machine):
        parameters = variant.choose(layer.conv, layer.sizes, machine)
        cycles = variant.cycles(layer.conv, layer.sizes, parameters, machine)
        found.append((cycles, Candidate(layer, variant, parameters)))
    # The sort is stable, so equals stay in the order of the registry, as in ``choice``.
    return [candidate for _, candidate in sorted(found, key=lambda pair: pair[0])]


class SearchSpace:
    """The values that each variant's fields may take for a layer, and traces over them."""

    def __init__(self, layer: Layer, machine: Machine) -> None:
        self.layer, self.machine = layer, machine
        self.mod = definition(layer)
        self.fields = {
            variant.name: fields(variant, layer.conv, layer.sizes, machine)
            for variant in variants_of(layer, machine)
        }

    def generator(self, seed: int) -> ScheduleFn:
        """MetaSchedule's view of the space."""
        return ScheduleFn(
            lambda sch: [self._sampled(sch.copy(), name) for name in self.fields],
            sch_rules=[],
            postprocs=[Feasible(self.machine)],
            mutator_probs={Mutate(seed): 1.0},
        )

    def measurable(self, candidate: Candidate) -> MeasureCandidate:
        """A candidate with the trace that leads to it, its fields being decisions of the space.

        A value that the space does not have is a decision all the same.
        """
        sch = Schedule(self.mod)
        self._sampled(sch, candidate.variant.name, point_of(candidate.parameters))
        return MeasureCandidate(sch, ArgInfo.from_entry_func(sch.mod, remove_preproc=True))

    def _sampled(
        self, sch: Schedule, variant: str, decided: Mapping[str, int] | None = None
    ) -> Schedule:
        point: dict[str, Any] = {}
        for name, values in self.fields[variant].items():
            if decided is not None and decided[name] not in values:
                values = tuple(sorted({*values, decided[name]}))
            decision = None if decided is None else values.index(decided[name])
            weights = [1.0] * len(values)
            point[name] = sch.sample_categorical(list(values), weights, decision=decision)
        annotate(sch, variant, point)
        return sch


@derived_object
class Feasible(PyPostproc):
    """Drops candidates that could not work on the machine, before they are built."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine

    def _initialize_with_tune_context(self, context: Any) -> None:
        pass

    def apply(self, sch: Schedule) -> bool:
        try:
            candidate = candidate_of(sch, self.machine)
        except TvmDeconvError:
            return False
        layer, variant = candidate.layer, candidate.variant
        reason = tuning_refusal(
            variant, layer.conv, layer.sizes, candidate.parameters, self.machine
        )
        return reason is None

    def clone(self) -> Feasible:
        return Feasible(self.machine)


@derived_object
class Mutate(PyMutator):
    """Changes one sampled field, or two, to another value: half of the time to a neighbouring one.

    Some fields only change together: a register tile of twice the channels needs half the vectors.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = random.Random(seed)

    def _initialize_with_tune_context(self, context: Any) -> None:
        pass

    def apply(self, trace: Trace, _state: Any) -> Trace | None:
        sampled = [
            inst
            for inst in trace.insts
            if inst.kind.name == "SampleCategorical" and len(inst.attrs[0]) > 1
        ]
        if not sampled:
            return None
        chosen = self.random.sample(sampled, min(len(sampled), self.random.choice((1, 1, 2))))
        for inst in chosen:
            now, count = int(trace.decisions[inst]), len(inst.attrs[0])
            near = [i for i in (now - 1, now + 1) if 0 <= i < count]
            others = [i for i in range(count) if i != now]
            new = self.random.choice(self.random.choice((near, others)))
            trace = trace.with_decision(inst, new, remove_postproc=True)
        return trace

    def clone(self) -> Mutate:
        return Mutate(self.random.randrange(1 << 30))


@derived_object
class DefaultsThenSearch(PySearchStrategy):
    """First our own defaults, so that tuning never loses to not tuning; then evolutionary search.

    ``known`` are the candidates that an earlier run measured: they guide the search, if they are in
    the database, but are not measured again. Once ``stopped()`` there are no more
    candidates, which ends a search in good order.
    """

    def __init__(
        self,
        first: list[MeasureCandidate],
        known: set[str],
        stopped: Callable[[], bool],
        machine: Machine,
    ) -> None:
        super().__init__()
        self.first, self.known, self.stopped, self.machine = first, known, stopped, machine
        self.left = 0
        self.search = EvolutionarySearch(
            population_size=_POPULATION,
            init_min_unmeasured=_RANDOM_AT_LEAST,
            genetic_num_iters=_GENERATIONS,
            eps_greedy=_RANDOM_SHARE,
        )

    def _initialize_with_tune_context(self, context: Any) -> None:
        self.search._initialize_with_tune_context(context)

    def pre_tuning(
        self, max_trials: int, per_round: int, spaces: Any, database: Any, cost_model: Any
    ) -> None:
        self.left = max_trials
        self.search.pre_tuning(max_trials, per_round, spaces, database, cost_model)

    def post_tuning(self) -> None:
        self.search.post_tuning()

    def generate_measure_candidates(self) -> list[MeasureCandidate] | None:
        for _ in range(_MAX_KNOWN_ROUNDS):
            if self.stopped() or self.left < 1:
                return None
            found, self.first = self.first or self.search.generate_measure_candidates(), []
            if found is None:
                return None
            # Asked again without results in between, the search offers more than was agreed.
            fresh = [c for c in found if key(c, self.machine) not in self.known][: self.left]
            if fresh:
                self.known |= {key(candidate, self.machine) for candidate in fresh}
                self.left -= len(fresh)
                return fresh
        return None

    def notify_runner_results(self, candidates: Any, results: Any) -> None:
        self.search.notify_runner_results(candidates, results)

    def clone(self) -> DefaultsThenSearch:
        return DefaultsThenSearch(list(self.first), set(self.known), self.stopped, self.machine)


def key(candidate: MeasureCandidate, machine: Machine) -> str:
    """A text that tells candidates of one layer apart."""
    return key_of(candidate_of(candidate.sch, machine))


def key_of(candidate: Candidate) -> str:
    """``key`` of a candidate that has no trace."""
    return f"{candidate.variant.name} {candidate.parameters}"
