"""The process of one contestant: it loads a model and takes its turns when told.

It runs in the contestant's own environment, ``python -I worker.py PEER``, where tvm_deconv is not
installed: so it imports only the standard library and NumPy. Contestants that need tvm_deconv call
``serve`` with loaders of their own.

One JSON object a line, a request on stdin and its reply on stdout:

- ``{"op": "load", "model": M, "inputs": {name: X}, "outputs": {name: Y}, "threads": T}`` loads the
  ONNX file M, runs it once on the arrays of the files X (.npy) and writes the results to the files
  Y (.npy); inputs and outputs are all of the model's, in its order. Reply:
  ``{"ok": true, "version": "1.2", "load_s": seconds, "notes": ["..."], "facts": {name: number},
  "cpu_share": CPU seconds of all threads / wall seconds}``, the last of calls repeated for
  ``SHARE_S`` after the one that wrote Y.
  With ``"profile": F``, a folder for files, it is loaded with a profiler. With ``"memory": true``
  the reply has ``"memory": {"before": B, "peak": P}``, resident bytes of the process: those before
  the load, its runtime imported, and the most of two calls after it (Linux only).
- ``{"op": "turn", "calls": N, "warm_s": W}`` makes uncounted calls for W seconds, at least one, and
  then N counted ones. Reply: ``{"ok": true, "ms": [N times, milliseconds], "cpu_share": the same of
  the N calls}``.
- ``{"op": "kernels"}`` ends the profile of what was loaded. Reply: ``{"ok": true, "notes": ["..."],
  "kernels": [{"name": N, "layer": L, "ms": [of each counted call so far]}]}``, L the model's or
  the runtime's own name of what it stores.
- ``{"op": "close"}``, or the end of stdin, ends the process.

A request that fails gives ``{"ok": false, "error": "one line"}``, and the process goes on. What
libraries print on stdout goes to stderr.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

# What a loader gets: the inputs by name and the names of the outputs, both in the model's order.
Inputs = Mapping[str, np.ndarray]
Outputs = Sequence[str]
# What it makes: the call that is timed (inputs and outputs in the contestant's own types), the
# function that makes NumPy arrays of what the call returned, one for each output, the version and
# remarks for people.
Loaded = tuple[Callable[[], Any], Callable[[Any], Sequence[np.ndarray]], str, list[str]]
# loader(path of the ONNX file, inputs, outputs, threads)
Loader = Callable[[str, Inputs, Outputs, int], Loaded]

# What a profiling loader makes: what a loader makes, and a function that ends the profile and gives
# remarks and the kernels, each with its milliseconds in every call that was made.
Kernels = tuple[list[str], list[dict[str, Any]]]
Profiled = tuple[Loaded, Callable[[], Kernels]]
# loader(path of the ONNX file, inputs, outputs, threads, folder for files)
ProfilingLoader = Callable[[str, Inputs, Outputs, int, str], Profiled]

# Seconds of calls that tell how many processors are in use: the kernel accounts for these in steps
# of a few milliseconds, and the turns of small layers are shorter than that.
SHARE_S = 0.15


def serve(
    loaders: Mapping[str, Loader],
    name: str,
    facts: Callable[[], Mapping[str, float]] = dict,
    profilers: Mapping[str, ProfilingLoader] | None = None,
    imports: Callable[[], object] = lambda: None,
) -> None:
    """Answer requests for the contestant ``name`` until told to close.

    ``facts`` is asked after each load for figures to report beside it; ``profilers`` are loaders
    of those that can be profiled; ``imports`` imports what a load would import first. From here on
    stdin is empty and stdout is stderr for everything else in this process.
    """
    requests, replies = _take_over_streams()
    contestant = _Contestant(name, loaders, facts, profilers or {}, imports)
    for line in requests:
        try:
            request = json.loads(line)
            if request["op"] == "close":
                break
            reply = {"ok": True, **contestant.answer(request)}
        # SystemExit too: some converters exit when they fail.
        except (Exception, SystemExit) as error:
            reply = {"ok": False, "error": _one_line(error)}
        print(json.dumps(reply), file=replies, flush=True)


class _Contestant:
    def __init__(
        self,
        name: str,
        loaders: Mapping[str, Loader],
        facts: Callable[[], Mapping[str, float]],
        profilers: Mapping[str, ProfilingLoader],
        imports: Callable[[], object],
    ) -> None:
        self.name = name
        self.loaders = loaders
        self.facts = facts
        self.profilers = profilers
        self.imports = imports
        self.call: Callable[[], Any] | None = None
        self.end_profile: Callable[[], Kernels] | None = None
        self.made = 0  # calls of what is loaded
        self.counted: list[int] = []  # which of them count

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["op"] == "load":
            return self._load(request)
        if request["op"] == "turn":
            return self._turn(request["calls"], request["warm_s"])
        if request["op"] == "kernels":
            return self._kernels()
        raise ValueError(f"unknown request {request['op']!r}: use load, turn, kernels or close")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.name not in self.loaders:
            known = ", ".join(sorted(self.loaders))
            raise ValueError(f"unknown contestant {self.name!r}: use one of {known}")
        self.call, self.end_profile = None, None
        self.made, self.counted = 0, []
        gc.collect()  # the memory of the model before
        inputs = {
            name: np.asarray(np.load(file), order="C") for name, file in request["inputs"].items()
        }
        asks_memory = request.get("memory", False)
        if asks_memory:
            self.imports()
            before = _resident_now()
        begin = time.perf_counter()
        call, to_numpy, version, notes = self._loaded(request, inputs)
        result = call()
        load_s = time.perf_counter() - begin
        _save(to_numpy(result), request["outputs"])
        del result
        memory = {"before": before, "peak": _most_resident(call)} if asks_memory else None
        share = _cpu_share(call)
        self.call = call
        facts = dict(self.facts())
        return {
            "version": version,
            "load_s": load_s,
            "notes": notes,
            "facts": facts,
            "cpu_share": share,
            "memory": memory,
        }

    def _loaded(self, request: dict[str, Any], inputs: Inputs) -> Loaded:
        network = request["model"], inputs, list(request["outputs"]), request["threads"]
        folder = request.get("profile")
        if folder is None:
            return self.loaders[self.name](*network)
        if self.name not in self.profilers:
            raise ValueError(f"{self.name} has no profiler")
        loaded, self.end_profile = self.profilers[self.name](*network, folder)
        call, to_numpy, version, notes = loaded

        def counting() -> Any:
            self.made += 1
            return call()

        return counting, to_numpy, version, notes

    def _kernels(self) -> dict[str, Any]:
        if self.end_profile is None:
            raise ValueError("nothing is profiled: send a load request with a profile first")
        notes, kernels = self.end_profile()
        self.end_profile = None
        for kernel in kernels:
            kernel["ms"] = [kernel["ms"][number] for number in self.counted]
        return {"notes": notes, "kernels": kernels}

    def _turn(self, calls: int, warm_s: float) -> dict[str, Any]:
        call = self.call
        if call is None:
            raise ValueError("nothing is loaded: send a load request that succeeds first")
        end = time.perf_counter() + warm_s
        call()
        while time.perf_counter() < end:
            call()
        times = []
        gc.collect()
        gc.disable()
        try:
            cpu_begin, wall_begin = time.process_time(), time.perf_counter()
            for _ in range(calls):
                self.counted.append(self.made)
                begin = time.perf_counter()
                call()
                times.append((time.perf_counter() - begin) * 1e3)
            cpu = time.process_time() - cpu_begin
            wall = time.perf_counter() - wall_begin
        finally:
            gc.enable()
        return {"ms": times, "cpu_share": cpu / wall}


def _save(results: Sequence[np.ndarray], files: Mapping[str, str]) -> None:
    if len(results) != len(files):
        raise ValueError(f"{len(results)} results, where the model has {len(files)} outputs")
    for file, result in zip(files.values(), results, strict=True):
        np.save(file, np.asarray(result))


def _cpu_share(call: Callable[[], Any]) -> float:
    """Processors that calls keep busy: one that is long enough, or several for ``SHARE_S``."""
    cpu_begin, wall_begin = time.process_time(), time.perf_counter()
    wall = 0.0
    while wall < SHARE_S:
        call()
        wall = time.perf_counter() - wall_begin
    return (time.process_time() - cpu_begin) / wall


def _most_resident(call: Callable[[], Any]) -> int:
    """Resident bytes of this process at the most during two calls: what loading left aside."""
    _resident_now()
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to what there is
    for _ in range(2):
        call()
    return _resident("VmHWM")


def _resident_now() -> int:
    """Resident bytes of this process, without what is free to be given back."""
    gc.collect()
    with contextlib.suppress(AttributeError):  # of glibc
        ctypes.CDLL(None).malloc_trim(0)
    return _resident("VmRSS")


def _resident(field: str) -> int:
    """Bytes that Linux reports of this process: VmRSS now, VmHWM at the most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return 1024 * int(value.split()[0])
    raise ValueError(f"/proc/self/status has no {field}: memory is measured on Linux only")


def _take_over_streams() -> tuple[IO[str], IO[str]]:
    """The streams of the protocol, under descriptors that no library or child process knows."""
    sys.stdout.flush()
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _one_line(error: BaseException) -> str:
    """The kind of error and its message without line breaks, at most 300 characters."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}"[:300]


def _peer_loader(name: str) -> Loader:
    """Imports ``peers/NAME.py`` only when it is used, so that a failure to import is a reply."""

    def load(model: str, inputs: Inputs, outputs: Outputs, threads: int) -> Loaded:
        return importlib.import_module(f"peers.{name}").load(model, inputs, outputs, threads)

    return load


def _peer_profiler(name: str) -> ProfilingLoader:
    """The same for ``profiled`` of that module."""

    def load(model: str, inputs: Inputs, outputs: Outputs, threads: int, folder: str) -> Profiled:
        peer = importlib.import_module(f"peers.{name}")
        return peer.profiled(model, inputs, outputs, threads, folder)

    return load


PEERS = ("onnxruntime", "pytorch", "openvino", "ncnn", "mnn", "litert")


PROFILED_PEERS = ("onnxruntime",)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: python -I {sys.argv[0]} {{{','.join(PEERS)}}}")
    # At the end, so that no module of this folder hides another.
    sys.path.append(str(Path(__file__).parent))
    serve(
        {peer: _peer_loader(peer) for peer in PEERS},
        sys.argv[1],
        profilers={peer: _peer_profiler(peer) for peer in PROFILED_PEERS},
        imports=lambda: importlib.import_module(f"peers.{sys.argv[1]}"),
    )


if __name__ == "__main__":
    main()
