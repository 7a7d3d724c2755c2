"""What is installed is what is in the repository, from a wheel as from the working tree."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tvm_deconv

ROOT = Path(__file__).resolve().parent.parent
HOMES = {"tvm_deconv": ROOT / "tvm_deconv", "tvm_deconv/schedules": ROOT / "schedules"}


def sources() -> set[str]:
    """Paths inside a wheel of all modules that the repository holds."""
    return {
        f"{package}/{path.relative_to(home)}"
        for package, home in HOMES.items()
        for path in home.rglob("*.py")
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Files of a wheel that is built from a copy, so that no build folder is left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy.mkdir(exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for home in HOMES.values():
        for path in home.rglob("*.py"):
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "-w", folder, copy]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_every_module_and_no_other(wheel):
    modules = {name for name in wheel if name.endswith(".py")}
    assert modules == sources()


def test_a_wheel_holds_the_licence(wheel):
    assert any(re.search(r"dist-info/(licenses/)?LICENSE$", name) for name in wheel)


def test_the_schedules_are_importable_as_part_of_the_package():
    from tvm_deconv.schedules import machine

    assert Path(machine.__file__).name == "machine.py"


def test_every_public_name_can_be_asked_for():
    for name in tvm_deconv.__all__:
        assert getattr(tvm_deconv, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'decompile'"):
        _ = tvm_deconv.decompile


def test_the_algebra_and_the_help_need_no_tvm():
    code = (
        "import sys; import tvm_deconv.geometry, tvm_deconv.weights, tvm_deconv.cli;"
        "tvm_deconv.cli._parser().format_help(); sys.exit('tvm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    text = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    for target in targets:
        assert re.search(rf"^  make {target} +\w", text, re.MULTILINE), target
