"""Measuring a candidate over TVM's RPC, after its result was compared with a reference.

AutoTVM times what was built on random numbers and never looks at the result. Here it is uploaded,
run once on known numbers and compared with float64; only what is right is timed.
"""

from __future__ import annotations

import socket
import struct
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tvm import autotvm, nd
from tvm.autotvm.measure import MeasureErrorNo
from tvm.autotvm.measure.measure_methods import request_remote
from tvm.rpc import base

from tvm_deconv.algebra.known_weights import obeying
from tvm_deconv.errors import DeviceError
from tvm_deconv.measure import reference
from tvm_deconv.measure.tracker import TrackerLink
from tvm_deconv.schedules import space
from tvm_deconv.schedules.te.variants import TE_VARIANTS

from .layer import DTYPE, Layer
from .templates import point_of
from .workloads import TASK_NAMES, layer_of

# A sample is the mean of as many runs as take this long; AutoTVM drops the fastest and the slowest.
_SAMPLES, _SAMPLE_MS = 5, 20

# The error number of a trial that a device did not survive, for which its candidate may not be to
# blame.
LOST = MeasureErrorNo.UNKNOWN_ERROR
# Seconds for a device to answer, to be free again after a session's time is over, and to be back at
# the tracker, which a server leaves for a moment where a client has hung up.
_ANSWER_S, _FREE_S, _BACK_S = 5.0, 10.0, 2.0


class WrongAnswer(Exception):
    """A candidate whose result is not that of the layer."""


@dataclass(frozen=True)
class Check:
    """What a candidate has to compute; light enough to be sent to the process that runs it."""

    variant: str
    parameters: Any
    layer: Layer

    @staticmethod
    def of(measured: autotvm.MeasureInput) -> Check:
        """That of a task and a configuration."""
        task = measured.task
        variant = TASK_NAMES[task.name]
        point = point_of(variant, measured.config) or {}
        (_, shape, _), (_, weight, _), *attributes = task.args
        layer = layer_of(shape, weight, *attributes)
        return Check(variant.name, space.parameters_of(variant, point), layer)

    def __call__(self, remote: Any, library: Any) -> None:
        """Run it on a device. Raises WrongAnswer, and what TVM raises for a crash."""
        conv = self.layer.conv
        x, weight, expected = _case(self.layer)
        packed = TE_VARIANTS[self.variant].pack_weights(weight, conv, self.parameters)
        # What is never written stays no number.
        out = np.full(expected.shape, np.nan, DTYPE)
        arrays = [nd.array(values, remote.cpu()) for values in (x, packed, out)]
        library(*arrays)
        error = reference.largest_error(arrays[-1].numpy(), expected)
        if error > reference.TOLERANCE[DTYPE]:
            raise WrongAnswer(f"differs by {error:.1e} of the largest value")


@dataclass(frozen=True)
class CheckingLoader:
    """AutoTVM's way to load a library on a device, with a check of it.

    The client of ``hhb-tvm`` asks a server to load a library with options of its own, which TVM's
    servers, that of ``hhb-tvm`` among them, do not know: here the server is asked as TVM does.
    """

    check: Check

    @contextmanager
    def __call__(self, remote_kwargs: Any, built: Any) -> Iterator[tuple[Any, Any]]:
        remote = request_remote(**remote_kwargs)
        library = None
        name = Path(built.filename).name
        try:
            remote.upload(built.filename)
            library = remote.get_function("tvm.rpc.server.load_module")(name)
            self.check(remote, library)
            yield remote, library
            remote.remove(name)
        except BaseException as error:
            # A session ends when nothing refers to it: else the device stays busy until it times
            # out, and nobody gets it before.
            remote = library = None
            traceback.clear_frames(error.__traceback__)
            raise


class CheckingRunner(autotvm.RPCRunner):
    """Measures on the devices that a tracker has under a key, one candidate at a time.

    A failure has AutoTVM's number for what it was: a wrong result, a crash or a time-out; ``LOST``
    and a DeviceError for one after which the tracker or the device did not answer any more. Raises
    DeviceError where either is gone before.
    """

    def __init__(self, host: str, port: int, key: str, timeout_s: int) -> None:
        super().__init__(
            key,
            host,
            port,
            timeout=timeout_s,
            n_parallel=1,
            number=1,
            repeat=_SAMPLES,
            min_repeat_ms=_SAMPLE_MS,
        )

    def set_task(self, task: autotvm.task.Task) -> None:
        """Note what is measured. AutoTVM's own waits for ever for a device that is gone."""
        self.task = task
        require_device(self.host, self.port, self.key, _BACK_S)

    def run(
        self, measured: Sequence[autotvm.MeasureInput], built: Sequence[Any]
    ) -> list[autotvm.MeasureResult]:
        return [self._run(*one) for one in zip(measured, built, strict=True)]

    def _run(self, measured: autotvm.MeasureInput, built: Any) -> autotvm.MeasureResult:
        if isinstance(built, autotvm.MeasureResult):
            return built  # It could not be built.
        require_device(self.host, self.port, self.key, _BACK_S)
        self.module_loader = CheckingLoader(Check.of(measured))
        began = time.monotonic()
        (result,) = super().run([measured], [built])
        if result.error_no == MeasureErrorNo.NO_ERROR:
            return result
        number = self._number(result, time.monotonic() - began)
        if number != MeasureErrorNo.WRONG_ANSWER:
            try:
                require_answer(self.host, self.port, self.key, self.timeout + _FREE_S)
            except DeviceError as error:
                return result._replace(costs=(result.costs[0], error), error_no=LOST)
        return result._replace(error_no=number)

    def _number(self, result: autotvm.MeasureResult, took_s: float) -> MeasureErrorNo:
        """RPCRunner calls everything but TVM's own errors a time-out, and a time-out of the
        device's server, which ends the connection, a crash."""
        error = result.costs[1]
        if isinstance(error, WrongAnswer):
            return MeasureErrorNo.WRONG_ANSWER
        if isinstance(error, TimeoutError) or took_s >= self.timeout:
            return MeasureErrorNo.RUN_TIMEOUT
        return MeasureErrorNo.RUNTIME_DEVICE


def require_device(host: str, port: int, key: str, back_s: float = 0.0) -> None:
    """Raise DeviceError unless a tracker has a device with this key: AutoTVM would wait for it.

    It may come back within ``back_s`` seconds.
    """
    end = time.monotonic() + back_s
    with TrackerLink(host, port) as tracker:
        while key not in (keys := tracker.keys()) and time.monotonic() < end:
            time.sleep(0.1)
    if key not in keys:
        known = ", ".join(sorted(set(keys))) or "none"
        raise DeviceError(f"no device {key!r} at the tracker {host}:{port}; it has: {known}")


def require_answer(host: str, port: int, key: str, free_s: float) -> None:
    """Raise DeviceError unless such a device is free within so many seconds, and answers.

    A tracker keeps a device whose cable was pulled.
    """
    require_device(host, port, key, _BACK_S)
    with TrackerLink(host, port) as tracker:
        tracker.request(key)
        lease = tracker.poll_lease(free_s)
    if lease is None:
        raise DeviceError(f"device {key!r} hangs, or another program has it: waited {free_s:g} s")
    hello = f"client:{lease.match_key}".encode()
    try:
        with socket.create_connection((lease.host, lease.port), timeout=_ANSWER_S) as connection:
            connection.sendall(struct.pack("<ii", base.RPC_MAGIC, len(hello)) + hello)
            # All that it says: a server that was interrupted leaves the tracker for a moment.
            (_, length) = struct.unpack("<ii", base.recvall(connection, 8))
            base.recvall(connection, length)
    except OSError as error:
        raise DeviceError(
            f"device {key!r} at {lease.host}:{lease.port} does not answer: {error}"
        ) from error


@lru_cache(maxsize=2)
def _case(layer: Layer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input, IOHW weights and the result in float64; numbers are the same in every process."""
    conv = layer.conv
    h, w = conv.h, conv.w
    random = np.random.default_rng(0)
    x = random.standard_normal(layer.shape, "float32")
    shape = conv.in_channels, conv.group_outputs, h.kernel, w.kernel
    weight = obeying(conv, random.standard_normal(shape, "float32"))
    expected = reference.transposed_convolution(
        x,
        weight,
        (h.stride, w.stride),
        (h.pad_begin, w.pad_begin, h.pad_end, w.pad_end),
        (h.output_padding, w.output_padding),
        (h.dilation, w.dilation),
        conv.groups,
    )
    return x, weight, expected
