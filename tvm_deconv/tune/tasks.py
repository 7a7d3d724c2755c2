"""What there is to tune in models: each different convolution layer once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import tvm
from tvm import relax
from tvm.target import Target

from tvm_deconv.bench.selection import select
from tvm_deconv.compiler import before_lowering, one_error
from tvm_deconv.errors import TuningError
from tvm_deconv.importer import Model, Shapes, load
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.machine import cpu_machine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.transform import RewriteUpsampling
from tvm_deconv.transform import kernels as found
from tvm_deconv.transform.matching import shape_of

from .layer import Layer

# A model, or names as ``tvm-deconv bench --workloads`` takes them.
Tunable: TypeAlias = Model | Sequence[str]


@dataclass(frozen=True)
class Task:
    """A layer to tune: ``name`` says where it was met first, ``count`` how often it occurs."""

    name: str
    layer: Layer
    count: int = 1


def tasks_of(what: Tunable, shapes: Shapes | None, target: Target) -> list[Task]:
    """The layers that ``LowerConvolutions`` would lower for ``target``, each once, as they come.

    Raises ModelError and WorkloadError as ``compile`` and ``bench`` do, and TuningError where a
    layer's size is free, or where there is no layer.
    """
    tasks: dict[Layer, Task] = {}
    for name, mod in _modules(what, shapes):
        for task in _layers(name, mod, target):
            seen = tasks.get(task.layer)
            tasks[task.layer] = replace(seen, count=seen.count + 1) if seen else task
    if not tasks:
        raise TuningError("there is no convolution that this package computes: nothing to tune")
    return list(tasks.values())


def _modules(what: Tunable, shapes: Shapes | None) -> list[tuple[str, tvm.IRModule]]:
    """Modules to look for layers in, and names for what is found in each."""
    if isinstance(what, Sequence) and not isinstance(what, str):
        if shapes:
            raise TuningError("shapes belong to a model: workloads have sizes of their own")
        return [(workload.name, load(workload.model())) for workload in select(what)]
    return [("", load(what, shapes))]


def _layers(prefix: str, mod: tvm.IRModule, target: Target) -> list[Task]:
    machine = cpu_machine(target)
    with one_error(), target:
        passes = [RewriteUpsampling(), *before_lowering(), relax.transform.CanonicalizeBindings()]
        mod = tvm.transform.Sequential(passes)(mod)
    tasks = []
    for func in (func for _, func in mod.functions_items()):
        for layer in found.layers_of(func, machine, Preferences()):
            if isinstance(layer, found.Left):
                continue
            name = " ".join(filter(None, (prefix, found.describe(layer.graph, layer.conv.var))))
            n, _, h, w = shape_of(layer.conv.data) or (None,) * 4
            if not all(isinstance(size, int) for size in (n, h, w)):
                raise TuningError(
                    f"{name}: a size is free, and only fixed sizes can be measured: "
                    "fix the input with --shape INPUT=1,3,64,64 (shapes= in Python)"
                )
            tasks.append(Task(name, Layer(layer.conv.op, Sizes(n, h, w), layer.conv.dtype)))
    return tasks
