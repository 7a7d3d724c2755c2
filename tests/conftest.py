"""The emulated board that tests marked `board` run on; a loud word where what they need lacks."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import board as emulated
import pytest
from board_root import BoardError, MissingTools, check_tools
from forks import Forks
from hypothesis import settings
from paths import ROOT, TESTS, python_path
from sleeping_session import sleeping_sessions

# Property tests draw the same examples each time, on every machine, so that a change is to blame
# where one fails; `make fuzz` draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# They run in an environment of their own: test_relay.py.
collect_ignore = ["relay"]

REQUIRE = "TVM_DECONV_REQUIRE_BOARD"
REQUIRE_RELAY = "TVM_DECONV_REQUIRE_RELAY"

# Neither the logs of whoever runs the tests nor those that we ship decide about a variant, here and
# in the processes that tests start. A test of logs sets it to a folder.
os.environ["TVM_DECONV_LOGS"] = "none"

# PyTorch's threads would wait for the next operator by spinning: 14 ms of a processor, that another
# test could have, for each convolution of the 0.4 ms that it takes. Read when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


# These files wait for devices, timeouts or processes of their own for much of their time.
WAITING = ("test_relay.py", "test_fuzz.py", "tuning")
# What the names of those begin with that run on the emulated board.
BOARD_FILES = "tests/tuning/test_board"


def pytest_collection_modifyitems(items):
    """Files in the order in which workers take them (``--no-loadscope-reorder``).

    One of three is one that waits, the longest of them first, so that processors have work as long
    as there is any; the others come by their number of tests.
    """
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    names = {path: path.relative_to(TESTS).parts[0] for path in files}
    waiting = sorted(
        (p for p in files if names[p] in WAITING), key=lambda p: WAITING.index(names[p])
    )
    others = sorted((p for p in files if names[p] not in WAITING), key=lambda p: -len(files[p]))
    order = []
    while waiting or others:
        order += waiting[:1] + others[:2]
        waiting, others = waiting[1:], others[2:]
    items[:] = [item for path in order for item in files[path]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of ``--dist loadfile``: the files that need the emulated board are one to it.

    Each worker would start a board of its own.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class OneBoard(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return BOARD_FILES if file.startswith(BOARD_FILES) else file

    return OneBoard(config, log)


@pytest.fixture(scope="module", autouse=True)
def what_is_there_stays():
    """What is there before a module's tests is not looked through for garbage again and again.

    With TVM, PyTorch and all tests imported a collection takes 0.15 s, and each command that fails
    ends with one. PyTorch's exporter is imported by the first test that needs it, so once is not
    enough.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def onnx_runtime_waits_asleep():
    with sleeping_sessions():
        yield


@pytest.fixture(scope="session", autouse=True)
def pytorch_lists_its_operators_once():
    if "torch" in sys.modules:  # as wherever TVM is imported
        from quick_exports import list_operators_once

        list_operators_once()


# Memory that TVM and LLVM free is kept for what they allocate next. Given back, it has to be mapped
# and zeroed again by the kernel, which takes half of the system's time. Bytes; read by glibc at the
# start of a process.
KEPT_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": 1 << 30,
    "MALLOC_MMAP_THRESHOLD_": 32 << 20,
    "MALLOC_TOP_PAD_": 64 << 20,
}


def pytest_configure(config):
    """Processes that tests start import no PyTorch, which takes each of them two seconds.

    TVM would, wherever it is installed. Here that are not the workers of pytest itself, which keep
    memory.
    """
    # Collections of garbage are rare: what is not needed any more is mostly freed without.
    gc.set_threshold(100_000, 20, 20)
    if hasattr(config, "workerinput") or not config.getoption("numprocesses"):
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = python_path(*([known] if known else []))
        # What a test starts may be measured for its memory.
        for name in KEPT_MEMORY:
            os.environ.pop(name, None)
    else:
        os.environ.update({name: str(size) for name, size in KEPT_MEMORY.items()})


@pytest.fixture(scope="session")
def forks():
    """Processes that have imported TVM, and nothing else."""
    with Forks("tvm") as made:
        yield made


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """A board that is up: `host`, `port`, `key` of the tracker, `cpu` and `threads`.

    That which `make board` started, if it did; else one of our own, which ends with the session.
    """
    try:
        found = emulated.read()
    except BoardError as error:
        pytest.fail(str(error), pytrace=False)
    if found and emulated.is_alive(found):
        yield found
        return
    try:
        check_tools()
    except MissingTools as error:
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{REQUIRE}=1, but {error}", pytrace=False)
        pytest.skip(str(error))
    state = tmp_path_factory.mktemp("board")
    try:
        started = run_board("start", state)
        if started.returncode:
            pytest.fail(started.stderr.strip(), pytrace=False)
        yield emulated.read(state)
    finally:
        emulated.stop(state)


@pytest.fixture(scope="session")
def relay_python():
    """The Python of `make relay`, or another with such a TVM, a vendor's for example."""
    python = os.environ.get("TVM_DECONV_RELAY_PYTHON")
    python = Path(python) if python else ROOT / ".venv-relay" / "bin" / "python"
    if python.exists():
        return python
    missing = f"There is no {python}: make relay"
    if os.environ.get(REQUIRE_RELAY) == "1":
        pytest.fail(f"{REQUIRE_RELAY}=1, but: {missing}", pytrace=False)
    pytest.skip(missing)


def run_board(command, state, *options):
    """The finished `scripts/board.py`."""
    arguments = [sys.executable, emulated.__file__, command, "--state", str(state), *options]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=600)


def pytest_terminal_summary(terminalreporter):
    titles = {"board": "no ARM board", "gpu": "no NVIDIA GPU", "relay": "no TVM with Relay"}
    for keyword, title in titles.items():
        skipped = [
            report
            for report in terminalreporter.stats.get("skipped", [])
            if keyword in getattr(report, "keywords", ())  # a whole module has none
        ]
        if skipped:
            *_, reason = skipped[0].longrepr
            terminalreporter.section(title, red=True, bold=True)
            terminalreporter.line(f"{len(skipped)} tests did not run. {reason}", red=True)
