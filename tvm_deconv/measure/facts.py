"""The facts that a measurement is worthless without: machine, versions, date, commit, threads."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OWN_PACKAGES = ("tvm-deconv", "apache-tvm", "apache-tvm-ffi", "numpy", "onnx")


def facts(threads: int, *packages: str) -> dict[str, Any]:
    """Machine, threads, versions of ours and of ``packages``, date (UTC) and commit.

    ``commit`` is that of the checkout that the package is used from, with ``+`` where files of it
    were changed; None for an installed package.
    """
    versions = {"python": platform.python_version()}
    for package in (*OWN_PACKAGES, *packages):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "machine": {
            "cpu": cpu_model(),
            "processors": os.cpu_count(),
            "system": platform.platform(),
        },
        "threads": threads,
        "versions": versions,
        "date": now(),
        "commit": commit(),
    }


def now() -> str:
    """The time in UTC, to the second, as ISO 8601 writes it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of the checkout that this file is part of; None if it is not in one.

    As ``git describe`` has it, with ``+`` where files of it were changed.
    """
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        if subprocess.run(
            ["git", "-C", str(here), "ls-files", "--error-unmatch", __file__], capture_output=True
        ).returncode:
            return None  # a checkout of something else that has this package installed in it
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None
