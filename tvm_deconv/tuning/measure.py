"""One kernel on the device: upload, run once, compare with the case, time, compare again.

These are the hooks of MetaSchedule's RPCRunner, called in its worker process, with what they need
beyond its arguments bound by ``runner``. An artifact is a folder with ``kernel.so``, ``packed.npz``
and ``case.json``, which names the folder of the case; one without ``case.json`` is a
function of MetaSchedule's own rules, which is timed with random arguments and not compared.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import rpc
from tvm.error import RPCSessionTimeoutError
from tvm.rpc.base import RPC_SESS_MASK
from tvm.s_tir.meta_schedule.runner import EvaluatorConfig, RPCConfig
from tvm.s_tir.meta_schedule.runner.rpc_runner import (
    default_run_evaluator,
    default_upload_module,
)

from tvm_deconv.backends.facts import DeviceFacts, facts_of
from tvm_deconv.measure.tracker import Lease

from .case import Case, read_case
from .serve import USE_THREADS

# How an error text begins: what happened to the candidate. ``runner`` reads them.
WRONG_RESULT = "wrong result: "
TIMED_OUT = "timed out: "
LOST = "lost: "
DEVICE = "device: "


# What is copied on a GPU to have its caches forget a kernel's operands: so many times the level-2
# cache, but at least and at most so many bytes.
_FLUSHED_CACHES, _LEAST_FLUSHED, _MOST_FLUSHED = 2, 1 << 22, 1 << 28


class MeasureError(Exception):
    """A text that begins with one of the above: all of an error that leaves the worker process."""


def open_session(lease: Lease, threads: int | None, config: RPCConfig) -> rpc.RPCSession:
    """A session that the device ends itself after the configured time, with so many threads.

    None leaves the device's own number of threads. The lease stands for the tracker of ``config``.
    """
    try:
        session = rpc.connect(*lease, session_timeout=config.session_timeout_sec)
    except Exception as error:
        raise MeasureError(f"{LOST}the device opened no session: {error}") from error
    if threads is not None:
        with _telling_loss(session):
            _use_threads(session, threads)
    return session


def ask(lease: Lease, kind: str, config: RPCConfig) -> DeviceFacts:
    """What the GPU of a kind says of itself, in a session of its own."""
    session = open_session(lease, None, config)
    with _telling_loss(session):
        return facts_of(session, kind)


def _use_threads(session: rpc.RPCSession, threads: int) -> None:
    ours = _function(session, USE_THREADS)
    if ours:
        used = ours(threads)
    else:
        # 1: big cores first. The number does not rise beyond what the server started with.
        session.get_function("runtime.config_threadpool")(1, threads)
        count = _function(session, "runtime.NumThreads")
        used = count() if count else threads
    if used != threads:
        raise MeasureError(
            f"{DEVICE}kernels use {used} threads there, not {threads}:"
            f" start its RPC server with TVM_NUM_THREADS={threads} in the environment"
        )


def _function(session: rpc.RPCSession, name: str) -> Any:
    """A function of the server, or None where it has none of that name."""
    try:
        return session.get_function(name)
    except AttributeError:
        return None


def upload(session: rpc.RPCSession, local_path: str, remote_path: str) -> tvm.runtime.Module:
    """Send the library and load it there."""
    with _telling_loss(session):
        return default_upload_module(session, local_path, remote_path)


def allocate(
    artifact: Path,
    session: rpc.RPCSession,
    device: tvm.runtime.Device,
    args_info: Any,
    alloc_repeat: int,
) -> list[list[tvm.runtime.Tensor]]:
    """The arguments on the device: (x, packed weights, y), with every y what it must not be."""
    with _telling_loss(session):
        case = _case_of(artifact)
        if case is None:
            return [_random_arguments(args_info, device) for _ in range(alloc_repeat)]
        with np.load(artifact / "packed.npz") as packed:
            arrays = [case.x, *packed.values(), case.unwritten()]
        return [[tvm.runtime.tensor(array, device) for array in arrays]]


def _random_arguments(args_info: Any, device: tvm.runtime.Device) -> list[tvm.runtime.Tensor]:
    """Values from 0 to 1, made here: a runtime without its extras has no random_fill."""
    random = np.random.default_rng(0)
    arguments = []
    for kind, dtype, shape in args_info:
        if kind != "TENSOR":
            raise MeasureError(f"failed: an argument is a {kind}, and only tensors can be filled")
        arguments.append(tvm.runtime.tensor(random.random(tuple(shape)).astype(str(dtype)), device))
    return arguments


def evaluate(
    artifact: Path,
    session: rpc.RPCSession,
    module: tvm.runtime.Module,
    device: tvm.runtime.Device,
    config: EvaluatorConfig,
    repeated_args: list[list[tvm.runtime.Tensor]],
) -> list[float]:
    """Seconds of each repetition, of a kernel that was right before and after them."""
    with _telling_loss(session):
        case = _case_of(artifact)
        if case is None:
            return _run(session, module, device, config, repeated_args)
        (arguments,) = repeated_args
        module[module.entry_name](*arguments)
        _compare(arguments[-1].numpy(), case)
        seconds = _run(session, module, device, config, repeated_args)
        # A kernel whose threads disturb each other is not wrong every time.
        _compare(arguments[-1].numpy(), case)
        return seconds


def _run(
    session: rpc.RPCSession,
    module: tvm.runtime.Module,
    device: tvm.runtime.Device,
    config: EvaluatorConfig,
    repeated_args: list[list[tvm.runtime.Tensor]],
) -> list[float]:
    """TVM's evaluator; a GPU is timed by its own clock.

    MetaSchedule's flush of caches is for a processor, which reads where the arguments point to. On
    a GPU TVM copies one array to another instead, on the device, before each repetition.
    """
    on_cpu = device.dlpack_device_type() % RPC_SESS_MASK == tvm.cpu().dlpack_device_type()
    if on_cpu or not config.enable_cpu_cache_flush:
        return default_run_evaluator(session, module, device, config, repeated_args)
    cache = int(device.l2_cache_size_bytes or 0)
    evaluator = module.time_evaluator(
        module.entry_name,
        device,
        number=config.number,
        repeat=config.repeat,
        min_repeat_ms=config.min_repeat_ms,
        cache_flush_bytes=min(max(_FLUSHED_CACHES * cache, _LEAST_FLUSHED), _MOST_FLUSHED),
    )
    return [float(s) for arguments in repeated_args for s in evaluator(*arguments).results]


def clean_up(session: rpc.RPCSession | None, remote_path: str | None) -> None:
    """Nothing: the server removes a session's files, and a lost session has no say any more."""


def _case_of(artifact: Path) -> Case | None:
    named = artifact / "case.json"
    if not named.exists():
        return None
    return read_case(Path(json.loads(named.read_text(encoding="utf-8"))["case"]))


def _compare(y: np.ndarray, case: Case) -> None:
    unset = int(np.isnan(y).sum())
    if unset:
        raise MeasureError(
            f"{WRONG_RESULT}{unset} of {y.size} values are no numbers or not written"
        )
    error = float(np.abs(y - case.expected).max())
    largest = float(np.abs(case.expected).max())
    # Written so that infinity is an error, too.
    if not error <= case.tolerance * largest:
        raise MeasureError(
            f"{WRONG_RESULT}off by {error:.3g} where the largest value is {largest:.3g}:"
            f" {case.tolerance:g} of it is allowed"
        )


@contextlib.contextmanager
def _telling_loss(session: rpc.RPCSession) -> Iterator[None]:
    """Tell the end of a session from an error that the device reports and survives."""
    try:
        yield
    except MeasureError:
        raise
    except RPCSessionTimeoutError as error:
        raise MeasureError(f"{TIMED_OUT}the device ended the session") from error
    except Exception as error:
        try:
            # Any answer will do.
            _function(session, "runtime.NumThreads")
        except Exception:
            raise MeasureError(f"{LOST}its session ended without an answer") from error
        raise
