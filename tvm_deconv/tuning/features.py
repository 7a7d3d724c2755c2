"""What the XGBoost cost model sees of a candidate, and what stands in for it at the beginning.

MetaSchedule's own features describe a scheduled loop nest; a candidate is only annotated, so these
describe its parameters, the layer, and what the machine model expects of the two.
"""

from __future__ import annotations

from collections import Counter
from math import log2
from typing import Any

import numpy as np
import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule.cost_model import PyCostModel, XGBModel
from tvm.s_tir.meta_schedule.cost_model.xgb_model import XGBConfig
from tvm.s_tir.meta_schedule.feature_extractor import PyFeatureExtractor

from tvm_deconv.schedules.machine import CpuMachine
from tvm_deconv.schedules.space import point_of
from tvm_deconv.schedules.variants import VARIANTS

from .layer import Candidate, candidate_of

# Samples that XGBoost needs before it is asked at all.
_WARM = 16
# Samples of a layer after which the machine model counts half of what it counts without any.
_TRUST = 16

_NAMES = (
    *("lanes", "vectors", "channels", "rows", "column_tiles", "inner_fh", "unroll_fh", "unroll_th"),
    *("channel_splits", "parallel", "weight_vectors", "order", "outputs_h", "outputs_w"),
    *("tile_rows", "tile_columns", "block", "unroll"),
)


def features(candidate: Candidate, machine: CpuMachine) -> np.ndarray:
    """Numbers, mostly logarithms, since products of sizes are what costs time."""
    layer, conv = candidate.layer, candidate.layer.conv
    point = point_of(candidate.parameters)
    cycles = _cycles(candidate, machine)
    packed = candidate.variant.packed_shape(conv, candidate.parameters)
    accumulators = point["vectors"] * point["channels"]
    return np.array(
        [
            *(float(candidate.variant.name == name) for name in VARIANTS),
            *(log2(1 + point[name]) if name in point else -1 for name in _NAMES),
            log2(cycles),
            log2(cycles * machine.lanes / layer.multiply_adds),
            log2(accumulators),
            log2(accumulators * conv.h.stride * conv.w.stride),
            log2(4 * float(np.prod(packed)) / machine.l2_bytes),
            *(log2(n) for n in (conv.group_inputs, conv.group_outputs, conv.groups)),
            *(log2(n) for n in layer.output_shape),
            *(float(n) for n in (*conv.strides, conv.h.max_taps, conv.w.max_taps)),
        ],
        dtype="float32",
    )


def _cycles(candidate: Candidate, machine: CpuMachine) -> float:
    layer = candidate.layer
    return candidate.variant.cycles(layer.conv, layer.sizes, candidate.parameters, machine)


@derived_object
class Features(PyFeatureExtractor):
    """``features`` of each candidate, as a single row."""

    def __init__(self, machine: CpuMachine) -> None:
        super().__init__()
        self.machine = machine

    def extract_from(self, context: Any, candidates: list[Any]) -> list[tvm.runtime.Tensor]:
        return [
            tvm.runtime.tensor(features(candidate_of(c.sch), self.machine)[np.newaxis])
            for c in candidates
        ]


@derived_object
class GuidedXGBoost(PyCostModel):
    """MetaSchedule's XGBoost model, with the machine model to guide it while samples are few.

    A score is the fastest time over the time, for both models. Theirs are multiplied, the machine
    model's to the power of ``_TRUST / (_TRUST + samples of the layer)``. The XGBoost model learns
    from all layers of a run.
    """

    def __init__(self, machine: CpuMachine, seed: int) -> None:
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
        cycles = np.array([_cycles(candidate_of(c.sch), self.machine) for c in candidates])
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
