"""Contestants are checked before they are timed; misbehaving ones do no harm to the others."""

from __future__ import annotations

import sys
from functools import partial

import onnx
import pytest
from onnx import TensorProto, helper

from tvm_deconv.bench import contest, figures, table
from tvm_deconv.bench.contest import Field, measure
from tvm_deconv.bench.contestants import Contestant
from tvm_deconv.measure.rotation import CALLS_A_TURN, MOST_CALLS_A_TURN
from tvm_deconv.workloads.selection import ModelFile

# NAME says what it does; the model negates its input.
FAKES = """
import os, sys, time

# Threads of NumPy's own are busy for the first 30 ms, while it is watched who sleeps.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
from tvm_deconv.bench import worker
from tvm_deconv.bench.worker import serve

# Who sleeps uses no processor, however short the time is for which that is watched.
worker.SHARE_S = 0.03

def contestant(answer, seconds):
    def load(model, inputs, outputs, threads):
        result = answer(-inputs["x"])
        def call():
            time.sleep(seconds)
            return result
        return call, lambda y: [y], "1.0", []
    return load

def nan(y):
    y[0, 0, 0, 0] = np.nan
    return y

def refuse(y):
    raise ValueError("no such layer")

def die(y):
    os._exit(3)

def dies_in_turn(model, inputs, outputs, threads):
    calls = []
    def call():
        calls.append(0)
        # The second call, of the load too, is as long as the load wants them to be.
        time.sleep(0.05 * (len(calls) == 2))
        if len(calls) > 2:
            os._exit(4)
        return -inputs["x"]
    return call, lambda y: [y], "1.0", []

serve({
    "auto": contestant(lambda y: y, 0.002),
    "slower": contestant(lambda y: y, 0.004),
    "close": contestant(lambda y: y * 1.00005, 0.003),
    "wrong": contestant(lambda y: y * 1.0005, 0),
    "nan": contestant(nan, 0),
    "shape": contestant(lambda y: y[:, :, 1:], 0),
    "refuses": contestant(refuse, 0),
    "dies": contestant(die, 0),
    "dies_in_turn": dies_in_turn,
    "peak": contestant(lambda y: y * 0, 0.001),
}, sys.argv[1], lambda: {"flop": 1e6})
"""
PEERS = ("slower", "close", "wrong", "nan", "shape", "refuses", "dies", "dies_in_turn")


def negation(path, size=4):
    """An ONNX file that negates an image of that size."""
    shape = (1, 1, size, size)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "net", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return ModelFile(path)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two workloads measured by the same processes, as a result file would hold them."""
    folder = tmp_path_factory.mktemp("contest")
    script = folder / "fakes.py"
    script.write_text(FAKES)
    roles = {"auto": "ours", "peak": "peak", **dict.fromkeys(PEERS, "peer")}
    contestants = [
        Contestant(name, role, (sys.executable, str(script), name)) for name, role in roles.items()
    ]
    missing = Contestant("missing", "peer", (str(folder / "missing"),))
    workloads = [negation(folder / "first.onnx"), negation(folder / "second.onnx", 7)]
    with Field([*contestants, missing], {}) as field, pytest.MonkeyPatch.context() as patch:
        # No kernel of one contestant is in the way of the next.
        patch.setattr(contest, "rotate", partial(contest.rotate, pause_s=0))
        records = {
            workload.name: measure(workload, field, 2, folder, limit_s=0) for workload in workloads
        }
    return {"roles": {**roles, "missing": "peer"}, "workloads": records, "threads": 2}


@pytest.fixture(params=["first", "second"])
def contestants(measured, request):
    return measured["workloads"][request.param]["contestants"]


def test_who_is_right_is_measured_in_turns(contestants):
    for name in ("auto", "slower", "close"):
        record = contestants[name]
        assert record["status"] == "measured"
        assert len(record["ms"]) in range(1 + CALLS_A_TURN, 2 + MOST_CALLS_A_TURN)
        assert len(record["cpu_share"]) == 2
        assert 0 <= record["load_cpu_share"] < 0.5  # they sleep
    assert min(contestants["slower"]["ms"]) >= 4


def test_the_error_is_recorded(contestants):
    assert contestants["auto"]["error"] == 0
    assert contestants["close"]["error"] == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("wrong", "wrong", "the largest error is 5.0e-04, over 1e-04"),
        ("nan", "wrong", "the largest error is inf, over 1e-04"),
        ("shape", "wrong", "the result has shape (1, 1, "),
        ("refuses", "not supported", "refuses (load): ValueError: no such layer"),
        ("dies", "failed", "dies (load) died with exit status 3"),
        ("dies_in_turn", "failed", "dies_in_turn (turn) died with exit status 4"),
        ("missing", "failed", "missing cannot be started"),
    ],
)
def test_who_is_wrong_refuses_or_dies_does_not_count(contestants, name, status, reason):
    record = contestants[name]
    assert record["status"] == status
    assert reason in record["reason"]
    assert not record.get("ms")


def test_the_peak_computes_nothing_and_is_not_checked(contestants):
    assert contestants["peak"]["status"] == "measured"
    assert contestants["peak"]["facts"] == {"flop": 1e6}
    assert "error" not in contestants["peak"]


def test_only_who_counts_is_compared_and_the_others_are_listed(measured):
    for row in figures.rows(measured):
        assert set(row.times) == {"auto", "slower", "close"}
        # Who sleeps longer is slower, but not on a busy machine.
        peers = {name: row.times[name].median for name in ("slower", "close")}
        assert row.fastest_peer == min(peers, key=peers.get)
        assert row.ratio == min(peers.values()) / row.times["auto"].median
    notes = table.notes({**measured, "left_out": {}}).splitlines()
    for name in PEERS[2:]:
        assert sum(line.startswith(f"- first, {name}: ") for line in notes) == 1


def test_a_model_too_large_for_a_contestant_is_not_given_to_it(tmp_path):
    class Large:
        name, kind, origin, multiply_adds = "n", "layer", "test", 10**9
        model = negation(tmp_path / "large.onnx").model

    patient = Contestant("never", "baseline", ("/bin/false",), most_multiply_adds=1e6)
    with Field([patient], {}) as field:
        record = measure(Large(), field, 1, tmp_path, limit_s=0)["contestants"]["never"]
    assert (record["status"], record["reason"]) == ("not supported", "over 1e+06 multiply-adds")


def test_memory_is_measured_in_a_process_of_its_own_that_has_loaded_nothing_else(tmp_path):
    script = tmp_path / "fakes.py"
    script.write_text(FAKES)

    def command(name):
        return (sys.executable, str(script), name)

    contestants = [
        Contestant("auto", "ours", command("auto"), ships=command("close")),
        Contestant("slower", "ours", command("slower")),
        Contestant("close", "peer", command("close"), ships=(str(tmp_path / "missing"),)),
    ]
    with Field(contestants, {}) as field, pytest.MonkeyPatch.context() as patch:
        patch.setattr(contest, "rotate", partial(contest.rotate, pause_s=0))
        network = negation(tmp_path / "n.onnx")
        found = measure(network, field, 1, tmp_path, limit_s=0, memory=True)["contestants"]
    memory = found["auto"]["memory"]
    # It computes nothing to speak of.
    assert memory["before"] > 2**20 and abs(memory["peak"] - memory["before"]) < 2**23
    assert "memory" not in found["slower"]
    # Its times count all the same.
    assert found["close"]["status"] == "measured"
    assert "cannot be started" in found["close"]["memory"]["reason"]
