"""Tuning for GPUs, as far as it goes without one: logs, candidates, limits, builds, the whole flow.

Times are made up. That a kernel which is measured computes the layer is shown on the processor, by
the OpenCL device of tests/opencl.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import opencl
import pytest
import tvm
from log_helper import HOST, LAYER, MACHINE, commit
from onnx_net import Net
from opencl.device import DEVICE
from tvm.ir.utils import derived_object
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.builder import BuilderResult, PyBuilder
from tvm.s_tir.meta_schedule.runner import (
    EvaluatorConfig,
    PyRunner,
    PyRunnerFuture,
    RunnerResult,
)

import tvm_deconv
from tvm_deconv.backends import backend_of, identity_of, machine_of
from tvm_deconv.backends.cuda.compilers import compilers
from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.backends.linking import compiled, linker
from tvm_deconv.cli import main
from tvm_deconv.errors import DeviceError, LogError, TargetError, TuningError, VariantError
from tvm_deconv.logs.apply import apply_ops
from tvm_deconv.logs.find import find_log, resolve_log
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.header import Header, device_name
from tvm_deconv.logs.layer import Candidate
from tvm_deconv.logs.trial import candidate_from
from tvm_deconv.logs.verifying import problems_of
from tvm_deconv.schedules.gpu.tile import SHARED
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.space import point_of, tuning_refusal
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning import build, driver, evaluation, measure, rounds
from tvm_deconv.tuning.case import case_folder, write_case
from tvm_deconv.tuning.definition import annotate, candidate_of, definition, is_layer
from tvm_deconv.tuning.features import features
from tvm_deconv.tuning.search import SearchSpace, default_candidates
from tvm_deconv.workloads.spec import LayerSpec
from tvm_deconv.workloads.workload import layer_workload

MALI = resolve_target({"kind": "opencl", "device": "mali"})
ADRENO = resolve_target({"kind": "opencl", "device": "adreno"})
CUDA = resolve_target({"kind": "cuda", "arch": "sm_87"})
TARGETS = {"mali": MALI, "adreno": ADRENO, "sm_87": CUDA}
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)

SPEC = LayerSpec("subpixel", 8, 5, 3, 12, 17, factor=2, padding=1, activation="relu")
FACTS = DeviceFacts(True, True, "Mali-G52", 384, 32768, "3.0")
ORIN = DeviceFacts(True, True, "Orin", 1024, 49152, "8.7")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "layer.onnx"
    onnx.save(layer_workload("layer", "a test", SPEC).model(), path)
    return str(path)


def candidates(target, layer=LAYER):
    return default_candidates(layer, machine_of(target))


# Logs.


@pytest.mark.parametrize(
    ("spec", "name", "words"),
    [
        ({"kind": "cuda", "arch": "sm_87"}, "sm_87", "cuda sm_87"),
        ("nvidia/jetson-nano", "sm_53", "cuda sm_53"),
        ("arm/mali-g52", "mali-g52", "opencl mali-g52"),
        ({"kind": "opencl", "device": "adreno"}, "adreno", "opencl adreno"),
        ({"kind": "opencl"}, "opencl", "opencl"),
    ],
)
def test_a_gpu_is_called_after_its_architecture_or_model(spec, name, words):
    target = resolve_target(spec)
    assert device_name(target) == name
    assert str(identity_of(target)) == words


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ({"kind": "cuda", "arch": "sm_72"}, CUDA, "cuda sm_72, not sm_87"),
        (CUDA, MALI, "kind cuda, not opencl"),
        (CUDA, HOST, "kind cuda, not llvm"),
        (HOST, MALI, "kind llvm, not opencl"),
        ("arm/mali-g52", "arm/mali-g31", "opencl mali-g52, not mali-g31"),
        (
            {"kind": "opencl", "max_num_threads": 128, "max_threads_per_block": 128},
            {"kind": "opencl"},
            "opencl with 128 threads in a block, not 256",
        ),
        (
            {"kind": "opencl", "max_shared_memory_per_block": 32768},
            {"kind": "opencl"},
            "opencl with 32768 bytes of shared memory in a block, not 16384",
        ),
        ("nvidia/jetson-nano", {"kind": "cuda", "arch": "sm_53"}, None),
    ],
)
def test_gpus_differ_by_kind_architecture_and_limits_but_not_by_the_processor_beside_them(
    one, other, difference
):
    one, other = (identity_of(resolve_target(spec)) for spec in (one, other))
    assert one.difference(other) == difference
    assert (one == other) == (difference is None)


def gpu_log(root, target, **changes):
    header = replace(Header.of(device_name(target), target, description="a test"), **changes)
    with LogFolder.for_tuning(root, header) as log:
        for index, made in enumerate(candidates(target)):
            commit(log, made, (index + 1) * 1e-3)
    return log


@every_target
def test_a_gpus_log_is_read_as_it_was_written_and_in_order(tmp_path, target):
    written = gpu_log(tmp_path, target)
    log = LogFolder.open(written.path)
    assert log.header.threads is None
    assert json.loads((log.path / "device.json").read_text())["threads"] is None
    measured = [Candidate(LAYER, m.variant, m.parameters) for m in log.measured(LAYER)]
    assert measured == candidates(target)
    assert log.notes == []
    assert list(problems_of(log.path)) == []
    assert [t.candidate(log.machine) for t in log.trials_of(LAYER)] == measured
    logs, notes = find_log(target, [tmp_path])
    assert [folder.path for folder in logs.folders] == [log.path] and notes == []
    row, *_ = logs.lookup(LAYER.conv, LAYER.sizes, "float32")
    assert (row.variant, row.parameters) == (measured[0].variant.name, measured[0].parameters)


def test_a_log_of_a_processor_never_serves_a_gpu_nor_the_other_way_round(tmp_path):
    log = gpu_log(tmp_path, CUDA)
    assert find_log(HOST, [tmp_path]) == (None, [f"{log.path.parent} is for kind cuda, not llvm"])
    with LogFolder.for_tuning(tmp_path / "cpu", Header.of("here", HOST)) as mine:
        pass
    notes = [f"{mine.path.parent} is for kind llvm, not cuda"]
    assert find_log(CUDA, [tmp_path / "cpu"]) == (None, notes)
    xavier = resolve_target({"kind": "cuda", "arch": "sm_72"})
    notes = [f"{log.path.parent} is for cuda sm_87, not sm_72"]
    assert find_log(xavier, [tmp_path]) == (None, notes)
    with pytest.raises(LogError, match=r"is for cuda sm_87, not sm_72: give another --device"):
        gpu_log(tmp_path, xavier, device="sm_87")


# Candidates.


def annotated(made):
    sch = Schedule(definition(made.layer))
    annotate(sch, made.variant.name, point_of(made.parameters))
    return sch


@every_target
def test_a_name_means_the_variant_of_the_kind_of_machine(target):
    machine = machine_of(target)
    for made in candidates(target):
        assert made.variant is variants_for(machine)[made.variant.name]
        assert candidate_of(annotated(made), machine) == made
        # The same name and fields on a processor are another algorithm, or none.
        with pytest.raises((LogError, VariantError)):
            candidate_of(annotated(made), MACHINE)
    with pytest.raises(LogError, match="'fft' is not known"):
        candidate_from(LAYER, "fft", {}, machine)


@every_target
def test_every_candidate_has_finite_features(target):
    machine = machine_of(target)
    rows = [features(made, machine) for made in candidates(target)]
    assert len({row.shape for row in rows}) == 1
    assert all(np.isfinite(row).all() for row in rows)
    unlikely = replace(candidates(target)[0].parameters, channels=16, rows=8, row_threads=16)
    made = replace(candidates(target)[0], parameters=unlikely)
    assert np.isfinite(features(made, machine)).all()


def test_packed_weights_of_a_float16_layer_are_float16_unless_they_are_transformed():
    half = replace(LAYER, dtype="float16")
    for made in candidates(MALI, half):
        packed = "float32" if made.variant.name == "winograd" else "float16"
        found = [str(param.ty.dtype) for param in made.kernel().params]
        assert found == ["float16", packed, "float16"]


# The device.


@pytest.mark.parametrize(
    ("target", "facts", "error", "reason"),
    [
        (
            MALI,
            DeviceFacts(False),
            DeviceError,
            "TVM's runtime here has no OpenCL: build TVM's runtime",
        ),
        (
            CUDA,
            DeviceFacts(False),
            DeviceError,
            "TVM's runtime here has no CUDA: install TVM's package",
        ),
        (MALI, DeviceFacts(True), DeviceError, "OpenCL finds no device here: install the driver"),
        (
            CUDA,
            FACTS._replace(name="Xavier", capability="7.2"),
            TargetError,
            "Xavier is sm_72, and",
        ),
        (MALI, FACTS._replace(threads=128), TargetError, "promises 256 threads in a block, and Ma"),
        (
            ADRENO,
            FACTS._replace(shared_bytes=8192),
            TargetError,
            "has 8192: give the target max_shared_memory_per_block of 8192",
        ),
    ],
)
def test_a_device_without_what_the_target_promises_is_refused(target, facts, error, reason):
    with pytest.raises(error, match=re.escape(reason)):
        backend_of(target).check_device(target, lambda kind: facts, "here")


@pytest.mark.parametrize(("target", "facts"), [(MALI, FACTS), (CUDA, ORIN)])
def test_a_device_that_has_all_that_the_target_promises_is_asked_and_accepted(target, facts):
    asked = []
    name = backend_of(target).check_device(target, lambda kind: asked.append(kind) or facts, "here")
    assert (name, asked) == (facts.name, [target.kind.name])


def test_a_processor_is_not_asked():
    assert backend_of(HOST).check_device(HOST, lambda kind: pytest.fail(kind), "here") is None


@pytest.mark.skipif(tvm.opencl(0).exist, reason="this TVM has OpenCL")
def test_this_machines_runtime_is_asked_before_anything_is_built(model, tmp_path, capsys):
    arguments = ["tune", model, "--target", '{"kind": "opencl"}', "--logs", str(tmp_path)]
    assert main(arguments) == 3
    said = capsys.readouterr().err
    assert "TVM's runtime on this machine has no OpenCL" in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"all_ops": True}, "MetaSchedule has rules for CUDA but none for OpenCL"),
        ({"target": "arm/mali-g52"}, "beside that GPU is an aarch64-linux-gnu"),
        ({"threads": 2}, "threads are those of a CPU"),
    ],
)
def test_what_a_gpu_cannot_have_is_refused_before_any_work(model, tmp_path, options, reason):
    with pytest.raises((TuningError, TargetError), match=reason):
        driver.tune(model, **{"target": MALI, "logs": tmp_path, **options})
    assert not list(tmp_path.iterdir())


# Building.


def built(target, layer, root):
    """The artifact of our default, as a worker process of the builder makes it."""
    write_case(layer, case_folder(root, layer), seed=0)
    made = candidates(target, layer)[0]
    mod = SearchSpace(layer, machine_of(target)).measurable(made).sch.mod
    result = build._compiled(mod, target, str(root))
    command = linker(target)
    return made, Path(build._export(result, folder=str(root), command=command))


@pytest.mark.skipif(
    not shutil.which("aarch64-linux-gnu-gcc"),
    reason="no linker for aarch64: apt install gcc-aarch64-linux-gnu",
)
def test_a_library_for_a_board_is_linked_for_its_processor_with_opencl_inside(tmp_path):
    layer = replace(LAYER, dtype="float16")
    made, library = built(resolve_target("arm/mali-g52"), layer, tmp_path)
    content = library.read_bytes()
    assert content[:4] == b"\x7fELF" and content[18] == 183  # EM_AARCH64
    assert b"__kernel void" in content
    packed = np.load(library.parent / "packed.npz")["arr_0"]
    assert packed.dtype == "float16"
    assert packed.shape == made.variant.packed_shape(layer.conv, made.parameters)


@pytest.mark.skipif(not compilers(), reason="no CUDA compiler: install a toolkit")
def test_a_library_for_cuda_holds_machine_code_for_the_architecture(tmp_path):
    _, library = built(CUDA, LAYER, tmp_path)
    content = library.read_bytes()
    _, *inside = (found.start() for found in re.finditer(b"\x7fELF", content))
    # The flags of a cubin's header name the architecture.
    assert [content[start + 48] for start in inside] == [87]
    assert np.load(library.parent / "packed.npz")["arr_0"].dtype == "float32"


def test_a_kernel_that_exceeds_the_devices_limits_is_not_compiled():
    made = candidates(MALI)[0]
    wide = replace(made.parameters, channel_threads=1, row_threads=1, column_threads=512)
    with pytest.raises(TargetError, match="takes 512 threads a block; mali has 256"):
        compiled(replace(made, parameters=wide).kernel(), MALI)


def test_what_the_space_passes_fits_the_device():
    for target in TARGETS.values():
        for made in candidates(target):
            assert backend_of(target).refusal(made.kernel(), target) is None


# Measuring, on a device that is the processor.


def artifact(root, layer, wrong=False):
    """A built default for ``LAYER`` on Mali, and its folder; with ``wrong`` other weights."""
    folder = case_folder(root, layer)
    write_case(layer, folder, seed=0)
    made = candidates(MALI, layer)[0]
    weight = np.load(folder / "weight.npy") * (2 if wrong else 1)
    np.savez(root / "packed.npz", *build.packed(made, weight))
    (root / "case.json").write_text(json.dumps({"case": str(folder)}))
    return opencl.build(made.kernel(), MALI)


def measured(root, one):
    config = EvaluatorConfig(number=1, repeat=3, min_repeat_ms=0, enable_cpu_cache_flush=True)
    arguments = measure.allocate(root, None, DEVICE, (), 1)
    with one.kernels.running():
        return measure.evaluate(root, None, one.module, DEVICE, config, arguments)


@opencl.required
def test_a_kernel_is_compared_and_timed_on_the_device(tmp_path):
    assert len(measured(tmp_path, artifact(tmp_path, LAYER))) == 3


@opencl.half_required
def test_a_float16_kernel_is_compared_and_timed_on_the_device(tmp_path):
    layer = replace(LAYER, dtype="float16")
    assert all(s > 0 for s in measured(tmp_path, artifact(tmp_path, layer)))


@opencl.required
def test_a_wrong_result_of_the_device_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "_function", lambda session, name: None)
    with pytest.raises(measure.MeasureError, match="wrong result: off by"):
        measured(tmp_path, artifact(tmp_path, LAYER, wrong=True))


# From end to end, but for the device.


class Device:
    """What builder and runner stand for: kernels take as long as the machine model says.

    Of functions without a model, each takes less time than all before it.
    """

    def __init__(self, target):
        self.machine, self.asked, self.made, self.types = machine_of(target), [], [], set()

    def build(self, inputs):
        first = len(self.made)
        self.made += [
            candidate_of(Schedule(one.mod), self.machine) if is_layer(one.mod) else one.mod
            for one in inputs
        ]
        return [BuilderResult(f"/nowhere/{first + i}/kernel.so", None) for i in range(len(inputs))]

    def run(self, inputs):
        self.types |= {str(one.device_type) for one in inputs}
        return [Future(self.time(int(Path(str(one.artifact_path)).parent.name))) for one in inputs]

    def time(self, number):
        made = self.made[number]
        return 1 / (number + 1) if isinstance(made, tvm.IRModule) else self.seconds(made)

    def seconds(self, made):
        layer = made.layer
        return 1e-6 * made.variant.cycles(layer.conv, layer.sizes, made.parameters, self.machine)


@derived_object
class Future(PyRunnerFuture):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds

    def done(self):
        return True

    def result(self):
        return RunnerResult([self.seconds] * 5, None)


@derived_object
class Builder(PyBuilder):
    def __init__(self, device):
        super().__init__()
        self.device = device

    def build(self, inputs):
        return self.device.build(inputs)

    def close(self):
        pass


@derived_object
class Runner(PyRunner):
    lost = None

    def __init__(self, device):
        super().__init__()
        self.device = device

    def run(self, inputs):
        return self.device.run(inputs)

    def ask(self, kind):
        self.device.asked.append(kind)
        return ORIN if kind == "cuda" else FACTS

    def close(self):
        pass


@pytest.fixture
def device(monkeypatch, small_generations):
    """A Mali that no RPC reaches."""
    return stand_in(MALI, monkeypatch)


def stand_in(target, monkeypatch):
    found = Device(target)
    monkeypatch.setattr(driver, "make_runner", lambda *_, **__: Runner(found))
    monkeypatch.setattr(driver, "builder", lambda *_, **__: Builder(found))
    monkeypatch.setattr(driver, "device_peak", lambda *_: 1e11)
    monkeypatch.setattr("tvm_deconv.tuning.device.RpcDevice.check", lambda _: 1)
    for module in (evaluation, rounds):
        monkeypatch.setattr(module, "remove_artifact", lambda _: None)
    return found


def test_a_model_is_tuned_for_a_gpu_and_compiled_from_its_log(model, tmp_path, device):
    lines = []
    report = driver.tune(
        model,
        {"kind": "opencl", "device": "mali"},
        tracker="127.0.0.1:9190",
        key="board",
        trials=24,
        logs=tmp_path,
        report=lines.append,
    )
    (outcome,) = report.outcomes
    assert outcome.trials == 24 and outcome.failures == 0
    assert outcome.best <= outcome.default
    assert device.asked == ["opencl"] and device.types == {"opencl"}
    assert report.folder == tmp_path / "mali" / "tvm-0.27"
    assert LogFolder.open(report.folder).header.description == "Mali-G52, key board, by RPC"
    assert list(problems_of(report.folder)) == []
    # Never CUDA's space: nothing is staged where local memory is ordinary memory.
    assert len(device.made) > 24
    for made in device.made:
        tile = made.parameters
        assert tile.stage_input != SHARED and not tile.stage_weights
        layer = made.layer
        assert not tuning_refusal(made.variant, layer.conv, layer.sizes, tile, device.machine)
    default = default_candidates(device.made[0].layer, device.machine)[0]
    assert min(map(device.seconds, device.made)) == pytest.approx(outcome.best, rel=1e-3)
    assert device.seconds(default) == pytest.approx(outcome.default, rel=1e-3)

    explained = str(tvm_deconv.explain(model, target=MALI, log=tmp_path))
    assert "tuning log mali: " in explained
    tvm_deconv.compile(model, MALI, log=tmp_path)
    with pytest.raises(LogError, match="mali is for kind opencl, not cuda"):
        tvm_deconv.compile(model, CUDA, log=tmp_path)


def test_other_functions_are_tuned_by_metaschedules_rules_for_cuda(
    tmp_path, monkeypatch, small_generations
):
    net = Net((1, 4, 12, 14))
    pooled = net("MaxPool", net.conv("x", 4, 4), kernel_shape=[3, 3], strides=[2, 2])
    onnx.save(net.model(pooled), tmp_path / "pool.onnx")
    device = stand_in(CUDA, monkeypatch)
    options = {"tracker": "127.0.0.1:9190", "key": "board", "logs": tmp_path / "logs"}
    report = driver.tune(
        str(tmp_path / "pool.onnx"), CUDA, trials=2, all_ops=True, report=lambda _: None, **options
    )
    *_, outcome = report.outcomes
    assert "pool" in str(outcome) and outcome.best < outcome.default
    functions = [made for made in device.made if isinstance(made, tvm.IRModule)]
    assert len(functions) == 4, "two of the search, and two in the final"
    assert all("threadIdx.x" in str(mod) for mod in functions)
    log, _ = resolve_log(tmp_path / "logs", CUDA)
    assert len(apply_ops(log, CUDA)) == 1
    tvm_deconv.compile(str(tmp_path / "pool.onnx"), CUDA, log=tmp_path / "logs")


def test_only_folders_of_the_builder_are_ever_removed(tmp_path, monkeypatch):
    kept, made = tmp_path / "kept", tmp_path / "artifact-1"
    for folder in (kept, made):
        folder.mkdir()
    monkeypatch.chdir(kept)
    for path in ("0", "kernel.so", "./kernel.so", str(kept / "kernel.so"), str(made / "0")):
        build.remove_artifact(path)
        assert kept.is_dir() and made.is_dir()
    build.remove_artifact(str(made / "kernel.so"))
    assert kept.is_dir() and not made.exists()
