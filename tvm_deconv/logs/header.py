"""``device.json``: what a tuning log was measured on, for people and for the lookup."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tvm
from tvm.target import Target

from tvm_deconv.backends import Identity, identity_of
from tvm_deconv.errors import LogError
from tvm_deconv.files import replacing
from tvm_deconv.measure.facts import commit, cpu_model, now

FILE = "device.json"
FORMAT = 2

# A folder's name: anything that no shell, file system or URL takes for something else.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def device_name(target: Target) -> str:
    """``znver4-2-threads``, ``sm_87``: what a device is called unless the user says otherwise."""
    return identity_of(target).device_name


@dataclass(frozen=True)
class Header:
    """Who measured, where, and with what.

    ``device`` names the log's folder. ``description`` tells two devices of one target apart: the
    processor's or GPU's model and where it is. ``target`` is what ``Target`` takes, ``threads`` how
    many of a CPU a kernel uses (None for a GPU), ``commit`` that of the repository that measured
    (None outside of one), ``created`` the date in UTC, ``system`` the operating system of the
    tuner. ``seed`` is the first run's. ``format`` is that of the log's lines.
    """

    device: str
    description: str
    target: dict[str, Any]
    threads: int | None
    tvm: str
    tvm_deconv: str
    commit: str | None
    created: str
    system: str
    seed: int
    format: int = FORMAT

    @staticmethod
    def of(device: str, target: Target, *, description: str | None = None, seed: int = 0) -> Header:
        """The header of a log that begins now; ``description`` is by default this machine's.

        Raises LogError for a device whose name cannot be a folder's.
        """
        return Header(
            device=check_name(device),
            description=description or f"{cpu_model()}, local",
            target=_readable(_plain(target.export())),
            threads=identity_of(target).processor_threads,
            tvm=tvm.__version__,
            tvm_deconv=version("tvm-deconv"),
            commit=commit(),
            created=now(),
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            seed=seed,
        )

    @property
    def processor(self) -> Identity:
        return identity_of(Target(self.target))

    @property
    def minor(self) -> str:
        """``0.27`` of ``0.27.0.post1``."""
        return minor_of(self.tvm)

    @property
    def versions(self) -> dict[str, str | None]:
        """What may differ from one run to the next."""
        return {"tvm": self.tvm, "tvm_deconv": self.tvm_deconv, "commit": self.commit}

    def write(self, folder: Path) -> None:
        """Write it into a folder. Raises OutputError where that fails."""
        with replacing(folder / FILE) as unfinished:
            unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def read(folder: Path) -> Header:
        """The header of a log. Raises LogError for one that is missing or damaged."""
        path = folder / FILE
        try:
            read = json.loads(path.read_text())
        except OSError as error:
            raise LogError(f"cannot read {path}: {error.strerror}") from error
        except ValueError as error:
            raise LogError(f"{path} is not JSON: {error}") from error
        wanted = {field.name for field in fields(Header)}
        read = read if isinstance(read, dict) else {}
        found = read.get("format", FORMAT)
        if found != FORMAT:
            raise LogError(
                f"{path} is of format {found!r}, and this version knows {FORMAT}: install the "
                "version of tvm-deconv that wrote it"
            )
        if set(read) != wanted:
            raise LogError(f"{path} must have exactly the fields {', '.join(sorted(wanted))}")
        header = Header(**read)
        try:
            check_name(header.device)
            _ = header.processor, header.minor
        except (LogError, ValueError, TypeError) as error:
            raise LogError(f"{path}: {str(error).splitlines()[0]}") from error
        return header


def check_name(device: str) -> str:
    """The name itself. Raises LogError for one that cannot be a folder's."""
    if not _NAME.fullmatch(device):
        raise LogError(
            f"{device!r} cannot be the name of a device: use letters, digits and . _ + -"
        )
    return device


def minor_of(release: str) -> str:
    """``0.27`` of ``0.27.0.post1``. Raises LogError for what is no version."""
    found = re.match(r"\d+\.\d+", release)
    if not found:
        raise LogError(f"{release!r} is not a version of TVM")
    return found[0]


def running_minor() -> str:
    """The TVM minor that this process runs."""
    return minor_of(tvm.__version__)


def _readable(target: dict[str, Any]) -> dict[str, Any]:
    """A target without what TVM derives from the rest itself."""
    kept = {
        key: value
        for key, value in target.items()
        if value != "" and key != "host" and not key.startswith("feature.")
    }
    host = _readable(target["host"]) if "host" in target else kept
    return kept if host == kept else {**kept, "host": host}


def _plain(described: Any) -> Any:
    """TVM's containers as those of JSON."""
    if isinstance(described, str):
        return str(described)
    if isinstance(described, bool | int | float) or described is None:
        return described
    if hasattr(described, "items"):
        return {str(key): _plain(value) for key, value in described.items()}
    return [_plain(value) for value in described]
