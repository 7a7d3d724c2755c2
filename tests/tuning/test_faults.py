"""What the tuner's runner makes of candidates and devices that misbehave; with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import tuning_kernels
from tvm.rpc import base, connect_tracker
from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.runner import EvaluatorConfig, RunnerInput

from tvm_deconv.errors import DeviceError
from tvm_deconv.tuning import waiting
from tvm_deconv.tuning.case import read_case
from tvm_deconv.tuning.device import RpcDevice, local_device, served, wait_for
from tvm_deconv.tuning.runner import make_runner, status_of
from tvm_deconv.tuning.waiting import Waiting

REPEAT = 3
TIMEOUT_S = 3


@pytest.fixture(scope="module", autouse=True)
def temporary_folder(tmp_path_factory):
    """Servers that are killed leave theirs behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("servers")))
        yield


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The path of each kernel's library."""
    root = tmp_path_factory.mktemp("kernels")
    case = tuning_kernels.write_layer_case(root / "cases")
    made = {
        body: tuning_kernels.c_artifact(case, root / body.replace(" ", "-"), body)
        for body in tuning_kernels.BODIES
    }
    return {"right": tuning_kernels.right_artifact(case, root / "right"), **made}


class Bench:
    """A runner, the lines that it reported, and the event that stops it."""

    def __init__(self, device: RpcDevice, **options):
        self.device, self.lines, self.stop = device, [], threading.Event()
        options = {"timeout_s": TIMEOUT_S, "margin_s": 1, "grace_s": 1, "threads": 1, **options}
        self.runner = make_runner(
            device,
            evaluator=EvaluatorConfig(1, REPEAT, 1, True),
            stop=self.stop,
            report=self.lines.append,
            **options,
        )

    def close(self):
        self.runner.close()

    def results(self, *libraries: Path):
        inputs = [RunnerInput(str(library), "cpu", []) for library in libraries]
        return [future.result() for future in self.runner.run(inputs)]

    def errors(self, *libraries: Path):
        return [result.error_msg and str(result.error_msg) for result in self.results(*libraries)]

    def statuses(self, *libraries: Path):
        return [status_of(error) for error in self.errors(*libraries)]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """For candidates that misbehave on a device that does not."""
    with local_device(1) as device, closing(Bench(device)) as bench:
        yield bench


def test_a_right_kernel_is_timed(bench, kernels):
    (result,) = bench.results(kernels["right"])
    assert result.error_msg is None
    seconds = [float(second) for second in result.run_secs]
    assert len(seconds) == REPEAT and all(0 < second < 1 for second in seconds)


def test_a_kernel_with_other_weights_is_wrong(bench, kernels, tmp_path):
    library = tmp_path / "kernel.so"
    library.write_bytes(kernels["right"].read_bytes())
    folder = kernels["right"].parent
    (tmp_path / "case.json").write_bytes((folder / "case.json").read_bytes())
    packed = np.load(folder / "packed.npz")["arr_0"]
    packed.flat[np.flatnonzero(packed)[0]] += 0.01
    np.savez(tmp_path / "packed.npz", packed)
    (error,) = bench.errors(library)
    assert error.startswith("wrong result: off by 0.0")


@pytest.mark.parametrize(
    "body, error",
    [
        ("half", "wrong result: 210 of 420 values are no numbers or not written"),
        ("later wrong", "wrong result: off by 1 "),
        ("crash", "crashed: its session ended without an answer"),
        ("exit", "crashed: its session ended without an answer"),
        ("endless", "timed out: the device ended the session"),
    ],
)
def test_a_bad_kernel_is_told_and_the_next_one_measured(bench, kernels, body, error):
    found, after = bench.errors(kernels[body], kernels["right"])
    assert found.startswith(error)
    assert after is None and bench.runner.lost is None


def test_a_library_that_the_device_cannot_load_fails(bench, kernels, tmp_path):
    library = tmp_path / "kernel.so"
    library.write_bytes(b"no library")
    (error,) = bench.errors(library)
    assert error.startswith("failed: ") and "kernel.so" in error
    assert status_of(error) == "failed"


def test_a_function_without_a_case_is_timed_with_random_arguments(bench, kernels, tmp_path):
    library = tmp_path / "slow.so"
    library.write_bytes(kernels["slow"].read_bytes())
    y = TensorInfo("float32", read_case_of(kernels).expected.shape)
    (future,) = bench.runner.run([RunnerInput(str(library), "cpu", [y, y, y])])
    result = future.result()
    assert result.error_msg is None
    assert all(0.2 < float(second) < 1 for second in result.run_secs)


def read_case_of(kernels):
    (folder,) = (kernels["right"].parent.parent / "cases").iterdir()
    return read_case(folder)


def test_nothing_is_begun_after_a_stop(bench, kernels):
    bench.stop.set()
    assert bench.errors(kernels["right"], kernels["endless"]) == ["interrupted"] * 2
    bench.stop.clear()


@contextmanager
def holding(device: RpcDevice):
    """Another program has the device."""
    tracker = connect_tracker(device.host, device.port)
    session = tracker.request(device.key)
    yield
    del session
    tracker.close()


def test_a_busy_device_is_waited_for(bench, kernels):
    with holding(bench.device):
        threading.Timer(0.3, bench.stop.set).start()
        assert bench.errors(kernels["right"]) == ["interrupted"]
        bench.stop.clear()
    assert bench.statuses(kernels["right"]) == ["ok"]


@pytest.fixture
def looks_often(monkeypatch):
    """Whether a device that is waited for is still there; otherwise every two seconds."""
    monkeypatch.setattr(waiting, "_LOOK_S", 0.3)


def test_a_device_that_is_busy_for_too_long_is_lost(bench, kernels, looks_often):
    with closing(Bench(bench.device, timeout_s=1, grace_s=0)) as impatient:
        with holding(bench.device):
            assert impatient.statuses(kernels["right"]) == ["device"]
        assert impatient.lines == ["device 'local' is busy: waiting for it"]
        assert "is busy: another program has held it" in str(impatient.runner.lost)
        # What follows does not wait again.
        assert impatient.errors(kernels["right"]) == [f"device: {impatient.runner.lost}"]


@pytest.fixture(scope="module")
def tracker():
    """One that outlives the devices."""
    with served("tracker") as tracker:
        yield tracker


@pytest.fixture
def device(tracker, request):
    """What a test registers with the tracker, under a key of its own."""
    return RpcDevice("127.0.0.1", tracker.port, request.function.__name__)


def test_a_device_that_vanishes_while_another_program_has_it_is_noticed(device, looks_often):
    # A device that is never free: it registers, and offers nothing.
    board = connect_tracker(device.host, device.port)
    about = {"key": f"server:{device.key}", "addr": [None, 1]}
    base.sendjson(board._sock, [base.TrackerCode.UPDATE_INFO, about])
    assert base.recvjson(board._sock) == base.TrackerCode.SUCCESS
    lines = []
    patient = Waiting(device, 60, 0.5, threading.Event(), lines.append)
    threading.Timer(0.5, board.close).start()
    began = time.monotonic()
    with pytest.raises(DeviceError, match="has no device at all"):
        patient.lease()
    assert time.monotonic() - began < 20
    assert "waiting up to 0.5 s for it to come back" in lines[-1]


def test_two_runners_share_one_device(bench, kernels):
    with closing(Bench(bench.device)) as other:
        libraries = [kernels[kind] for kind in ("right", "half", "slow", "right")]
        found = []
        thread = threading.Thread(target=lambda: found.extend(other.statuses(*libraries)))
        thread.start()
        assert bench.statuses(*libraries) == ["ok", "wrong result", "ok", "ok"]
        thread.join()
        assert found == ["ok", "wrong result", "ok", "ok"]


@contextmanager
def server(device, *needed):
    """The process of a device's server, which a test may end."""
    with served("server", device.key, str(device.port)) as process:
        wait_for(device, *needed, process)
        yield process.process


def end(process):
    """End the process and the session that it forked, as a board that is unplugged."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def in_a_session(process, act):
    """Call ``act`` once the server serves a session, which takes a second or more."""

    def watch():
        while not psutil.Process(process.pid).children():
            time.sleep(0.02)
        time.sleep(0.3)
        act()

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    watcher.join()


def test_a_device_that_vanishes_is_lost_and_what_follows_fails_at_once(device, kernels):
    with server(device) as process:
        with closing(Bench(device)) as bench, in_a_session(process, lambda: end(process)):
            error, after = bench.errors(kernels["slow"], kernels["right"])
        assert error == f"device: {bench.runner.lost}" == after
        assert "has no device at all" in error and "went away while a candidate ran" in error
        first, second = bench.lines
        assert "its session ended without an answer; trying once again" in first
        assert "waiting up to 1 s" in second


def test_a_device_that_comes_back_measures_the_same_candidate_again(device, kernels):
    with ExitStack() as stack:
        process = stack.enter_context(server(device))
        bench = stack.enter_context(closing(Bench(device, grace_s=30)))

        def replace():
            end(process)
            stack.enter_context(server(device))

        with in_a_session(process, replace):
            assert bench.statuses(kernels["slow"], kernels["right"]) == ["ok", "ok"]
        assert bench.runner.lost is None
        assert "trying once again" in bench.lines[0]


def test_a_tracker_that_is_killed_costs_nothing_that_was_measured(kernels):
    with served("tracker") as tracker:
        device = RpcDevice("127.0.0.1", tracker.port, "board")
        with server(device, tracker) as process, closing(Bench(device)) as bench:
            with in_a_session(process, lambda: end(tracker.process)):
                assert bench.statuses(kernels["slow"], kernels["right"]) == ["ok", "device"]
            assert f"no tracker at 127.0.0.1:{device.port}" in str(bench.runner.lost)


def test_a_device_that_hangs_is_not_waited_for_for_ever(device, kernels):
    # A board without power or network: the connection stays, and nothing comes any more.
    with server(device) as process:
        with closing(Bench(device, timeout_s=2, margin_s=0.2, grace_s=0.2)) as bench:
            with in_a_session(process, lambda: os.killpg(process.pid, signal.SIGSTOP)):
                assert bench.statuses(kernels["slow"]) == ["device"]
            assert "is busy: another program has held it, or it hangs" in str(bench.runner.lost)
            assert "did not end the session itself" in bench.lines[0]
        os.killpg(process.pid, signal.SIGCONT)


def test_a_device_with_too_few_threads_is_refused(device, kernels):
    # TVM's own server, which a board would run; it has no function of ours.
    with tvms_own_server(device):
        wait_for(device)
        with closing(Bench(device, threads=2)) as bench:
            assert bench.statuses(kernels["right"]) == ["device"]
        assert "1 threads there, not 2" in str(bench.runner.lost)
        assert "TVM_NUM_THREADS=2" in str(bench.runner.lost)


@contextmanager
def tvms_own_server(device):
    where = ["--host", "127.0.0.1", "--tracker", f"{device.host}:{device.port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tvm.exec.rpc_server", *where, "--key", device.key, "--silent"],
        env={**os.environ, "TVM_NUM_THREADS": "1", "TVM_USE_RUNTIME_LIB": "1"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield
    end(process)


# A tuner whose user presses Ctrl-C during the first of two measurements.
TUNER = """
import signal, sys, threading
from tvm.s_tir.meta_schedule.runner import EvaluatorConfig, RunnerInput
from tvm_deconv.tuning.device import local_device
from tvm_deconv.tuning.runner import make_runner, status_of
stop = threading.Event()
signal.signal(signal.SIGINT, lambda *_: stop.set())
with local_device(1) as device:
    runner = make_runner(
        device, evaluator=EvaluatorConfig(1, 3, 1, True), timeout_s=10, threads=1, stop=stop,
        report=print,
    )
    right, slow = (RunnerInput(path, "cpu", []) for path in sys.argv[1:])
    for future in runner.run([right, slow, right]):
        print(status_of(future.result().error_msg), flush=True)
    runner.close()
"""


def test_ctrl_c_lets_the_measurement_under_way_end(kernels):
    command = [sys.executable, "-c", TUNER, str(kernels["right"]), str(kernels["slow"])]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline() == "ok\n"
        time.sleep(0.5)
        # The terminal sends it to the worker process, too.
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == "ok\ninterrupted\n"
        assert process.wait() == 0
