"""What README.md and docs/ tell a reader to type is there, and works as far as a test can try."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tvm
from paths import ROOT
from tvm import relax

from tvm_deconv import cli
from tvm_deconv.backends import machine_of
from tvm_deconv.library import compile_library
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.targets import resolve_target

DEVICES = ROOT / "docs" / "devices.md"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MODEL = ROOT / "scripts" / "models" / "espcn_x3.onnx"
SHAPE = (1, 1, 170, 170)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def _shell_commands(page: Path) -> Iterator[str]:
    """Indented lines as a shell reads them: joined where one ends with a backslash."""
    text = FENCE.sub("", page.read_text(encoding="utf-8")).replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.strip().removeprefix("$ ")


COMMANDS = [
    shlex.split(command, comments=True)[1:]
    for page in PAGES
    for command in _shell_commands(page)
    if command.startswith("tvm-deconv ")
]


def _targets() -> Iterator[str]:
    for command in COMMANDS:
        if "--target" in command:
            yield command[command.index("--target") + 1]
    for page in PAGES:
        yield from re.findall(r'`(\{"kind".*?\})`', page.read_text(encoding="utf-8"))
    table = DEVICES.read_text(encoding="utf-8").partition("## GPUs")[2].partition("###")[0]
    yield from re.findall(r"`([a-z]+/[\w-]+)`", table)


TARGETS = sorted(set(_targets()))


def test_commands_and_targets_are_found():
    assert {command[0] for command in COMMANDS} >= {"explain", "compile", "run", "bench", "tune"}
    assert "raspberry-pi/4b-aarch64" in TARGETS
    assert any("cortex-a78ae" in target for target in TARGETS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_is_one_that_the_parser_accepts(command):
    parser = cli._parser()
    known = next(
        action.choices
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    if command[0] in {"tune", "logs"} and command[0] not in known:
        pytest.skip(f"{command[0]} is not a command yet")
    parser.parse_args(command)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_a_device_that_there_are_schedules_for(target):
    machine = machine_of(resolve_target(target))
    if isinstance(machine, GpuMachine):
        assert machine.max_threads >= 256
    else:
        assert machine.lanes >= 4
        if target.startswith("{"):
            assert machine.threads == json.loads(target)["num-cores"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(page):
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), link
        if heading:
            assert heading in _headings(linked), link


def _headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_extra_that_is_to_be_installed_is_declared(page):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"tvm-deconv\[([\w,]+)\]", page.read_text(encoding="utf-8")):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Path:
    """A home folder as on a board: the environment as ``tvm``, and a compiled network."""
    home = tmp_path_factory.mktemp("board")
    (home / "tvm").symlink_to(sys.prefix)
    if not list(home.glob("tvm/lib/python3*/site-packages/tvm/lib/libtvm_runtime.so")):
        pytest.skip("TVM is not installed in a virtual environment")
    compile_library(MODEL, home / "network.so", shapes={"luma": SHAPE})
    return home


def _example(language: str, word: str) -> str:
    blocks = FENCE.findall(DEVICES.read_text(encoding="utf-8"))
    (code,) = [code for name, code in blocks if name == language and word in code]
    return code


def test_the_python_program_runs_a_network_without_the_compiler(board):
    (board / "run.py").write_text(_example("python", "load_module"), encoding="utf-8")
    environment = {**os.environ, "TVM_USE_RUNTIME_LIB": "1"}
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=board, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    described, shape = done.stdout.splitlines()
    assert tuple(json.loads(described)["inputs"][0]["shape"]) == SHAPE
    assert shape == "(1, 1, 510, 510)"


@pytest.mark.skipif(shutil.which("g++") is None, reason="it takes g++")
def test_the_cpp_program_computes_what_python_does(board):
    (board / "upscale.cc").write_text(_example("cpp", "LoadFromFile"), encoding="utf-8")
    x = np.random.default_rng(0).random(SHAPE, "float32")
    x.tofile(board / "input.bin")
    commands = list(_shell_commands(DEVICES))
    first = next(i for i, command in enumerate(commands) if command.startswith("TVM=$(echo"))
    last = next(i for i, command in enumerate(commands) if "./upscale" in command)
    assert 0 < last - first < 8, "the commands follow each other"
    done = subprocess.run(
        ["bash", "-ec", "\n".join(commands[first : last + 1])],
        cwd=board,
        env={**os.environ, "HOME": str(board)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"][0]["shape"] == [1, 1, 510, 510]

    machine = relax.VirtualMachine(tvm.runtime.load_module(str(board / "network.so")), tvm.cpu())
    expected = machine["main"](tvm.runtime.tensor(x)).numpy()
    found = np.fromfile(board / "output.bin", "float32").reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)
