"""Who takes part: ours, TVM without us, the peers and the machine's peak, each as a command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from tvm_deconv.errors import BenchError

from . import ours, peak, shipped, stock
from .client import peer_command
from .environments import python_of
from .figures import BASELINE, OURS, PEAK, PEER
from .subjects import FLOAT, MODEL

# Tuning takes a trial in a second or two; a runtime that compiles may take a minute or two.
_LOAD_S = 300.0
_TRIAL_S = 10.0


@dataclass(frozen=True)
class Contestant:
    """A command that starts ``worker.serve``, and the part it plays.

    ``role`` is "ours", "baseline" (TVM without us), "peer" or "peak" (the multiply-add peak, which
    computes nothing and so is not checked). ``most_multiply_adds`` is the largest model that is
    worth waiting for. ``subject`` is which model of a workload it computes. ``ships`` starts a
    process that runs the same as it is shipped, if ``command`` is one that compiles it: only there
    is memory worth measuring.
    """

    name: str
    role: str
    command: tuple[str, ...]
    load_timeout_s: float = _LOAD_S
    most_multiply_adds: float = float("inf")
    subject: str = MODEL
    ships: tuple[str, ...] = ()

    @property
    def measures_memory(self) -> bool:
        """Whether the memory of a run is measured where that is asked for."""
        return self.role == PEER or bool(self.ships)


def ours_and_baselines(
    variants: Sequence[str] | None = None, trials: int | None = None
) -> list[Contestant]:
    """``auto`` and the other contestants of ours, TVM without us, and the peak.

    ``variants`` names those to measure beside ``auto``, by default all; ``trials`` per kernel adds
    TVM tuned by MetaSchedule. Raises BenchError for an unknown variant.
    """
    names = list(ours.OPTIONS) if variants is None else [ours.AUTO, *variants]
    for name in names:
        if name not in ours.OPTIONS:
            known = ", ".join(ours.OPTIONS)
            raise BenchError(f"no variant is called {name!r}: give some of {known}, or none")
    found = [_ours(name) for name in dict.fromkeys(names)]
    # Scalar loops on one thread: a thousand million multiply-adds take two seconds.
    default = _module(stock, stock.DEFAULT)
    found.append(Contestant(stock.DEFAULT, BASELINE, default, most_multiply_adds=5e9))
    if trials is not None:
        command = _module(stock, stock.TUNED, str(trials))
        # A network has a few dozen kernels at most.
        patience = _LOAD_S + 50 * trials * _TRIAL_S
        found.append(Contestant(stock.TUNED, BASELINE, command, patience))
    return [*found, Contestant(peak.NAME, PEAK, _module(peak))]


def of_eight_bits() -> list[Contestant]:
    """``auto`` on networks of 8 bits, on the networks that these were made of, and the peak."""
    own = _ours(ours.AUTO)
    return [
        own,
        replace(own, name=FLOAT, subject=FLOAT),
        Contestant(peak.NAME, PEAK, _module(peak, "int8")),
    ]


def peer(name: str, root: Path) -> Contestant:
    """A peer, its environment made under ``root`` if need be: minutes the first time.

    Raises PeerError for an unknown peer, and for an environment that cannot be made.
    """
    return Contestant(name, PEER, tuple(peer_command(python_of(name, root), name)))


def _ours(name: str) -> Contestant:
    """``auto``, which is what a user ships, or another of ours."""
    ships = _module(shipped) if name == ours.AUTO else ()
    return Contestant(name, OURS, _module(ours, name), ships=ships)


def _module(module: ModuleType, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module.__name__, *arguments)
