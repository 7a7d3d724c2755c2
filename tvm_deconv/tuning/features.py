"""What the XGBoost cost model sees of a candidate, and what stands in for it at the beginning.

MetaSchedule's own features describe a scheduled loop nest; a candidate is only annotated, so these
describe its parameters, the layer, and what the machine model expects of the two.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from math import log2, prod
from typing import Any

import numpy as np
import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule.cost_model import PyCostModel, XGBModel
from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBConfig
from tvm.s_tir.meta_schedule.feature_extractor import PyFeatureExtractor

from tvm_deconv.logs.layer import Candidate
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant
from tvm_deconv.schedules.machines import Machine, all_variants
from tvm_deconv.schedules.space import names_of, point_of

from .definition import candidate_of

# Samples that XGBoost needs before it is asked at all.
_WARM = 16
# Samples of a layer after which the machine model counts half of what it counts without any.
_TRUST = 16

# Fields whose product is the number of threads of a block.
_BLOCK = ("channel_threads", "row_threads", "column_threads")
# Estimates beyond this are no number of cycles: the model's "cannot run".
_MOST_CYCLES = 1e15


def features(candidate: Candidate, machine: Machine) -> np.ndarray:
    """Numbers, mostly logarithms, since products of sizes are what costs time."""
    layer, conv = candidate.layer, candidate.layer.conv
    point = point_of(candidate.parameters)
    cycles = _cycles(candidate, machine)
    accumulators = _product(point, machine.SUMS)
    return np.array(
        [
            *(float(candidate.variant.name == v.name) for v in all_variants(machine)),
            *(log2(1 + point[name]) if name in point else -1 for name in _names(machine)),
            log2(cycles),
            log2(cycles * machine.multiply_adds / layer.multiply_adds),
            log2(accumulators),
            log2(accumulators * conv.h.stride * conv.w.stride),
            log2(_product(point, _BLOCK)),
            log2(_packed_bytes(candidate) / machine.near_bytes),
            *(log2(n) for n in (conv.group_inputs, conv.group_outputs, conv.groups)),
            *(log2(n) for n in layer.output_shape),
            *(float(n) for n in (*conv.strides, conv.h.max_taps, conv.w.max_taps)),
        ],
        dtype="float32",
    )


def _cycles(candidate: Candidate, machine: Machine) -> float:
    layer = candidate.layer
    cycles = candidate.variant.cycles(layer.conv, layer.sizes, candidate.parameters, machine)
    return min(cycles, _MOST_CYCLES)


def _packed_bytes(candidate: Candidate) -> int:
    """Of the weights; those of floats as if they were float32."""
    conv, variant, parameters = candidate.layer.conv, candidate.variant, candidate.parameters
    if isinstance(variant, IntegerVariant):
        return variant.packed_bytes(conv, parameters, candidate.layer.dtype)
    return 4 * variant.packed_size(conv, parameters)


def _product(point: dict[str, int], names: tuple[str, ...]) -> int:
    """Of those fields that a point has."""
    return prod(point[name] for name in names if name in point)


@lru_cache(maxsize=8)
def _names(machine: Machine) -> tuple[str, ...]:
    """All fields that parameters of the machine's variants have, each once."""
    return tuple(dict.fromkeys(name for v in all_variants(machine) for name in names_of(v)))


@derived_object
class Features(PyFeatureExtractor):
    """``features`` of each candidate, as a single row."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine

    def extract_from(self, context: Any, candidates: list[Any]) -> list[tvm.runtime.Tensor]:
        return [
            tvm.runtime.tensor(
                features(candidate_of(c.sch, self.machine), self.machine)[np.newaxis]
            )
            for c in candidates
        ]


@derived_object
class GuidedXGBoost(PyCostModel):
    """MetaSchedule's XGBoost model, with the machine model to guide it while samples are few.

    A score is the fastest time over the time, for both models. Theirs are multiplied, the machine
    model's to the power of ``_TRUST / (_TRUST + samples of the layer)``. The XGBoost model learns
    from all layers of a run.
    """

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__()
        self.machine = machine
        self.learned = XGBModel(
            extractor=Features(machine),
            config=XGBConfig(seed=seed, nthread=1),
            num_warmup_samples=_WARM,
        )
        self.samples: Counter[str] = Counter()

    def update(self, context: Any, candidates: list[Any], results: list[Any]) -> None:
        self.samples[str(context.task_name)] += len(candidates)
        self.learned.update(context, candidates, results)

    def predict(self, context: Any, candidates: list[Any]) -> np.ndarray:
        cycles = np.array(
            [_cycles(candidate_of(c.sch, self.machine), self.machine) for c in candidates]
        )
        scores = cycles.min() / cycles
        # Before it is trained, MetaSchedule's model answers with random numbers.
        if self.learned.data_size >= _WARM:
            trust = _TRUST / (_TRUST + self.samples[str(context.task_name)])
            learned = np.clip(self.learned.predict(context, candidates), 0.01, None)
            scores = scores**trust * learned
        return scores

    def load(self, path: str) -> None:
        self.learned.load(path)

    def save(self, path: str) -> None:
        self.learned.save(path)
