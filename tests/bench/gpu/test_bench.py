"""The GPU benchmark, all of it on the processor, and what can go wrong on a card."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from paths import ROOT, TESTS, python_path

from tvm_deconv import cli
from tvm_deconv.backends import machine_of
from tvm_deconv.bench.gpu import pack as gpu_pack
from tvm_deconv.bench.gpu import run as gpu_bench
from tvm_deconv.bench.gpu import worker as gpu_worker
from tvm_deconv.bench.gpu.cuda import CudaError
from tvm_deconv.bench.gpu.device import DeviceLost, Processor
from tvm_deconv.bench.gpu.layer import Tensors
from tvm_deconv.bench.gpu.manifest import FORMAT
from tvm_deconv.bench.gpu.worker import DEAD, TRYING, Options, read
from tvm_deconv.errors import BenchError
from tvm_deconv.files import write_json
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.space import parameters_of, tuning_refusal
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.workloads import find

LAYER = "dcgan/deconv-128-3"
SCRIPT = ROOT / "scripts" / "gpu_bench.py"


def options_of(script, *arguments):
    return script.parser().parse_args([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A small layer for this processor."""
    out = tmp_path_factory.mktemp("pack")
    variants = ["--variants", "revd2", "tdc", "integer"]
    names = ["--workloads", LAYER, *variants, "--candidates", 1]
    gpu_pack.pack(options_of(gpu_pack, "--arch", "host", "--out", out, *names))
    return out


@pytest.fixture(scope="module")
def measured(pack, tmp_path_factory):
    """What a run over the pack prints, with what is carried alone; and where its results are."""
    out = tmp_path_factory.mktemp("results")
    script = [sys.executable, str(SCRIPT), "--device", "cpu", "--pack", str(pack)]
    command = [*script, "--out", str(out), "--limit", "0.01"]
    path = os.pathsep.join([".", str(TESTS / "runtime_only")])
    env = {**os.environ, "TVM_USE_RUNTIME_LIB": "1", "PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, out


def test_a_pack_says_what_it_holds(pack):
    manifest = json.loads((pack / "manifest.json").read_text())
    assert (manifest["arch"], list(manifest["layers"])) == ("host", [LAYER])
    kernels = manifest["kernels"]
    assert {kernel["status"] for kernel in kernels} <= {"packed", "not supported"}
    for kernel in kernels:
        if kernel["status"] == "packed":
            assert (pack / kernel["library"]).exists()
            assert ("arrays" in kernel) == (kernel["dtype"] == "int8")
            assert "arrays" in kernel or kernel["packing"]["form"] == "direct"
    by_default = {k["variant"] for k in kernels if k["default"]}
    assert by_default == {"revd2", "tdc", "integer"}
    keys = {kernel["key"] for kernel in kernels}
    assert len(keys) == len(kernels)
    assert manifest["chosen"][LAYER]["float16"]["auto"]["key"] in keys


def test_what_is_packed_already_is_not_built_again(pack, monkeypatch):
    manifest = (pack / "manifest.json").read_text()
    monkeypatch.setattr(gpu_pack, "build", lambda *_: pytest.fail("it was built again"))
    kernels = [k for k in json.loads(manifest)["kernels"] if k["status"] == "packed"]
    jobs, _ = gpu_pack.jobs_of(find([LAYER])[0], "float32", "host", ["revd2"], 1)
    records = gpu_pack.build_all(jobs, pack, 1, 60)
    assert [record["key"] for record in records] == [job.key for job in jobs]
    assert all(record in kernels for record in records)


def test_every_kernel_and_peer_is_measured_with_what_is_carried_alone(measured):
    printed, out = measured
    assert printed.count("tuned: ") == 4, "a line for each dtype, and the goals met"
    for dtype, tolerance in (("float32", 1e-5), ("float16", 2e-3)):
        results = read(out / f"gpu-{dtype}.json")
        assert (results["dtype"], list(results["workloads"])) == (dtype, [LAYER])
        for workload in results["workloads"].values():
            contestants = workload["contestants"]
            peers = {"torch NCHW", "torch NHWC"}
            assert (
                contestants.keys() >= {"auto", "direct", "tuned", "revd2", "peak", "copy"} | peers
            )
            assert contestants["revd2"]["error"] <= tolerance
            assert all(contestants[name]["ms"] for name in ("auto", "tuned", *peers))
            assert len(workload["search"]) > 1
    results = read(out / "gpu-int8.json")
    assert "no convolution of bytes" in results["left_out"]["PyTorch"]
    (workload,) = results["workloads"].values()
    # Left to float32 on a processor that does not multiply four bytes at a time.
    record = workload["contestants"]["integer"]
    assert record["status"] == "not supported" or record["error"] <= results["tolerance"]


def test_the_benchmarks_own_command_shows_the_results(measured, tmp_path, capsys):
    _, out = measured
    plot = tmp_path / "plot.svg"
    command = ["bench", "--from", str(out / "gpu-float16.json"), "--plot", str(plot)]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "(a rehearsal on the processor), float16, " in printed
    assert f"| {LAYER} " in printed
    assert plot.stat().st_size


def test_a_run_goes_on_where_the_last_one_ended(pack, measured, monkeypatch):
    _, out = measured
    monkeypatch.setattr(gpu_worker, "_measure", lambda *_: pytest.fail("it measured again"))
    gpu_worker.run(Options(str(pack), str(out), device="cpu", peers=False))


def test_a_wrong_kernel_does_not_count(pack, tmp_path, monkeypatch):
    expected = Tensors.expected
    monkeypatch.setattr(Tensors, "expected", lambda self: expected(self) * 1.001)
    options = Options(
        str(pack), str(tmp_path), "cpu", ("float32",), (LAYER,), limit_s=0.01, peers=False
    )
    gpu_worker.run(options)
    results = read(tmp_path / "gpu-float32.json")
    auto = results["workloads"][LAYER]["contestants"]["auto"]
    assert auto["status"] == "wrong"
    assert "the largest error is" in auto["reason"]
    assert any("revd2: wrong" in line for line in gpu_bench.wrong(results))


def test_nobody_is_recorded_before_everybodys_scratch_is_there(pack, tmp_path, monkeypatch):
    from tvm_deconv.bench.gpu.ours import PackedKernel

    seen = []
    warm_up, record = PackedKernel.warm_up, PackedKernel.record
    monkeypatch.setattr(PackedKernel, "warm_up", lambda self: seen.append("run") or warm_up(self))
    monkeypatch.setattr(
        PackedKernel, "record", lambda self, count: seen.append("recorded") or record(self, count)
    )
    gpu_worker.run(
        Options(str(pack), str(tmp_path), "cpu", ("float32",), limit_s=0.01, peers=False)
    )
    kernels = seen.count("run")
    assert kernels == 4
    assert seen[:kernels] == ["run"] * kernels


def started(monkeypatch, *codes):
    """A run whose processes are these programs, one after the other."""
    left = list(codes)
    monkeypatch.setattr(gpu_bench, "start", lambda _: [sys.executable, "-c", left.pop(0)])
    return left


def test_a_process_that_a_kernel_ends_is_followed_by_one_without_it(pack, tmp_path, monkeypatch):
    trying = {"layer": LAYER, "dtype": "float32", "who": "revd2"}
    write_json(tmp_path / "example.json", trying)
    dies = (
        f"import os, shutil; shutil.copy({str(tmp_path / 'example.json')!r}, "
        f"{str(tmp_path / TRYING)!r}); os.abort()"
    )
    left = started(monkeypatch, dies, "pass")
    assert gpu_bench.bench(Options(str(pack), str(tmp_path), "cpu")) == 0
    assert not left
    reason = "it ended the process with status -6"
    assert read(tmp_path / DEAD) == [{**trying, "reason": reason}]

    options = Options(
        str(pack), str(tmp_path), "cpu", ("float32",), (LAYER,), limit_s=0.01, peers=False
    )
    gpu_worker.run(options)
    contestants = read(tmp_path / "gpu-float32.json")["workloads"][LAYER]["contestants"]
    assert (contestants["revd2"]["status"], contestants["revd2"]["reason"]) == ("failed", reason)
    assert contestants["tdc"]["status"] == "measured"


def test_a_fault_of_the_program_costs_one_layer_and_is_told(pack, tmp_path, monkeypatch, capsys):
    trying = {"layer": LAYER, "dtype": "float32", "who": "revd2"}
    raises = (
        f"import pathlib; pathlib.Path({str(tmp_path / TRYING)!r})"
        f".write_text({json.dumps(json.dumps(trying))}); raise KeyError('resources')"
    )
    left = started(monkeypatch, raises, "pass")
    arguments = ["--device", "cpu", "--pack", str(pack), "--out", str(tmp_path)]
    assert gpu_bench.main(arguments) == 1
    assert not left
    assert f"- {LAYER} float32: the layer: the traceback is above" in capsys.readouterr().out

    gpu_worker.run(Options(str(pack), str(tmp_path), "cpu", ("float32",), peers=False))
    results = read(tmp_path / "gpu-float32.json")
    assert (list(results["workloads"]), list(results["left_out"])) == ([], ["PyTorch", LAYER])


def test_an_error_that_the_process_keeps_ends_it_and_names_the_kernel(pack, tmp_path, monkeypatch):
    class Lost(Processor):
        def record(self, calls):
            raise CudaError("cudaGraphLaunch: an illegal memory access was encountered")

        synchronizations = 0

        def synchronize(self):
            self.synchronizations += 1
            if self.synchronizations > 4:
                raise CudaError("cudaDeviceSynchronize: an illegal memory access was encountered")

    monkeypatch.setattr(gpu_worker, "Processor", Lost)
    with pytest.raises(DeviceLost, match="CudaError: cudaGraphLaunch: an illegal memory access"):
        gpu_worker.run(Options(str(pack), str(tmp_path), "cpu", ("float32",), peers=False))
    assert read(tmp_path / TRYING)["who"] in {"peak", "copy", "revd2"}


def test_without_a_gpu_a_run_says_so_in_one_line(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT, "arch": "sm_90"}))
    command = [sys.executable, str(SCRIPT), "--no-peers", "--pack", str(tmp_path)]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": python_path(ROOT)}
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, env=env
    )
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and ("GPU" in line or "libcudart" in line)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": "cuda"}, "is for host, not for cuda"),
        ({"workloads": ("espcn-x3/subpixel",)}, "has no layer 'espcn-x3/subpixel'"),
        ({"pack": "nowhere"}, "make it with gpu_pack.py"),
    ],
)
def test_a_pack_that_does_not_fit_is_refused(pack, tmp_path, change, message):
    options = replace(Options(str(pack), str(tmp_path), "cpu"), **change)
    with pytest.raises(BenchError, match=message):
        gpu_bench.bench(options)


def test_candidates_are_feasible_and_the_same_each_time():
    target = gpu_pack.target_of("sm_90")
    machine = machine_of(target)
    spec = find(["design/nearest-r2-64-64"])[0].spec
    conv, sizes = spec.geometry(), Sizes(1, 128, 128)
    for variant in variants_for(machine).values():
        if variant.refusal(conv, "float32"):
            continue
        points = gpu_pack.points(variant, conv, sizes, machine, 6)
        assert points == gpu_pack.points(variant, conv, sizes, machine, 6)
        assert len({tuple(point.items()) for point in points}) == len(points) == 6
        for point in points:
            parameters = parameters_of(variant, point)
            assert tuning_refusal(variant, conv, sizes, parameters, machine) is None


def commands():
    page = (ROOT / "docs" / "gpu-benchmark.md").read_text().replace("\\\n", " ")
    for line in page.splitlines():
        for name, script in (("gpu_pack.py", gpu_pack), ("gpu_bench.py", gpu_bench)):
            if line.startswith("    ") and name in line:
                words = shlex.split(line.split(";")[0])
                yield script, words[words.index(f"scripts/{name}") + 1 :]


def test_the_documented_commands_are_ones_that_the_scripts_accept():
    found = list(commands())
    assert len(found) >= 3
    for script, arguments in found:
        script.parser().parse_args(arguments)


def test_the_peak_of_the_pack_is_that_of_all_processors(pack):
    record = json.loads((pack / "manifest.json").read_text())["peak"]
    threads, lanes = record["out"]
    assert record["flop"] % (2 * threads * lanes) == 0
    assert np.log10(record["flop"]) > 6
