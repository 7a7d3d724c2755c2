"""Profiling a workload: its kernels' times, in turns like all other times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tvm_deconv.bench.client import Worker
from tvm_deconv.bench.files import Files
from tvm_deconv.errors import PeerError
from tvm_deconv.measure.rotation import rotate

from .nodes import ModelNodes, with_unique_names
from .optimized import stored_nodes

# What ``peers.onnxruntime.profiled`` writes.
_OPTIMIZED = "optimized.onnx"


def profile(
    model: onnx.ModelProto,
    feed: Mapping[str, np.ndarray],
    contestants: Sequence[str],
    worker_of: Callable[[str], Worker],
    threads: int,
    folder: Path,
    *,
    limit_s: float,
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """(The operators of the model's nodes by name, the profile of each contestant).

    ``contestants`` are loaded again, with their profilers, and run on ``feed``; ``folder`` is for
    files. A profile has ``ms`` of each counted call, ``notes`` and ``kernels``: of each its
    ``name``, the ``nodes`` that it computes and its ``ms`` in each counted call; of one that failed
    there is a ``reason`` alone.
    """
    named = with_unique_names(model)
    nodes = ModelNodes(named)
    files = Files.written(folder, "profiled", named, feed)
    found: dict[str, dict[str, Any]] = {}
    loaded = []
    for name in contestants:
        own = folder / f"profile-{name}"
        own.mkdir(exist_ok=True)
        try:
            worker_of(name).load(files, threads, profile=own)
        except PeerError as error:
            found[name] = {"reason": str(error)}
            continue
        found[name] = {"ms": [], "notes": [], "kernels": []}
        loaded.append(name)

    def turn(name: str, calls: int) -> list[float]:
        try:
            times = worker_of(name).turn(calls).ms
        except PeerError as error:
            found[name] = {"reason": str(error)}
            return []
        found[name]["ms"] += times
        return times

    rotate(loaded, turn, limit_s=limit_s)
    for name in loaded:
        if "reason" in found[name]:
            continue
        try:
            kernels, notes = worker_of(name).kernels()
            found[name].update(
                kernels=_with_nodes(kernels, nodes, folder / f"profile-{name}"), notes=notes
            )
        except PeerError as error:
            found[name] = {"reason": str(error)}
    return nodes.operators, found


def _with_nodes(
    kernels: Sequence[Mapping[str, Any]], nodes: ModelNodes, folder: Path
) -> list[dict[str, Any]]:
    """The kernels with the nodes that each computes, for the layer that it is called after."""
    stored = [{kernel["layer"]} for kernel in kernels]
    if (folder / _OPTIMIZED).exists():
        by_name = stored_nodes(onnx.load(folder / _OPTIMIZED), nodes)
        stored = [set(by_name.get(kernel["layer"], ())) for kernel in kernels]
    return [
        {**kernel, "nodes": computed}
        for kernel, computed in zip(kernels, nodes.computed(stored), strict=True)
    ]
