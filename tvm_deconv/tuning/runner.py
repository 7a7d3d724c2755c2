"""MetaSchedule's RPCRunner, made to survive candidates and devices that misbehave.

Kernels are measured one after the other, each when its result is asked for. RPCRunner itself
would send all of a batch to its worker at once, waits for a device that lost its power for ever,
and cannot tell a candidate that crashed from a device that is gone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tvm.ir.utils import derived_object
from tvm.s_tir.meta_schedule.runner import (
    EvaluatorConfig,
    PyRunner,
    PyRunnerFuture,
    RPCConfig,
    RPCRunner,
    RunnerInput,
    RunnerResult,
)

from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.errors import DeviceError
from tvm_deconv.measure.tracker import Lease

from . import measure
from .device import RpcDevice
from .interrupt import ignore_interrupts, uninterrupted
from .measure import DEVICE, LOST, TIMED_OUT, WRONG_RESULT
from .waiting import Waiting

OK, INTERRUPTED = "ok", "interrupted"
CRASHED, FAILED = "crashed: ", "failed: "
# What RPCRunner says where the worker's time was up, and where a hook of ours raised an error.
_KILLED = "RPCRunner: Timeout"
_OWN_ERROR = re.compile(rf"^\S*\b{measure.MeasureError.__name__}: (.*)", re.MULTILINE)


def status_of(error_msg: str | None) -> str:
    """What became of a candidate, from its result's error text.

    ``ok``, ``timed out``, ``crashed``, ``wrong result``, ``interrupted`` (never begun), ``device``
    (gone, which says nothing of the candidate), and ``failed`` for anything else that the device
    reported.
    """
    if error_msg is None:
        return OK
    for prefix in (TIMED_OUT, CRASHED, WRONG_RESULT, DEVICE, INTERRUPTED):
        if error_msg.startswith(prefix):
            return prefix.removesuffix(": ")
    return FAILED.removesuffix(": ")


def make_runner(
    device: RpcDevice,
    *,
    evaluator: EvaluatorConfig,
    timeout_s: float,
    threads: int | None,
    stop: threading.Event,
    report: Callable[[str], None],
    grace_s: float = 60.0,
    margin_s: float = 10.0,
) -> DeviceRunner:
    """A runner for artifacts as ``measure`` describes them; errors are texts for ``status_of``.

    ``timeout_s`` is for a session: upload, check and all repetitions of one candidate. A device
    that has not ended it ``margin_s`` later hangs. One that is gone is waited for during
    ``grace_s``, one that is busy for both together; then ``runner.lost`` is a DeviceError (else
    None), and this and all further candidates fail with it. ``stop`` makes those fail that are not
    begun. ``report`` gets a line where something is waited for. ``threads`` is how many a kernel
    uses; None: as many as the device likes. Call ``runner.close()`` at the end.
    """
    return DeviceRunner(
        RPCConfig(device.host, device.port, device.key, session_timeout_sec=timeout_s),
        evaluator,
        threads,
        Waiting(device, timeout_s + grace_s, grace_s, stop, report),
        timeout_s,
        margin_s,
    )


@derived_object
class DeviceRunner(PyRunner):
    """See ``make_runner``."""

    def __init__(
        self,
        config: RPCConfig,
        evaluator: EvaluatorConfig,
        threads: int | None,
        waiting: Waiting,
        timeout_s: float,
        margin_s: float,
    ) -> None:
        super().__init__()
        self.lost: DeviceError | None = None
        self._threads = threads
        self._waiting = waiting
        self._timeout_s = timeout_s
        self._rpc = RPCRunner(
            config,
            evaluator,
            f_upload_module=measure.upload,
            f_cleanup=measure.clean_up,
            initializer=ignore_interrupts,
        )
        # It makes this pool, and starts its process to try it, without a time limit.
        self._pool = self._rpc.pool
        self._pool._timeout = timeout_s + margin_s

    def run(self, runner_inputs: list[RunnerInput]) -> list[LazyFuture]:
        return [LazyFuture(partial(self._measure, given)) for given in runner_inputs]

    def ask(self, kind: str) -> DeviceFacts | None:
        """What the device's GPU of a kind (``cuda``, ``opencl``) says of itself.

        None if interrupted. Raises DeviceError where the device is gone, or does not answer.
        """
        lease = self._waiting.lease() if self._is_ready() else None
        if lease is None:
            return None
        with uninterrupted():
            asked = self._pool.submit(measure.ask, lease, kind, self._rpc.rpc_config)
        try:
            return asked.result()
        except TimeoutError as error:
            raise DeviceError(f"the device does not say what its {kind} device is") from error
        except Exception as error:  # whatever reaches us of the worker's
            own = _OWN_ERROR.search(str(error))
            said = own[1] if own else str(error).strip().splitlines()[-1]
            raise DeviceError(f"cannot ask for the {kind} device: {said}") from error

    def close(self) -> None:
        """End the worker process; nothing can be measured any more."""
        self._pool.shutdown()

    def _measure(self, given: RunnerInput) -> RunnerResult:
        try:
            seconds, error = self._measure_or_lose(given)
        except DeviceError as lost:
            self.lost = lost
            seconds, error = None, f"{DEVICE}{lost}"
        return RunnerResult(seconds, error)

    def _measure_or_lose(self, given: RunnerInput) -> tuple[list[float] | None, str | None]:
        """Seconds or an error text. Raises DeviceError if there is no device."""
        if self.lost is not None:
            raise self.lost
        attempt = self._attempt(given)
        if attempt.suspect:
            # The device or the candidate? The second time will tell.
            self._waiting.report(f"{attempt.error}; trying once again")
            try:
                attempt = self._attempt(given)
            except DeviceError as lost:
                gone = "it went away while a candidate ran: start its RPC server again"
                raise DeviceError(f"{lost}; {gone}") from lost
        return attempt.seconds, attempt.error

    def _attempt(self, given: RunnerInput) -> _Attempt:
        """One session, once there is a device."""
        lease = self._waiting.lease() if self._is_ready() else None
        if lease is None:
            return _Attempt(error=INTERRUPTED)
        began = time.monotonic()
        seconds, error = self._run(lease, given)
        took = time.monotonic() - began
        if error is None:
            return _Attempt(seconds)
        if error.startswith(_KILLED):
            text = f"{TIMED_OUT}the device did not end the session itself after {took:.0f} s"
            return _Attempt(error=text, suspect=True)
        own = _OWN_ERROR.search(error)
        if own is None:
            if self._waiting.stop.is_set():
                return _Attempt(error=INTERRUPTED)
            # The end of a traceback says what happened.
            return _Attempt(error=FAILED + error.strip().splitlines()[-1])
        text = own.group(1)
        if text.startswith(DEVICE):
            raise DeviceError(text.removeprefix(DEVICE))
        if not text.startswith(LOST):
            return _Attempt(error=text)
        why = text.removeprefix(LOST)
        if took >= self._timeout_s:
            return _Attempt(error=f"{TIMED_OUT}{why}")
        return _Attempt(error=f"{CRASHED}{why}", suspect=True)

    def _is_ready(self) -> bool:
        """Start the worker, lest it uses up a part of a candidate's time; False if interrupted."""
        try:
            with uninterrupted():
                self._pool.submit(_nothing).result()
        except ChildProcessError:
            # Until it has started, it does not ignore Ctrl-C.
            if not self._waiting.stop.is_set():
                raise
            return False
        return True

    def _run(self, lease: Lease, given: RunnerInput) -> tuple[list[float] | None, str | None]:
        artifact = Path(str(given.artifact_path)).parent
        rpc = self._rpc
        rpc.f_create_session = partial(measure.open_session, lease, self._threads)
        rpc.f_alloc_argument = partial(measure.allocate, artifact)
        rpc.f_run_evaluator = partial(measure.evaluate, artifact)
        (future,) = rpc.run([given])
        result = future.result()
        seconds = result.run_secs
        error = result.error_msg
        return seconds and [float(s) for s in seconds], error and str(error)


@dataclass(frozen=True)
class _Attempt:
    """What a session came to; ``suspect`` says that its error may be the device's."""

    seconds: list[float] | None = None
    error: str | None = None
    suspect: bool = False


@derived_object
class LazyFuture(PyRunnerFuture):
    """A candidate that is measured when its result is asked for."""

    def __init__(self, measure: Callable[[], RunnerResult]) -> None:
        super().__init__()
        self._result = cache(measure)

    def done(self) -> bool:
        return True

    def result(self) -> RunnerResult:
        return self._result()


def _nothing() -> None:
    """What a worker process is asked first: it answers when it has started."""
