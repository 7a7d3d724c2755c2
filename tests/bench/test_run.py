"""The benchmark as a whole: ours against ONNX Runtime on a tiny network, and what may go wrong."""

from __future__ import annotations

import inspect
import json
import math
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import onnx
import pytest
from onnx_net import Net

from tvm_deconv import bench, cli
from tvm_deconv.bench import benchmark, contestants, worker
from tvm_deconv.bench.benchmark import run as benchmark_run
from tvm_deconv.bench.contestants import Contestant
from tvm_deconv.errors import BenchError, OutputError, PeerError, QuantizationError
from tvm_deconv.measure import rotation


def tiny_in(folder):
    """An ONNX file of a convolution and a shuffle."""
    net = Net((1, 4, 6, 8))
    path = folder / "tiny.onnx"
    y = net("DepthToSpace", net.conv("x", 4, 8), blocksize=2, mode="CRD")
    onnx.save(net.model(y), path)
    return path


def several_in(folder):
    """The same with two inputs, one of integers, and two outputs."""
    net = Net((1, 4, 6, 8))
    up = net("DepthToSpace", net.conv("x", 4, 8), blocksize=2, mode="CRD")
    model = net.model(up, net("Mul", up, net("Cast", "step", to=1)))
    step_info = onnx.helper.make_tensor_value_info("step", onnx.TensorProto.INT64, (1,))
    model.graph.input.insert(0, step_info)
    path = folder / "several.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def tiny(tmp_path):
    return tiny_in(tmp_path)


def here(name, _root):
    """A peer that runs in the environment of the tests."""
    if name != "onnxruntime":
        raise PeerError(f"{name} cannot be installed: no wheel")
    return Contestant(name, "peer", (sys.executable, "-I", worker.__file__, name))


@pytest.fixture(scope="module", autouse=True)
def no_environments():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "peer", here)
        yield


@dataclass(frozen=True)
class Measured:
    """What a run of the command wrote, drew and printed."""

    out: Path
    plot: Path
    printed: str
    errors: str

    def results(self):
        return json.loads(self.out.read_text())


@pytest.fixture(scope="module")
def measured(tmp_path_factory, no_environments):
    """One run: contestants are processes that take seconds to start."""
    folder = tmp_path_factory.mktemp("measured")
    out, plot = folder / "out.json", folder / "out.svg"
    network = ["--workloads", str(several_in(folder))]
    who = ["--peers", "onnxruntime,mnn", "--variants", "no-rewrite"]
    options = ["--threads", "1", "--limit", "1", "--profile", "--memory"]
    options += ["--out", str(out)]
    printed, errors = StringIO(), StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(printed),
        redirect_stderr(errors),
    ):
        # On a busy machine any of these calls of microseconds may take this much longer.
        patch.setattr(rotation, "SLOW", math.inf)
        assert cli.main(["bench", *network, *who, *options, "--plot", str(plot)]) == 0
    return Measured(out, plot, printed.getvalue(), errors.getvalue())


def test_the_command_measures_writes_prints_and_draws(measured):
    results = measured.results()
    records = results["workloads"]["several"]["contestants"]
    assert {name: record["status"] for name, record in records.items()} == dict.fromkeys(
        ("auto", "no-rewrite", "tvm", "peak", "onnxruntime"), "measured"
    )
    for name in ("auto", "no-rewrite", "tvm", "onnxruntime"):
        assert records[name]["error"] < 1e-5
        assert records[name]["load_cpu_share"] > 0
    between = 4 * 8 * 6 * 8
    assert records["no-rewrite"]["facts"]["planned_bytes"] == between
    assert records["auto"]["facts"]["planned_bytes"] == 0
    assert (results["threads"], results["interrupted"]) == (1, False)
    assert results["versions"]["onnxruntime"] == records["onnxruntime"]["version"]
    assert results["machine"]["cpu"] and results["date"]
    inputs = results["workloads"]["several"]["inputs"]
    assert inputs == {"step": ["int64", 1], "x": ["float32", 1, 4, 6, 8]}
    assert measured.plot.read_bytes().startswith(b"<?xml")
    assert "LEFT OUT: mnn cannot be installed: no wheel" in measured.errors
    assert "- mnn is left out: mnn cannot be installed: no wheel" in measured.printed
    assert "| several " in measured.printed


def test_the_memory_of_a_run_is_that_of_a_library_and_of_the_peer(measured):
    records = measured.results()["workloads"]["several"]["contestants"]
    for name in ("auto", "onnxruntime"):
        memory = records[name]["memory"]
        assert memory["before"] > 2**20 and abs(memory["peak"] - memory["before"]) < 2**28
    assert not any("memory" in records[name] for name in ("no-rewrite", "tvm", "peak"))
    assert "| resident at the peak of a run, MiB | " in measured.printed


def test_the_bound_of_a_run_is_of_the_multiply_adds_that_its_form_does(measured):
    facts = measured.results()["workloads"]["several"]["contestants"]["auto"]["facts"]
    # 3x3 taps of 4 channels for 8 of 6x8, or Winograd's form of fewer.
    assert 0 < facts["form_multiply_adds"] <= 9 * 4 * 8 * 6 * 8


def test_the_kernels_of_ours_and_of_onnx_runtime_are_timed_beside_their_nodes(measured):
    workload = measured.results()["workloads"]["several"]
    # One kernel of ours computes two nodes; ONNX Runtime has one for each.
    assert list(workload["nodes"].values()) == ["Conv", "DepthToSpace", "Cast", "Mul"]
    ours, theirs = (workload["contestants"][name]["profile"] for name in ("auto", "onnxruntime"))
    assert [kernel["nodes"] for kernel in ours["kernels"]] == [["t1", "t2"], ["t3", "t4"]]
    assert sorted({tuple(kernel["nodes"]) for kernel in theirs["kernels"]}) == [
        (name,) for name in workload["nodes"]
    ]
    for profile in (ours, theirs):
        assert len(profile["ms"]) >= 2
        assert all(len(kernel["ms"]) == len(profile["ms"]) for kernel in profile["kernels"])
        # Kernels that ran between the beginning and the end of each call.
        for number, whole in enumerate(profile["ms"]):
            assert 0 < sum(kernel["ms"][number] for kernel in profile["kernels"]) <= whole * 1.01
    assert "| Conv, DepthToSpace (t1 to t2) | " in measured.printed


def test_what_was_measured_is_printed_again_from_its_file(measured, tmp_path, capsys):
    for more in ([], ["--profile"]):
        assert cli.main(["bench", "--from", str(measured.out), *more]) == 0
        assert capsys.readouterr().out == measured.printed
    results = measured.results()
    for workload in results["workloads"].values():
        for name in ("auto", "onnxruntime"):
            del workload["contestants"][name]["profile"]
    out = tmp_path / "out.json"
    out.write_text(json.dumps(results))
    assert cli.main(["bench", "--from", str(out), "--profile"]) == 2
    assert "out.json has no profile: measure it with --profile" in capsys.readouterr().err


def nothing(monkeypatch, tmp_path):
    """The arguments of a run whose contestants are never started."""
    monkeypatch.setattr(benchmark, "measure", lambda *_, **__: {"contestants": {}, "kind": "layer"})
    return {"peers": (), "variants": (), "say": lambda _: None, "out": tmp_path / "out.json"}


def test_an_interrupt_keeps_what_was_measured(tiny, tmp_path, monkeypatch):
    options = nothing(monkeypatch, tmp_path)
    record = {"contestants": {}, "kind": "network", "multiply_adds": None}
    calls = iter([record])

    def measure(*_, **__):
        try:
            return next(calls)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(benchmark, "measure", measure)
    results = bench.run([str(tiny), "espcn-x3"], **options)
    assert results["interrupted"]
    written = json.loads(options["out"].read_text())
    assert written == results
    assert list(written["workloads"]) == ["espcn-x3"]


def test_an_infinite_error_is_null_in_the_result_file(tiny, tmp_path, monkeypatch):
    options = nothing(monkeypatch, tmp_path)
    wrong = {"status": "wrong", "reason": "inf", "error": float("inf"), "ms": [float("nan"), 1.0]}
    record = {"contestants": {"auto": wrong}, "kind": "layer", "multiply_adds": None}
    monkeypatch.setattr(benchmark, "measure", lambda *_, **__: record)
    bench.run([str(tiny)], **options)
    written = json.loads(options["out"].read_text(), parse_constant=pytest.fail)
    auto = written["workloads"]["tiny"]["contestants"]["auto"]
    assert auto == {**wrong, "error": None, "ms": [None, 1.0]}


def test_the_command_runs_with_the_defaults_of_the_library(monkeypatch):
    asked = {}

    def run(workloads, **options):
        asked.update(options, workloads=workloads)
        raise BenchError("stop")

    monkeypatch.setattr(benchmark, "run", run)
    assert cli.main(["bench"]) == 2
    parameters = inspect.signature(benchmark_run).parameters
    for name, value in asked.items():
        assert value == parameters[name].default, name


def test_an_interrupted_command_says_so_in_its_status(monkeypatch, capsys):
    results = {
        "machine": {"cpu": "c", "processors": 1},
        "versions": {},
        "threads": 1,
        "date": "d",
        "commit": None,
        "roles": {},
        "left_out": {},
        "workloads": {},
        "interrupted": True,
    }
    monkeypatch.setattr(benchmark, "run", lambda *_, **__: results)
    assert cli.main(["bench"]) == 130
    assert "interrupted" in capsys.readouterr().out


def test_a_run_without_any_of_the_peers_asked_for_does_not_begin(tiny, tmp_path, monkeypatch):
    options = {**nothing(monkeypatch, tmp_path), "peers": ("mnn", "ncnn")}
    with pytest.raises(BenchError, match=r"no peer can be had: mnn cannot be .*; ncnn cannot be"):
        bench.run([str(tiny)], **options)
    assert not options["out"].exists()


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tiny, tmp_path, monkeypatch):
    options = nothing(monkeypatch, tmp_path)
    monkeypatch.setattr(benchmark, "measure", lambda *_, **__: pytest.fail("it measured"))
    with pytest.raises(OutputError, match="cannot write"):
        bench.run([str(tiny)], **{**options, "out": tmp_path / "none" / "out.json"})


def test_a_result_file_that_is_there_stays_until_there_is_a_new_one(tiny, tmp_path, monkeypatch):
    options = nothing(monkeypatch, tmp_path)
    options["out"].write_text("precious")

    def measure(*_, **__):
        assert options["out"].read_text() == "precious"
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "measure", measure)
    bench.run([str(tiny)], **options)
    assert options["out"].read_text() == "precious"


def test_every_variant_takes_part_unless_some_are_named():
    from tvm_deconv.schedules.cpu.variants import VARIANTS

    def ours(*variants):
        found = contestants.ours_and_baselines(*variants)
        return [each.name for each in found if each.role == "ours"]

    assert ours() == ["auto", "direct", "no-rewrite", *VARIANTS]
    assert ours([]) == ["auto"]
    assert ours(["revd2", "auto"]) == ["auto", "revd2"]


def test_the_tuned_baseline_takes_part_when_asked_for():
    (tuned,) = (each for each in contestants.ours_and_baselines([], 8) if each.name == "tvm-tuned")
    assert (tuned.role, tuned.command[-1]) == ("baseline", "8")
    assert tuned.load_timeout_s > 8 * 50


def test_a_variant_that_computes_no_layer_is_refused_with_its_reason(tmp_path):
    from tvm_deconv.bench.ours import NotSupportedError, Ours

    net = Net((1, 4, 6, 8))
    path = tmp_path / "relu.onnx"
    onnx.save(net.model(net("Relu", "x")), path)
    with pytest.raises(NotSupportedError, match="there is no convolution"):
        Ours({"variant": "revd2"}).load(str(path), {}, [], 1)


def test_networks_of_8_bits_are_measured_beside_those_of_floats(tiny, tmp_path, capsys):
    out = tmp_path / "out.json"
    command = ["bench", "--workloads", str(tiny), "--dtype", "int8"]
    command += ["--peers", "onnxruntime,pytorch"]
    assert cli.main([*command, "--threads", "1", "--limit", "1", "--out", str(out)]) == 0
    records = json.loads(out.read_text())["workloads"]["tiny"]["contestants"]
    assert {name: record["status"] for name, record in records.items()} == dict.fromkeys(
        ("auto", "float32", "peak", "onnxruntime"), "measured"
    )
    assert records["auto"]["notes"][0] == "integer x 1"
    assert "integer" not in records["float32"]["notes"][0]
    # A tie at the most of the one layer, and the float network within float32's rounding.
    assert records["auto"]["error"] < 1e-3 and records["float32"]["error"] < 1e-5
    said = capsys.readouterr().out
    assert "1 thread each, int8" in said and "- pytorch is left out: it makes integers of" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "int8", "variants": ["tdc"]}, r"measured without variants \(tdc\): leave that"),
        ({"dtype": "int8", "tune_baseline": True}, "measured without a tuned baseline"),
        ({"dtype": "int8", "peers": ["pytorch"]}, "no peer is left for int8: pytorch: it makes"),
        ({"dtype": "int4"}, "dtype 'int4' is not measured: give float32 or int8"),
    ],
)
def test_what_is_not_measured_of_8_bits_is_refused_before_the_work(options, message, tiny):
    with pytest.raises(BenchError, match=message):
        benchmark_run([str(tiny)], **options)


def test_onnx_runtime_is_asked_for_before_the_work(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(QuantizationError, match=r"^bench of int8 takes .*: pip install .*quantize"):
        benchmark_run([str(tiny)], dtype="int8")
