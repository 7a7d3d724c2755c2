"""What README.md and docs/ tell a reader is there, and works as far as a test can try.

Every command is parsed, every program run, every link followed; files and names that are mentioned
exist, and output that is shown is what the command prints.
"""

from __future__ import annotations

import argparse
import importlib
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
from onnx import NodeProto
from paths import ROOT, python_path
from tvm import relax

from tvm_deconv import cli
from tvm_deconv.backends import machine_of
from tvm_deconv.frontends.onnx.convert import CONVERTERS
from tvm_deconv.frontends.onnx.known import is_known
from tvm_deconv.frontends.onnx.microsoft import JOINED
from tvm_deconv.frontends.tflite.convert import CONVERTERS as TFLITE_CONVERTERS
from tvm_deconv.frontends.torch.table import CONVERTERS as TORCH_CONVERTERS
from tvm_deconv.library import compile_library
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.targets import resolve_target

README = ROOT / "README.md"
GPUS = ROOT / "docs" / "gpus.md"
PROGRAMS = ROOT / "docs" / "programs.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
MODEL = ROOT / "scripts" / "models" / "espcn_x3.onnx"
SHAPE = (1, 1, 170, 170)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[([^\]]*)\]")
# Of the longest README that a newcomer reads to its end.
MOST_LINES = 150


def words_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _shell_commands(page: Path) -> Iterator[str]:
    """Indented lines as a shell reads them: joined where one ends with a backslash."""
    text = FENCE.sub("", words_of(page)).replace("\\\n", " ")
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
        yield from re.findall(r'`(\{"kind".*?\})`', words_of(page))
    table = words_of(GPUS).partition("##")[0]
    yield from re.findall(r"`([a-z]+/[\w-]+)`", table)


TARGETS = sorted(set(_targets()))


def test_targets_are_found():
    assert "raspberry-pi/4b-aarch64" in TARGETS
    assert any("cortex-a78ae" in target for target in TARGETS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_is_one_that_the_parser_accepts(command):
    cli._parser().parse_args(command)


def test_every_command_is_documented():
    parser = cli._parser()
    (known,) = [a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    assert {command[0] for command in COMMANDS} == set(known)


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
    for link in LINK.findall(FENCE.sub("", words_of(page))):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), link
        if heading:
            assert heading in _headings(linked), link


def _headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    text = FENCE.sub("", words_of(page))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_extra_that_is_to_be_installed_is_declared(page):
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extras in re.findall(r"tvm-deconv\[([\w,]+)\]", words_of(page)):
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_the_readme_is_short():
    assert len(words_of(README).splitlines()) <= MOST_LINES


def test_every_page_is_one_or_two_links_from_the_readme():
    linked = _pages_linked_by(README)
    linked |= set().union(*map(_pages_linked_by, linked))
    assert {page.resolve() for page in PAGES} <= linked | {README}


def _pages_linked_by(page: Path) -> set[Path]:
    links = (link.partition("#")[0] for link in LINK.findall(words_of(page)))
    return {(page.parent / link).resolve() for link in links if link.endswith(".md")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_picture_says_in_words_what_it_shows(page):
    assert all(len(words) > 10 for words in PICTURE.findall(words_of(page)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_made_and_the_scripts_that_are_run_are_there(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in _shell_commands(page):
        made = re.match(r"make ([\w-]+)", command)
        assert not made or made[1] in targets, command
        script = re.search(r"\b(scripts/\w+\.py)", command)
        assert not script or (ROOT / script[1]).is_file(), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_file_or_a_name_of_ours_that_is_mentioned_exists(page):
    text = words_of(page)
    tops = "tvm_deconv|schedules|scripts|tests|tuning_logs"
    for path in re.findall(rf"`((?:{tops})/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path
    # Those of Relay are looked for in its own environment: tests/relay/test_docs.py.
    for name in set(re.findall(r"\btvm_deconv((?!\.relay\b)(?:\.\w+)+)", text)):
        assert _resolves(name.split(".")[1:]), name


def _resolves(names: list[str]) -> bool:
    """Whether ``tvm_deconv.a.b`` is a module, or something in one."""
    found = importlib.import_module("tvm_deconv")
    for place, name in enumerate(names):
        try:
            found = getattr(found, name)
        except AttributeError:
            module = ".".join(["tvm_deconv", *names[: place + 1]])
            if importlib.util.find_spec(module) is None:
                return False
            found = importlib.import_module(module)
    return True


def _shown() -> Iterator[tuple[str, str]]:
    """Commands after a ``$``, each with the output that stands below it."""
    for page in PAGES:
        for block in re.findall(
            r"^    \$ (.*\n(?:    .*\n|\n(?=    ))*)", words_of(page), re.MULTILINE
        ):
            command, _, output = block.partition("\n")
            yield command, re.sub(r"^    ", "", output, flags=re.MULTILINE)


@pytest.mark.parametrize(("command", "output"), list(_shown()))
def test_output_that_is_shown_is_what_the_command_prints(command, output, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert cli.main(shlex.split(command)[1:]) == 0
    printed = capsys.readouterr().out
    pattern = ".*".join(re.escape(part) for part in output.split("...\n"))
    assert re.match(pattern, printed, re.DOTALL), printed


# What the README's programs take for granted, and a network of the size that they run.
_PRELUDE = """
import onnx, tvm_deconv
from tvm import relax
target = tvm_deconv.targets.resolve_target("host")
network = onnx.load("MODEL")
for dim, size in zip(network.graph.input[0].type.tensor_type.shape.dim, SHAPE):
    dim.dim_value = size
onnx.save(network, "network.onnx")
imported = tvm_deconv.importer.load("network.onnx")
"""


@pytest.mark.parametrize(
    "page", [README, ROOT / "docs" / "frontends.md"], ids=lambda page: page.name
)
def test_the_programs_of_a_page_run(page, tmp_path):
    programs = [code for name, code in FENCE.findall(words_of(page)) if name == "python"]
    assert programs
    prelude = _PRELUDE.replace("MODEL", str(MODEL)).replace("SHAPE", str(SHAPE))
    code = "\n".join([prelude, *(f"mod = imported\n{program}" for program in programs)])
    (tmp_path / "all.py").write_text(code, encoding="utf-8")
    # PyTorch is hidden where nothing reads it (tests/conftest.py).
    path = str(ROOT) if "import torch" in code else python_path(ROOT)
    done = subprocess.run(
        [sys.executable, "all.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "1 rewritten, 0 refused" in done.stdout


def _listed(heading: str, page: str = "frontends.md") -> list[str]:
    """The names of the list below a heading."""
    section = words_of(ROOT / "docs" / page).split(f"\n### {heading}\n")[1].split("\n#")[0]
    return re.findall(r"[\w]+(?=[,.](?:\s|$))", section.partition("And in the domain")[0])


def test_the_operators_that_are_listed_are_those_that_are_read():
    torch = {name.split(".")[1] for name in TORCH_CONVERTERS}
    assert _listed("Operators of PyTorch") == sorted(torch)
    assert _listed("Operators of TFLite") == sorted(TFLITE_CONVERTERS)
    section = words_of(ROOT / "docs" / "frontends.md")
    for name in CONVERTERS:
        assert re.search(rf"\b{name}\b", section.split("### TVM's converters")[0]), name
    for name in JOINED:
        assert re.search(rf"\b{name}\b", section.split("### Written out")[1]), name
    for name in _listed("TVM's converters"):
        assert is_known(NodeProto(op_type=name)), name


def test_every_room_has_a_line_and_the_layers_are_those_that_the_linter_holds():
    text = words_of(ROOT / "docs" / "architecture.md")
    rooms = set(re.findall(r"^\| `([\w/]+)` \|", text, re.MULTILINE))
    folders = [ROOT / "tvm_deconv", ROOT / "tvm_deconv" / "transform", ROOT / "schedules"]
    packages = {
        found.parent.relative_to(ROOT).as_posix()
        for folder in folders
        for found in folder.glob("*/__init__.py")
    }
    assert rooms == packages | {"schedules", "tuning_logs", "scripts", "tests"}
    layers = (ROOT / "pyproject.toml").read_text().partition("layers = [")[2].partition("]")[0]
    assert re.findall(r'"(.+)"', layers) == re.findall(
        r"^    ([\w |]+)$", text.partition("## Which way imports go")[2].partition("##")[0], re.M
    )


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
    blocks = FENCE.findall(words_of(PROGRAMS))
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
    commands = list(_shell_commands(PROGRAMS))
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
