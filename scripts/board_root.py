"""What an emulated board is made of: arm64 Debian packages and aarch64 wheels, in two folders.

Nothing here needs root, a mount or a chroot: debootstrap only downloads, `dpkg -x` unpacks, no
package is configured, and pip puts wheels of another architecture into a folder. qemu then looks
every path up in the root first (its option -L). Each folder is made once and again when what it is
made of changes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

QEMU = "qemu-aarch64-static"
LINKER = "aarch64-linux-gnu-gcc"
# Python 3.11 and glibc 2.36: TVM's wheel needs 2.28.
SUITE, PYTHON = "bookworm", "3.11"
_DEBIAN_PACKAGES = ("python3", "libstdc++6")
# What TVM's RPC server imports beside TVM.
_RPC_PACKAGES = ("cloudpickle", "psutil", "tornado")
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
# The program to look for -> the Debian or Ubuntu package that has it.
_TOOLS = {
    QEMU: "qemu-user-static",
    "debootstrap": "debootstrap",
    LINKER: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "dpkg": "dpkg",
}


class BoardError(Exception):
    """What a user can do something about; shown on one line."""


class MissingTools(BoardError):
    """Programs that this machine lacks: no board can be made here."""


def check_tools() -> None:
    """Raise MissingTools, with the command that installs them, unless a board can be made here."""
    if not sys.platform.startswith("linux"):
        raise MissingTools(f"an emulated board takes Linux and its qemu-user, not {sys.platform}")
    path = _path_for_administrators()
    missing = [name for name in _TOOLS if shutil.which(name, path=path) is None]
    if missing:
        packages = " ".join(_TOOLS[name] for name in missing)
        raise MissingTools(f"no {', '.join(missing)} here: apt install {packages}")


def install(folder: Path) -> None:
    """Make `folder`/root and `folder`/site, unless they are there and still right.

    Downloads about 160 MB. Raises BoardError where a download or a wheel fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "install.log"
    parts = {"suite": SUITE, "packages": _DEBIAN_PACKAGES}
    _make(folder / "root", parts, lambda root: _fill_root(root, log))
    requirements = [f"{name}=={_own_version(name)}" for name in ("apache-tvm", "apache-tvm-ffi")]
    requirements += _RPC_PACKAGES
    parts = {"python": PYTHON, "requirements": requirements}
    _make(folder / "site", parts, lambda site: _fill_site(site, requirements, log))


def python_of(folder: Path) -> Path:
    """The board's Python, which this machine can start."""
    return folder / "root/usr/bin/python3"


def _make(folder: Path, parts: dict, fill: Callable[[Path], None]) -> None:
    """Fill `folder` unless it was filled from the same `parts`; never leave half of it there."""
    note, wanted = folder / "made-of.json", json.dumps(parts)
    if note.exists() and note.read_text() == wanted:
        return
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    fill(unfinished)
    (unfinished / note.name).write_text(wanted)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)


def _fill_root(root: Path, log: Path) -> None:
    _say(f"getting Debian {SUITE} for arm64, once (about half a minute)")
    downloads = root / "downloads"
    _execute(
        "debootstrap",
        "--download-only",
        "--arch=arm64",
        "--variant=minbase",
        f"--include={','.join(_DEBIAN_PACKAGES)}",
        SUITE,
        downloads,
        *_mirror(),
        log=log,
        failure="Debian packages cannot be downloaded",
    )
    for package in sorted(downloads.glob("var/cache/apt/archives/*.deb")):
        _execute("dpkg", "-x", package, root, log=log, failure=f"{package.name} cannot be unpacked")
    # A folder in the root hides that of this machine: an empty /proc or /tmp would.
    for path in root.iterdir():
        if path.name not in ("lib", "usr"):
            shutil.rmtree(path)
    _write_python(root)


def _write_python(root: Path) -> None:
    """A python3 that this machine starts, and that starts itself again.

    TVM's RPC server starts its worker as `sys.executable`, which has to be a program of this
    machine. Python takes it from its name, which is that of this script (-0).
    """
    python = root / "usr/bin/python3"
    python.unlink()
    python.write_text(
        "#!/bin/sh\n"
        'root="${0%/usr/bin/python3}"\n'
        f'exec {QEMU} -0 "$0" -L "$root" "$root/usr/bin/python{PYTHON}" "$@"\n'
    )
    python.chmod(0o755)


def _fill_site(site: Path, requirements: Iterable[str], log: Path) -> None:
    _say("getting TVM for aarch64, once (about a quarter of a minute)")
    _execute(
        sys.executable,
        *("-m", "pip", "--disable-pip-version-check", "--no-input", "install"),
        # This machine's Python may be another one: the board's compiles for itself.
        *("--no-compile", "--only-binary=:all:", "--python-version", PYTHON),
        *(f"--platform={platform}_aarch64" for platform in _PLATFORMS),
        *("--target", str(site), *requirements),
        log=log,
        failure="wheels for aarch64 cannot be installed",
    )
    # Nothing is compiled on a board, and TVM starts in less than half the time without it.
    (site / "tvm/lib/libtvm_compiler.so").unlink()


def _own_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise BoardError(
            f"{package} is not installed in {sys.prefix}: start with make board"
        ) from error


def _mirror() -> list[str]:
    """The Debian mirror of this machine's apt, if it has one; else debootstrap has a default."""
    if shutil.which("apt-get") is None:
        return []
    wanted = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True).stdout
    prefix = "Debian|Debian|"
    found = [line.removeprefix(prefix) for line in listed.splitlines() if line.startswith(prefix)]
    return found[:1]


def _execute(*command: str | Path, log: Path, failure: str) -> None:
    """Run a command with its output in `log`; end it and its children when we are ended."""
    environment = {**os.environ, "PATH": _path_for_administrators()}
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        try:
            status = process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if status:
        raise BoardError(f"{failure}: {_reason(log)} (all of it is in {log})")


def _reason(log: Path) -> str:
    """The last line that says error, as debootstrap (E:) and pip (ERROR:) do, or the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "ERROR:"))]
    return (errors or lines or ["it said nothing"])[-1]


def _path_for_administrators() -> str:
    """PATH with the folders where debootstrap lies, which an ordinary user's lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def _say(text: str) -> None:
    print(f"board: {text}", file=sys.stderr, flush=True)
