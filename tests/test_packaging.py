"""What is installed is what is in the repository, from a wheel as from the working tree."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

import tvm_deconv

HOMES = {
    "tvm_deconv": ROOT / "tvm_deconv",
    "tvm_deconv/schedules": ROOT / "schedules",
    "tvm_deconv/tuning_logs": ROOT / "tuning_logs",
}
# A log that the repository does not have.
EXTRA = "tuning_logs/abacus-1-thread/tvm-0.1"
RELAY_EXTRA = "tuning_logs/abacus-1-thread/relay-0.1/records.jsonl"
# Of the backends.
FOR_LINKERS = ("launch.c", "packing.ld", "weights.c")
LOG_FILES = {"device.json", "workloads.json", "records.json", "trials.jsonl"}


def sources() -> set[str]:
    """Paths inside a wheel of all modules that the repository holds."""
    return {
        f"{package}/{path.relative_to(home)}"
        for package, home in HOMES.items()
        for path in home.rglob("*.py")
    }


def logs() -> set[str]:
    """Paths inside a wheel of all files of all logs."""
    home = ROOT / "tuning_logs"
    found = (path.relative_to(home) for path in home.glob("*/tvm-*/*") if path.name in LOG_FILES)
    relay = (path.relative_to(home) for path in home.glob("*/relay-*/records.jsonl"))
    return {f"tvm_deconv/tuning_logs/{path}" for path in (*found, *relay)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel that is built from a copy with one more log, so that no build folder is left."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy.mkdir(exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for home in HOMES.values():
        paths = (
            *home.rglob("*.py"),
            *(home.rglob("*.json*") if home.name == "tuning_logs" else ()),
            *home.glob("model/device_data/*.json"),
            *(home / "backends" / name for name in FOR_LINKERS if home.name == "tvm_deconv"),
        )
        for path in paths:
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    extra = copy / EXTRA
    extra.mkdir(parents=True)
    for name in LOG_FILES:
        (extra / name).write_text(json.dumps([name]))
    (copy / RELAY_EXTRA).parent.mkdir()
    (copy / RELAY_EXTRA).write_text("# records of AutoTVM\n")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "-w", folder, copy]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_every_module_and_no_other(names):
    modules = {name for name in names if name.endswith(".py")}
    assert modules == sources()


def test_a_wheel_holds_what_compilers_and_linkers_are_given(names):
    assert {f"tvm_deconv/backends/{name}" for name in FOR_LINKERS} <= names


def test_a_wheel_holds_the_licence(names):
    assert any(re.search(r"dist-info/(licenses/)?LICENSE$", name) for name in names)


def test_a_wheel_holds_every_tuning_log(names):
    packed = {name for name in names if name.startswith("tvm_deconv/tuning_logs/")}
    wanted = logs() | {f"tvm_deconv/{EXTRA}/{name}" for name in LOG_FILES}
    wanted.add(f"tvm_deconv/{RELAY_EXTRA}")
    assert packed - {"tvm_deconv/tuning_logs/__init__.py"} == wanted


def test_a_wheel_holds_every_device_of_the_model(names):
    folder = "tvm_deconv/model/device_data"
    wanted = {f"{folder}/{path.name}" for path in (ROOT / folder).glob("*.json")}
    assert len(wanted) >= 2
    assert {name for name in names if name.startswith(folder)} == wanted


def test_an_installed_package_looks_for_shipped_logs_inside_itself(wheel, tmp_path, forks):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import os, sys; os.chdir(sys.argv[1]);"
        "from tvm_deconv.logs.find import folders_below;"
        "from tvm_deconv.logs.roots import shipped_root;"
        "print(*folders_below(shipped_root()), sep='\\n')"
    )
    done = forks.run(code, tmp_path)
    assert str(tmp_path / "tvm_deconv" / EXTRA) in done.stdout.splitlines(), done.stderr


@pytest.fixture(scope="module")
def vendors_folder(wheel, relay_python, tmp_path_factory):
    """What docs/relay.md installs for a TVM that is there already."""
    page = (ROOT / "docs" / "relay.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^    python -m (pip install .*) \.$", page, re.MULTILINE)
    # Beside that TVM, not among its packages; with no index to load another one from.
    folder = tmp_path_factory.mktemp("vendor")
    options = ["--no-index", "--quiet", "--disable-pip-version-check", "--target", folder]
    subprocess.run([relay_python, "-m", *command.split(), *options, wheel], check=True)
    return folder


@pytest.mark.relay
def test_beside_a_vendors_tvm_nothing_else_is_installed_and_relay_is_rewritten(
    vendors_folder, relay_python
):
    names = {path.name.partition("-")[0] for path in vendors_folder.iterdir()}
    assert names == {"bin", "tvm_deconv"}
    code = (
        "import sys, tvm_deconv.relay as ours; from tvm import relay;"
        "x = relay.var('x', shape=(1, 4, 3, 3)); w = relay.const([[[[1.0]]] * 4] * 4);"
        "y = relay.nn.depth_to_space(relay.nn.conv2d(x, w), 2);"
        "print(ours.__file__); print(sorted({'onnx', 'PIL', 'tvm_ffi'} & {*sys.modules}));"
        "print(ours.explain(relay.transform.InferType()("
        "__import__('tvm').IRModule.from_expr(relay.Function([x], y)))))"
    )
    done = subprocess.run(
        [relay_python, "-c", code],
        cwd=vendors_folder,
        env={**os.environ, "PYTHONPATH": str(vendors_folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    home, imported, *report = done.stdout.splitlines()
    assert Path(home) == vendors_folder / "tvm_deconv" / "relay" / "__init__.py"
    assert imported == "[]"
    assert report[-1] == "1 rewritten, 0 refused"


@pytest.mark.relay
def test_beside_a_vendors_tvm_a_command_says_in_one_line_what_it_needs(
    vendors_folder, relay_python
):
    done = subprocess.run(
        [relay_python, "-m", "tvm_deconv", "explain", "network.onnx"],
        cwd=vendors_folder,
        env={**os.environ, "PYTHONPATH": str(vendors_folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("tvm-deconv: apache-tvm is not installed here")
    assert "tvm_deconv.relay" in line


def test_the_schedules_are_importable_as_part_of_the_package():
    from tvm_deconv.schedules.cpu import machine

    assert Path(machine.__file__).name == "machine.py"


def test_every_public_name_can_be_asked_for():
    for name in tvm_deconv.__all__:
        assert getattr(tvm_deconv, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'decompile'"):
        _ = tvm_deconv.decompile


def test_the_algebra_and_the_help_need_no_tvm():
    code = (
        "import sys; import tvm_deconv.weights, tvm_deconv.algebra.cook_toom, tvm_deconv.cli;"
        "tvm_deconv.cli._parser().format_help(); sys.exit('tvm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in targets:
        assert re.search(rf"^  make {target} +\w", text, re.MULTILINE), target


@pytest.mark.parametrize(
    "name",
    [
        *("compile", "explain", "run", "tune", "pipeline", "errors", "targets", "threads"),
        *("transform.RewriteUpsampling", "transform.LowerConvolutions", "transform.explain"),
        *("weights.weight_shuffle", "geometry.ConvTranspose2d"),
    ],
)
def test_what_users_name_is_there(name):
    found = tvm_deconv
    for part in name.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize("name", ["workloads", "schedules.choice", "model", "weights", "geometry"])
def test_what_users_import_is_there(name):
    assert importlib.import_module(f"tvm_deconv.{name}").__doc__
