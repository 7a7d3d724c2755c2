"""The benchmark as a whole: who, what, in which order, and the result file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tvm_deconv.errors import BenchError, PeerError
from tvm_deconv.files import replacing, temporary_folder, write_json
from tvm_deconv.measure.facts import facts
from tvm_deconv.measure.reference import TOLERANCE
from tvm_deconv.quantization.required import require_onnx_runtime
from tvm_deconv.schedules.cpu.processors import available_processors
from tvm_deconv.workloads.selection import select

from . import defaults
from .contest import Field, measure
from .contestants import Contestant, of_eight_bits, ours_and_baselines, peer
from .figures import FORMAT, PEER, FigureRow, rows
from .subjects import EIGHT_BITS
from .worker import PEERS

NO_EIGHT_BITS = {"pytorch": "it makes integers of its own modules only, which no ONNX file becomes"}
"""Peers that cannot be given a quantized ONNX file, and why."""


def run(
    workloads: Sequence[str] = defaults.WORKLOADS,
    *,
    peers: Sequence[str] = PEERS,
    variants: Sequence[str] | None = None,
    dtype: str = "float32",
    threads: int | None = None,
    busy: int = 0,
    profile: bool = False,
    memory: bool = False,
    tune_baseline: bool = False,
    trials: int = defaults.TRIALS,
    limit_s: float = defaults.LIMIT_S,
    peer_root: str | os.PathLike = defaults.PEER_ROOT,
    out: str | os.PathLike = defaults.OUT,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> dict[str, Any]:
    """Measure and write the result file ``out``; returns what it holds.

    ``workloads`` are names, patterns and groups of ``tvm_deconv.workloads``, and paths of ONNX and
    TFLite files. ``peers`` are those to compare with, each in an environment under ``peer_root``
    that is made when it is not there; one that cannot be made is left out. ``variants`` are the
    contestants of ours beside ``auto`` (None: all). With ``dtype`` "int8" the workloads are
    quantized to 8 bits by ONNX Runtime (extra ``quantize``), and measured are ``auto``, ``float32``
    (``auto`` on what was quantized) and the peers that take such a file, against the peak of
    integer products. ``tune_baseline`` adds TVM without us, tuned by MetaSchedule with ``trials``
    for each kernel. Everybody gets ``threads`` threads, by default one for each processor that this
    process may run on; ``busy`` processes of one thread each compute beside them. With ``profile``
    the kernels of ``auto`` and of ONNX Runtime are timed, too, and with ``memory`` the resident
    memory of a run of ``auto``, as a library, and of each peer is measured. No workload is measured
    for longer than ``limit_s`` seconds once all have loaded it, except that each contestant has a
    turn. ``say`` gets a line of progress at a time.

    The file is written after each workload; an interrupt (Ctrl-C) ends the run with what there is.

    Raises WorkloadError and ModelError for workloads, BenchError for variants that are unknown, for
    variants or a tuned baseline of int8, for another dtype, for a ``busy`` that is no number of
    processes, and where no peer is left of those asked for, PeerError for an unknown peer,
    QuantizationError for int8 where ONNX Runtime is not installed, OutputError.
    """
    threads = threads or available_processors()
    for name in peers:
        if name not in PEERS:
            raise PeerError(f"no peer is called {name!r}: use some of {', '.join(PEERS)}")
    if not isinstance(busy, int) or busy < 0:
        raise BenchError(f"busy is {busy!r}: give the number of processes, 0 for none")
    chosen, asked = select(workloads), peers
    if dtype == EIGHT_BITS:
        peers = _of_eight_bits(peers, variants, tune_baseline)
        require_onnx_runtime(f"bench of {EIGHT_BITS}")
        contestants = of_eight_bits()
    elif dtype == "float32":
        contestants = ours_and_baselines(variants, trials if tune_baseline else None)
    else:
        raise BenchError(f"dtype {dtype!r} is not measured: give float32 or {EIGHT_BITS}")
    _check_writable(out)
    found, left_out = _peers(peers, Path(peer_root), say)
    left_out |= {name: NO_EIGHT_BITS[name] for name in asked if name not in peers}
    contestants += found
    results: dict[str, Any] = {
        "format": FORMAT,
        **facts(threads),
        "dtype": dtype,
        "tolerance": TOLERANCE["float32"],
        "limit_s": limit_s,
        "busy": busy,
        "roles": {contestant.name: contestant.role for contestant in contestants},
        "left_out": left_out,
        "interrupted": False,
        "workloads": {},
    }
    # What OpenMP reads, and what TVM's own processes for tuning read.
    env = {"OMP_NUM_THREADS": str(threads), "TVM_NUM_THREADS": str(threads)}
    with temporary_folder() as folder:
        try:
            with Field(contestants, env) as field:
                for number, workload in enumerate(chosen, 1):
                    say(f"[{number}/{len(chosen)}] {workload.name} ...")
                    record = measure(
                        workload,
                        field,
                        threads,
                        folder,
                        limit_s=limit_s,
                        dtype=dtype,
                        beside=busy,
                        profiles=profile,
                        memory=memory,
                    )
                    results["workloads"][workload.name] = record
                    for name, contestant in record["contestants"].items():
                        if "version" in contestant and results["roles"][name] == PEER:
                            results["versions"].setdefault(name, contestant["version"])
                    write_json(out, results)
                    say(f"    {_gist(rows(results)[-1])}")
        except KeyboardInterrupt:
            results["interrupted"] = True
            if results["workloads"]:
                write_json(out, results)
    return results


def _of_eight_bits(
    peers: Sequence[str], variants: Sequence[str] | None, tune_baseline: bool
) -> list[str]:
    """Those of the peers that quantized ONNX files can be given to."""
    if variants or tune_baseline:
        what = "a tuned baseline" if tune_baseline else f"variants ({', '.join(variants or ())})"
        raise BenchError(f"{EIGHT_BITS} is measured without {what}: leave that away")
    chosen = [name for name in peers if name not in NO_EIGHT_BITS]
    if peers and not chosen:
        reasons = "; ".join(f"{name}: {NO_EIGHT_BITS[name]}" for name in dict.fromkeys(peers))
        raise BenchError(f"no peer is left for {EIGHT_BITS}: {reasons}")
    return chosen


def _peers(
    names: Sequence[str], root: Path, say: Callable[[str], None]
) -> tuple[list[Contestant], dict[str, str]]:
    """The peers whose environment could be made, and why each other could not."""
    found, left_out = [], {}
    for name in dict.fromkeys(names):
        try:
            found.append(peer(name, root))
        except PeerError as error:
            left_out[name] = str(error)
            say(f"LEFT OUT: {error}")
    if names and not found:
        raise BenchError(f"no peer can be had: {'; '.join(left_out.values())}")
    return found, left_out


def _gist(row: FigureRow) -> str:
    if row.ratio is None:
        return "not compared: ours or every peer is missing"
    peer_times = row.times[row.fastest_peer or ""]
    return f"ours {row.ours} ms, {row.fastest_peer} {peer_times} ms: {row.ratio:.2f}"


class _Unwritten(Exception):
    """Leaves ``replacing`` without replacing."""


def _check_writable(out: str | os.PathLike) -> None:
    """Raises OutputError now rather than after the work."""
    if Path(out) == defaults.OUT:
        defaults.OUT.parent.mkdir(exist_ok=True)
    try:
        with replacing(out):
            raise _Unwritten
    except _Unwritten:
        pass
