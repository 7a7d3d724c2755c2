"""Processes of our own do without PyTorch."""

import os
import signal
import subprocess
import sys
import time

import pytest
import tvm
from paths import ROOT

from tvm_deconv import __main__, cli
from tvm_deconv.compiler import one_error
from tvm_deconv.interrupts import HungUp, Terminated

CODE = """
import sys
from tvm_deconv.startup import without_torch
without_torch()
import tvm
assert "torch" not in sys.modules, "others ask whether it is there before they import it"
try:
    import torch
except ImportError as error:
    print(error)
"""


def test_a_process_of_our_own_imports_tvm_without_pytorch():
    pytest_only = {"PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **pytest_only},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "this process does without PyTorch\n"


def test_the_command_looks_for_garbage_seldom_and_not_at_its_end():
    code = """
import atexit, gc, sys
from tvm_deconv import __main__
atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 1000))
sys.argv = ["tvm-deconv", "logs", "--help"]
__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("100000 True", "")


@pytest.mark.parametrize(("model", "hidden"), [("net.onnx", [True]), ("net.pt2", [])])
def test_the_command_does_with_pytorch_only_for_a_file_of_its_own(monkeypatch, model, hidden):
    done = []
    monkeypatch.setattr(__main__, "without_torch", lambda: done.append(True))
    monkeypatch.setattr(cli, "main", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["tvm-deconv", "check", model])

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert __main__.main() == 0

    assert done == hidden


def test_an_interrupt_while_the_command_is_imported_is_one_line(monkeypatch, capsys):
    class Interrupting:
        def find_spec(self, name, path, target=None):
            if name == "tvm_deconv.cli":
                raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "without_torch", lambda: None)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "tvm_deconv.cli")
    monkeypatch.delattr("tvm_deconv.cli", raising=False)

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert __main__.main() == 130

    assert capsys.readouterr() == ("", "tvm-deconv: interrupted\n")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Terminated, HungUp])
def test_a_signal_while_tvm_runs_a_pass_of_ours_is_not_taken_for_an_error_of_the_model(kind):
    @tvm.transform.module_pass(opt_level=0)
    def interrupted(_mod, _context):
        raise kind

    with pytest.raises(kind), one_error():
        interrupted(tvm.IRModule())


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_compilation_that_is_ended_leaves_no_files(number, status, tmp_path):
    temporary, out = tmp_path / "temporary", tmp_path / "out"
    temporary.mkdir()
    out.mkdir()
    model = ROOT / "scripts" / "models" / "espcn_x3.onnx"
    command = [sys.executable, "-m", "tvm_deconv", "compile", model, "-o", out / "network.so"]
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        while not list(out.iterdir()):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == status
    assert not [*temporary.iterdir(), *out.iterdir()]


def test_a_closed_terminal_ends_nothing_that_nohup_started(tmp_path):
    out = tmp_path / "network.so"
    model = ROOT / "scripts" / "models" / "espcn_x3.onnx"
    command = ["nohup", sys.executable, "-m", "tvm_deconv", "compile", model, "-o", out]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while len(list(tmp_path.iterdir())) == 0:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.is_file()


def test_a_check_leaves_no_file_of_the_runtime_that_it_asks(tmp_path):
    model = ROOT / "scripts" / "models" / "espcn_x3.onnx"
    command = [sys.executable, "-m", "tvm_deconv", "check", model, "--shape", "luma=1,1,16,16"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    assert not list(tmp_path.iterdir())
