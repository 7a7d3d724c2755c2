"""The GPU benchmark, all of it on the processor, and what can go wrong on a card."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace

import gpu_bench
import gpu_pack
import gpu_worker
import numpy as np
import pytest
from gpu_cuda import Cuda, CudaError
from gpu_device import DeviceLost, Processor
from gpu_layer import Tensors
from gpu_worker import DEAD, TRYING, Options, read, write
from paths import ROOT

from tvm_deconv import cli
from tvm_deconv.backends.cuda.compilers import compilers
from tvm_deconv.errors import BenchError
from tvm_deconv.schedules.machines import machine_of, variants_for
from tvm_deconv.schedules.space import infeasible, parameters_of
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.workloads import find

LAYER = "dcgan/deconv-128-3"


def options_of(script, *arguments):
    return script.parser().parse_args([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A small layer for this processor."""
    out = tmp_path_factory.mktemp("pack")
    names = ["--workloads", LAYER, "--variants", "revd2", "tdc", "--candidates", 1]
    gpu_pack.pack(options_of(gpu_pack, "--arch", "host", "--out", out, *names))
    return out


@pytest.fixture(scope="module")
def measured(pack, tmp_path_factory):
    """What a run over the pack prints, with TVM's runtime alone; and where its results are."""
    out = tmp_path_factory.mktemp("results")
    script = [sys.executable, gpu_bench.__file__, "--device", "cpu", "--pack", str(pack)]
    command = [*script, "--out", str(out), "--limit", "0.01"]
    env = {**os.environ, "TVM_USE_RUNTIME_LIB": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, out


def test_a_pack_says_what_it_holds(pack):
    manifest = json.loads((pack / "manifest.json").read_text())
    assert (manifest["arch"], list(manifest["layers"])) == ("host", [LAYER])
    kernels = manifest["kernels"]
    assert {kernel["status"] for kernel in kernels} <= {"packed", "not supported"}
    for kernel in kernels:
        if kernel["status"] == "packed":
            assert (pack / kernel["library"]).exists() and (pack / kernel["recipe"]).exists()
    by_default = {k["variant"] for k in kernels if k["default"]}
    assert by_default == {"revd2", "tdc"}
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


def test_every_kernel_and_peer_is_measured_with_the_runtime_alone(measured):
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
    from gpu_ours import Kernel

    seen = []
    warm_up, record = Kernel.warm_up, Kernel.record
    monkeypatch.setattr(Kernel, "warm_up", lambda self: seen.append("run") or warm_up(self))
    monkeypatch.setattr(
        Kernel, "record", lambda self, count: seen.append("recorded") or record(self, count)
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
    write(tmp_path / "example.json", trying)
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
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "arch": "sm_90"}))
    command = [sys.executable, gpu_bench.__file__, "--no-peers", "--pack", str(tmp_path)]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
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


class Library:
    """CUDA's runtime as far as a device that is there already asks it."""

    def __init__(self, failing=None):
        self.calls, self.failing = [], failing
        self.cudaGetErrorString = lambda status: b"no such luck"

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append(name)
            return 700 if name == self.failing else 0

        return call


def cuda(library):
    device = object.__new__(Cuda)
    device._library, device.stream = library, 0x7F0012345678
    device._events = [ctypes.c_void_p(1), ctypes.c_void_p(2)]
    library.cudaGetErrorString = type("Function", (), {"__call__": lambda *_: b"no such luck"})()
    return device


def test_a_pass_is_captured_once_and_replayed_between_events():
    library = Library()
    device = cuda(library)
    made = []
    replay = device.record([lambda: made.append(1)] * 3)
    assert (len(made), library.calls) == (
        3,
        [
            "cudaDeviceSynchronize",
            "cudaStreamBeginCapture",
            "cudaStreamEndCapture",
            "cudaGraphInstantiate",
            "cudaGraphDestroy",
        ],
    )
    library.calls.clear()
    assert device.time(replay) == 0
    assert library.calls == [
        "cudaEventRecord",
        "cudaGraphLaunch",
        "cudaEventRecord",
        "cudaEventSynchronize",
        "cudaEventElapsedTime",
    ]
    library.calls.clear()
    del replay
    assert library.calls == ["cudaGraphExecDestroy"]


def test_a_call_that_fails_while_it_is_captured_ends_the_capture():
    library = Library()

    def fail():
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        cuda(library).record([fail])
    assert library.calls[-1] == "cudaStreamEndCapture"


def test_an_error_of_cuda_says_which_call_and_why():
    with pytest.raises(CudaError, match="cudaMemsetAsync: no such luck"):
        cuda(Library("cudaMemsetAsync")).fill(1 << 40, 255, 16)


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
            assert infeasible(variant, conv, sizes, parameters, machine) is None


@pytest.mark.skipif(not compilers(), reason="nothing here compiles CUDA: no nvcc, no NVRTC")
def test_a_library_for_a_card_holds_machine_code_for_the_runtime(tmp_path):
    names = ["--workloads", "dcgan/deconv-128-3", "--variants", "revd2", "--dtypes", "float32"]
    manifest = gpu_pack.pack(options_of(gpu_pack, "--arch", "sm_90", "--out", tmp_path, *names))
    (kernel,) = manifest["kernels"]
    assert kernel["status"] == "packed", kernel
    assert all(each["registers"] for each in kernel["resources"].values())
    content = (tmp_path / kernel["library"]).read_bytes()
    begin = content.index(base64.b64encode(b"\x7fELF\x02")[:6])
    assert base64.b64decode(content[begin : begin + 400]).startswith(b"\x7fELF\x02")
    assert b"__global__" not in content


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
    threads, lanes = record["shape"]
    assert record["flop"] % (2 * threads * lanes) == 0
    assert np.log10(record["flop"]) > 6
