"""Contestants in processes of their own: the protocol, and what misbehaving ones come to."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tvm_deconv.bench import worker
from tvm_deconv.bench.client import Worker
from tvm_deconv.bench.files import Files
from tvm_deconv.errors import PeerError

FAKES = """
import os, subprocess, sys, time
import numpy as np
sys.path.append(os.path.dirname(sys.argv[1]))
import worker

def chatty(model, inputs, outputs, threads):
    print("a library says hello")
    os.system("echo and so does its child")
    def call():
        print("again", flush=True)
        return inputs["x"]
    return call, lambda y: [y * threads, -y], "1.2", [model, *outputs]

def refuses(*_):
    raise ValueError("no operator\\nis known")

def exits(*_):
    raise SystemExit("the converter gave up")

def dies(*_):
    print("a bug of ours", file=sys.stderr, flush=True)
    os._exit(3)

def hangs(model, *_):
    child = subprocess.Popen(["sleep", "60"])
    with open(model, "w") as file:
        file.write(str(child.pid))
    time.sleep(60)

def sleeps(model, inputs, *_):
    return lambda: time.sleep(0.01) or inputs["x"], lambda y: [y, y], "1", []

def lacks_one(model, inputs, *_):
    return lambda: inputs["x"], lambda y: [y], "1", []

def dies_in_turn(model, inputs, *_):
    calls = []
    def call():
        calls.append(0)
        # The second call, of the load too, is as long as the load wants them to be.
        time.sleep(0.2 * (len(calls) == 2))
        if len(calls) > 2:
            os._exit(4)
        return inputs["x"]
    return call, lambda y: [y, y], "1", []

def profiled(model, inputs, outputs, threads, folder):
    made = []
    def call():
        made.append(len(made))
        return inputs["x"]
    kernels = [{"name": "copy", "layer": folder, "ms": made}]
    return (call, lambda y: [y, y], "1", []), lambda: (["a remark"], kernels)

def hungry(model, inputs, *_):
    held = np.ones(6 * 2**20)
    del (passing := [np.ones(16 * 2**20)])[:]
    def call():
        held[:] += np.ones(2 * 2**20).sum()
        return inputs["x"]
    return call, lambda y: [y, y], "1", []

loaders = {
    f.__name__: f
    for f in (hungry, chatty, refuses, exits, dies, hangs, sleeps, lacks_one, dies_in_turn)
}
worker.serve(loaders, sys.argv[2], profilers={"sleeps": profiled})
"""


@pytest.fixture
def fake(tmp_path):
    """Starts one of FAKES; gives the worker and the arguments of a load."""
    script, x = tmp_path / "fake.py", tmp_path / "x.npy"
    script.write_text(FAKES)
    np.save(x, np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3))
    outputs = {name: tmp_path / f"{name}.npy" for name in ("y", "z")}
    files = Files(tmp_path / "model.onnx", {"x": x}, outputs)
    running = []

    def start(name, **options):
        command = [sys.executable, "-I", str(script), worker.__file__, name]
        running.append(Worker(command, name, **options))
        return running[-1], (files, 2)

    yield start
    for each in running:
        each.close()


def test_a_contestant_that_prints_answers_all_the_same(fake):
    contestant, files = fake("chatty")
    loaded = contestant.load(*files)
    network = files[0]
    assert (loaded.version, loaded.notes) == ("1.2", [str(network.model), "y", "z"])
    assert loaded.load_s >= 0
    x = np.load(network.inputs["x"])
    for result, expected in zip(network.results(), (2 * x, -x), strict=True):
        np.testing.assert_array_equal(result, expected)
    turn = contestant.turn(5)
    assert len(turn.ms) == 5 and min(turn.ms) >= 0 and turn.cpu_share >= 0
    assert contestant.alive
    contestant.close()
    assert not contestant.alive


@pytest.mark.parametrize(
    "name, reason",
    [
        ("refuses", r"refuses \(load\): ValueError: no operator is known$"),
        ("exits", r"exits \(load\): SystemExit: the converter gave up$"),
        ("lacks_one", r"ValueError: 1 results, where the model has 2 outputs$"),
        ("nobody", r"nobody \(load\): ValueError: unknown contestant 'nobody': use one of chatty"),
    ],
)
def test_a_refusal_is_one_line_and_the_contestant_goes_on(fake, name, reason):
    contestant, files = fake(name)
    for _ in range(2):
        with pytest.raises(PeerError, match=reason):
            contestant.load(*files)
    assert contestant.alive


class Clocks:
    """Time as a contestant of two threads sees it that keeps ``busy`` processors at work."""

    def __init__(self, call_s, busy):
        self.now, self.calls, self.call_s, self.busy = 0.0, 0, call_s, busy

    def call(self):
        self.calls += 1
        self.now += self.call_s

    def perf_counter(self):
        return 100 + self.now

    def process_time(self):
        return 7 + self.now * self.busy


@pytest.mark.parametrize(("call_s", "calls"), [(0.25, 1), (0.0625, 3), (2.0, 1)])
def test_calls_are_repeated_until_the_processors_in_use_can_be_told(monkeypatch, call_s, calls):
    clocks = Clocks(call_s, 1.75)
    monkeypatch.setattr(worker, "time", clocks)
    assert worker._cpu_share(clocks.call) == pytest.approx(1.75)
    assert clocks.calls == calls


def test_a_load_says_how_many_processors_the_contestant_uses(fake):
    contestant, files = fake("sleeps")
    assert contestant.load(*files).load_cpu_share < 0.5


def test_a_profile_has_the_counted_calls_only(fake, tmp_path):
    contestant, files = fake("sleeps")
    contestant.load(*files, profile=tmp_path)
    for calls in (2, 1):
        contestant.turn(calls, warm_s=0)
    (kernel,), notes = contestant.kernels()
    assert (kernel["name"], kernel["layer"], notes) == ("copy", str(tmp_path), ["a remark"])
    # The first call of each turn does not count, nor do those of the load.
    first, second, third = kernel["ms"]
    assert first > 1 and (second, third) == (first + 1, first + 3)


def test_who_is_not_profiled_says_so(fake, tmp_path):
    contestant, files = fake("chatty")
    with pytest.raises(PeerError, match="chatty has no profiler"):
        contestant.load(*files, profile=tmp_path)
    contestant.load(*files)
    with pytest.raises(PeerError, match="nothing is profiled: send a load"):
        contestant.kernels()


def test_the_memory_of_a_run_is_what_it_holds_and_makes_not_what_loading_took(fake):
    contestant, files = fake("hungry")
    memory = contestant.load(*files, memory=True).memory
    # 48 MiB are held, and 16 more are made in each call; loading took 128.
    assert 60 < (memory["peak"] - memory["before"]) / 2**20 < 80
    assert contestant.load(*files).memory is None


def test_a_turn_before_a_load_is_refused(fake):
    contestant, files = fake("chatty")
    with pytest.raises(PeerError, match="nothing is loaded"):
        contestant.turn(1)
    contestant.load(*files)
    with pytest.raises(PeerError, match="No such file"):
        contestant.load(files[0]._replace(inputs={"x": Path("absent.npy")}), 2)
    # The model before is gone: its times must not count as those of the one that failed.
    with pytest.raises(PeerError, match="nothing is loaded"):
        contestant.turn(1)


def test_a_dead_contestant_is_named_with_its_last_words(fake):
    contestant, files = fake("dies")
    with pytest.raises(PeerError, match=r"dies \(load\) died with exit status 3: a bug of ours"):
        contestant.load(*files)
    assert not contestant.alive
    with pytest.raises(PeerError, match="exit status 3"):
        contestant.turn(1)


def test_one_that_dies_in_its_turn_is_named(fake):
    contestant, files = fake("dies_in_turn")
    contestant.load(*files)
    with pytest.raises(PeerError, match=r"\(turn\) died with exit status 4: it said nothing"):
        contestant.turn(1)


def test_a_hanging_contestant_is_killed_with_its_children(fake):
    contestant, files = fake("hangs", load_timeout_s=2)
    with pytest.raises(PeerError, match=r"hangs \(load\) gave no answer in 2 s and was stopped"):
        contestant.load(*files)
    assert not contestant.alive
    child = int(files[0].model.read_text())
    assert _ends(child)


def _ends(pid):
    """Whether the process is gone, or only its entry is left, within a few seconds."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_leaving_the_block_ends_a_contestant_that_hangs(tmp_path):
    script = tmp_path / "deaf.py"
    script.write_text("import time; time.sleep(60)")
    with Worker([sys.executable, str(script)], "deaf", close_timeout_s=0.2) as contestant:
        assert contestant.alive
    assert not contestant.alive


def test_a_command_that_does_not_exist_is_named():
    with pytest.raises(PeerError, match="ghost cannot be started: no/such/python"):
        Worker(["no/such/python"], "ghost")


def test_an_answer_that_is_not_json_is_an_error(tmp_path):
    script = tmp_path / "babbler.py"
    script.write_text("input(); print('hello'); input()")
    files = Files(tmp_path / "m", {}, {})
    with Worker([sys.executable, str(script)], "babbler") as contestant:
        with pytest.raises(PeerError, match="answered 'hello', which is not JSON"):
            contestant.load(files, 1)
        contestant._process.wait()
        assert not contestant.alive
