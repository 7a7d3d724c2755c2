"""The tasks of a module as it is compiled, and spaces that AutoTVM need not list to search."""

from __future__ import annotations

import logging
import random
from typing import Any

import tvm
from tvm import autotvm, relay
from tvm.autotvm.task.space import ConfigSpace
from tvm.autotvm.task.topi_integration import TaskExtractEnv
from tvm.target import Target

from tvm_deconv.schedules import space

from .layer import machine_of
from .templates import sizes_of
from .workloads import TASK_NAMES, layer_of

# A space of up to so many points is counted, in a tenth of a second.
_COUNTED = 1_000


def layers_of(
    mod: tvm.IRModule, parameters: dict[str, Any] | None, target: Target
) -> list[list[autotvm.task.Task]]:
    """For each different layer of ours, the tasks of the variants that can compute it.

    Unlike ``autotvm.task.extract_from_program``, which leaves out the pass that packs weights, this
    sees which taps are all zero.
    """
    environment = TaskExtractEnv.get()
    environment.reset()
    logger = logging.getLogger("autotvm")
    disabled, logger.disabled = logger.disabled, True
    try:
        with environment, tvm.transform.PassContext(opt_level=3):
            relay.optimize(mod, target=target, params=parameters)
    finally:
        logger.disabled = disabled
    layers: dict[Any, list[autotvm.task.Task]] = {}
    for name, arguments in environment.get_tasks():
        if name in TASK_NAMES:
            task = autotvm.task.create(name, arguments, target)
            task.config_space = SearchSpace(task.config_space)
            layers.setdefault(arguments, []).append(task)
    return list(layers.values())


def default_index(task: autotvm.task.Task) -> int:
    """Where the variant's own parameters stand in a task's space."""
    variant = TASK_NAMES[task.name]
    (_, shape, _), (_, weight, _), *attributes = task.args
    layer = layer_of(shape, weight, *attributes)
    own = variant.choose(layer.conv, sizes_of(layer), machine_of(task.target))
    index = index_of(task.config_space, space.point_of(own))
    assert index is not None  # The values of the default are among those of every field.
    return index


def index_of(config_space: ConfigSpace, point: dict[str, int]) -> int | None:
    """Where a point stands in a space; None if it does not, as one of an older version may."""
    knob = []
    for name, values in config_space.space_map.items():
        candidates = [entity.val for entity in values.entities]
        if point.get(name) not in candidates:
            return None
        knob.append(candidates.index(point[name]))
    index = int(config_space.knob2point(knob))
    return index if config_space.is_index_valid(index) else None


class SearchSpace(ConfigSpace):
    """A ``ConfigSpace`` that asks its filter about a point when it is met.

    AutoTVM's own asks about all of them first, which takes minutes for half a million.
    """

    def __init__(self, whole: ConfigSpace) -> None:
        super().__init__()
        self.__dict__.update(whole.__dict__)
        self._found: dict[int, bool] = {}
        self._counted = False

    def is_index_valid(self, index: int) -> bool:
        index = int(index)
        if index not in self._found:
            rest, chosen = index, {}
            for name, values in self.space_map.items():
                rest, at = divmod(rest, len(values))
                chosen[name] = values[at]
            self._found[index] = self._shared_filter is None or self._shared_filter(chosen)
        return self._found[index]

    def __len__(self) -> int:
        """How many points there are; of a large space, how many of them were met until now."""
        if not self._counted:
            count = min(self.range_length, _COUNTED)
            for index in random.Random(0).sample(range(self.range_length), count):
                self.is_index_valid(index)
            self._counted = True
        return sum(self._found.values())

    def __getstate__(self) -> dict[str, Any]:
        """Without what other processes can find out themselves."""
        return {**self.__dict__, "_found": {}, "_counted": False}
