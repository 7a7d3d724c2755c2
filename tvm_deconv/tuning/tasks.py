"""What there is to tune in models: each different convolution layer once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import tvm
from tvm import relax, tirx
from tvm.s_tir.meta_schedule.tune_context import _normalize_mod
from tvm.target import Target

from tvm_deconv.backends import machine_of
from tvm_deconv.compiler import before_lowering, before_schedules, one_error
from tvm_deconv.errors import TuningError
from tvm_deconv.importer import Model, Shapes, load
from tvm_deconv.logs.layer import Layer
from tvm_deconv.options import Options
from tvm_deconv.quantization.required import is_quantized, require_onnx_runtime
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.cpu.integer.variant import operands_of
from tvm_deconv.schedules.machines import variants_of_dtype
from tvm_deconv.schedules.rest.default import is_scheduled
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.transform import AddHeight, LowerIntegers, RewriteUpsampling
from tvm_deconv.transform.graph import Graph
from tvm_deconv.transform.lower import layers as found
from tvm_deconv.transform.lower.integer_choice import is_tuned
from tvm_deconv.transform.lower.lower_integers import has_bytes, layers_of_integers
from tvm_deconv.workloads.selection import Measurable, select

# Workloads quantized to 8 bits.
EIGHT_BITS = "int8"
# A model, or names as ``tvm-deconv bench --workloads`` takes them.
ModelOrNames: TypeAlias = Model | Sequence[str]


@dataclass(frozen=True)
class Task:
    """A layer to tune: ``name`` says where it was met first, ``count`` how often it occurs."""

    name: str
    layer: Layer
    count: int = 1


@dataclass(frozen=True)
class OpTask:
    """A function to tune, as a module of its own called ``main``."""

    name: str
    mod: tvm.IRModule

    @property
    def digest(self) -> str:
        """Tells functions apart, in every process alike."""
        return hashlib.sha256(self.mod.script().encode()).hexdigest()[:16]


def tasks_of(
    what: ModelOrNames, shapes: Shapes | None, target: Target, dtype: str = ACCUMULATE_DTYPE
) -> list[Task]:
    """The layers that ``compile`` computes in kernels of ours, each once.

    In the order of the network, those of bytes before those of floats, and without those for which
    there is one kernel: with strides, and, of bytes, on GPUs or by other forms than tap by tap and
    Winograd's. With ``dtype`` int8 workloads are quantized first, as
    ``bench`` does it. Raises ModelError, WorkloadError and QuantizationError as ``compile`` and
    ``bench`` do, and TuningError where a layer's size is free, or where there is no layer.
    """
    tasks: dict[Layer, Task] = {}
    for name, mod in _modules(what, shapes, dtype):
        for task in _layers(name, mod, target):
            seen = tasks.get(task.layer)
            tasks[task.layer] = replace(seen, count=seen.count + 1) if seen else task
    if not tasks:
        raise TuningError(
            "there is no convolution with kernels to choose from: nothing to tune (convolutions "
            "with strides have one kernel, and on GPUs, those of bytes)"
        )
    return list(tasks.values())


def op_tasks_of(
    what: ModelOrNames, shapes: Shapes | None, target: Target, dtype: str = ACCUMULATE_DTYPE
) -> list[OpTask]:
    """The functions of fixed shape that no template of ours covers, each once.

    Raises what ``tasks_of`` does.
    """
    tasks: dict[str, OpTask] = {}
    for prefix, mod in _modules(what, shapes, dtype):
        with one_error(), target:
            mod = tvm.transform.Sequential(before_schedules(target, Options(log=None)))(mod)
        for task in _op_tasks(mod):
            named = replace(task, name=" ".join(filter(None, (prefix, task.name))))
            tasks.setdefault(task.digest, named)
    return list(tasks.values())


def _modules(
    what: ModelOrNames, shapes: Shapes | None, dtype: str
) -> list[tuple[str, tvm.IRModule]]:
    """Modules to look for layers in, and names for what is found in each."""
    if isinstance(what, Sequence) and not isinstance(what, str):
        if shapes:
            raise TuningError("shapes belong to a model: workloads have sizes of their own")
        return [(one.name, load(_of_workload(one, dtype))) for one in select(what)]
    if dtype != ACCUMULATE_DTYPE:
        raise TuningError(
            f"{dtype} is for workloads: a model is tuned as it is, and tvm-deconv quantize makes a "
            "quantized one"
        )
    return [("", load(what, shapes))]


def _of_workload(workload: Measurable, dtype: str) -> Model:
    model = workload.model()
    if dtype == ACCUMULATE_DTYPE or is_quantized(model):
        return model
    if dtype != EIGHT_BITS:
        raise TuningError(f"workloads are tuned in {ACCUMULATE_DTYPE} or {EIGHT_BITS}, not {dtype}")
    # ONNX Runtime is an extra, which floats do without.
    require_onnx_runtime(f"tuning workloads in {EIGHT_BITS}")
    from tvm_deconv.quantization.onnx_quantizer import quantized_on_noise

    return quantized_on_noise(model, workload.name)


def _layers(prefix: str, mod: tvm.IRModule, target: Target) -> list[Task]:
    chooser = Chooser(machine_of(target))
    with one_error(), target:
        passes = [AddHeight(), RewriteUpsampling(), *before_lowering()]
        passes.append(relax.transform.CanonicalizeBindings())
        mod = tvm.transform.Sequential(passes)(mod)
        # What it leaves is computed in floats.
        lowered = tvm.transform.Sequential([LowerIntegers(chooser)])(mod)
    tasks = []
    for words, layer in (*_of_bytes(mod, chooser), *_of_floats(lowered, chooser)):
        name = " ".join(filter(None, (prefix, words)))
        if layer.conv.step != (1, 1):
            continue
        if not variants_of_dtype(chooser.machine, layer.dtype):
            continue
        if None in layer.sizes:
            raise TuningError(
                f"{name}: a size is free, and only fixed sizes can be measured: "
                "fix the input with --shape INPUT=1,3,64,64 (shapes= in Python)"
            )
        tasks.append(Task(name, layer))
    return tasks


def _of_floats(mod: tvm.IRModule, chooser: Chooser) -> Iterator[tuple[str, Layer]]:
    """Layers, and in words where they were met."""
    for _, func in mod.functions_items():
        if not isinstance(func, relax.Function):
            continue
        for layer in found.layers_of(Graph(func, mod), chooser):
            if isinstance(layer, found.LoweredLayer):
                conv = layer.conv
                kind = found.kind_of(conv)
                yield found.describe_layer(layer), Layer(kind.conv, kind.sizes, kind.dtype)


def _of_bytes(mod: tvm.IRModule, chooser: Chooser) -> Iterator[tuple[str, Layer]]:
    """As ``_of_floats``, of a module whose integers are not lowered."""
    for _, func in mod.functions_items():
        if has_bytes(func):
            graph = Graph(func, mod)
            for layer in layers_of_integers(graph, chooser):
                # Tiles of other forms are the model's, and so are all on GPUs.
                if not is_tuned(layer.kernel):
                    continue
                data, weight = operands_of(layer.dtype) or ("", "")
                words = f"{found.describe(graph, layer.conv.var)}, {data} by {weight}"
                yield words, Layer(layer.kernel.op, layer.sizes, layer.dtype)


def _op_tasks(mod: tvm.IRModule) -> Iterator[OpTask]:
    """The functions of a fused module that are not scheduled yet, each once, of fixed shapes."""
    seen = set()
    for var, func in sorted(mod.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, tirx.PrimFunc) or is_scheduled(func) or not _is_fixed(func):
            continue
        task = OpTask(var.name_hint, _normalize_mod(func))
        if task.digest not in seen:
            seen.add(task.digest)
            yield task


def _is_fixed(func: tirx.PrimFunc) -> bool:
    """Whether all arguments are tensors of fixed shape."""
    shapes = [getattr(param.ty, "shape", (None,)) for param in func.params]
    return all(isinstance(size, tirx.IntImm) for shape in shapes for size in shape)
