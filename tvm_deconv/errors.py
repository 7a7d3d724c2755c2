"""Every error that tvm-deconv raises on purpose.

Each message says what was wrong, the value, and what to do. The command line prints it on one line
and exits with ``exit_status``; a library user catches ``TvmDeconvError`` or one of its kinds.
"""

from __future__ import annotations


class TvmDeconvError(Exception):
    """Base of all errors below; ``exit_status`` is the command line's."""

    exit_status = 2


class OptionError(TvmDeconvError, ValueError):
    """An option of a type or a value that it cannot have."""


class GeometryError(TvmDeconvError, ValueError):
    """Sizes, strides, paddings or groups that do not describe a transposed convolution."""


class ModelError(TvmDeconvError, ValueError):
    """A model that cannot be read, or that holds an operator that cannot be imported."""


class CheckError(TvmDeconvError, RuntimeError):
    """A model that nothing can be held against: its runtime is not installed or refuses it."""


class TargetError(TvmDeconvError, ValueError):
    """A target that TVM does not know, or that this package has no schedule for."""


class WorkloadError(TvmDeconvError, ValueError):
    """A name that no workload has, or a question that a workload has no answer to."""


class VariantError(TvmDeconvError, ValueError):
    """An algorithm that is not known or not allowed, or a layer that none can compute."""


class TuningError(TvmDeconvError, RuntimeError):
    """Tuning that cannot start or go on: what was measured until then is kept."""


class DeviceError(TuningError):
    """A tracker that does not answer, a device that is not there or is gone."""

    exit_status = 3


class LogError(TvmDeconvError, ValueError):
    """A tuning log that cannot be read, is damaged, or is for another device or version of TVM."""


class LogWriteError(LogError):
    """A tuning log that cannot be written, because the disk is full for example."""

    exit_status = 4


class DeviceFileError(TvmDeconvError, ValueError):
    """A device of the time and energy model that is not known, damaged, or lacks a source."""


class ImageError(TvmDeconvError, ValueError):
    """An image that cannot be read, or whose shape does not fit the compiled network."""


class PixelsError(TvmDeconvError, ValueError):
    """A range, mean or scale of pixels that is not known, or that the network cannot have."""


class OutputError(TvmDeconvError, OSError):
    """A result that cannot be written where it was asked for."""


class QuantizationError(TvmDeconvError, RuntimeError):
    """A network that ONNX Runtime's quantizer refuses, or that quantizer not being installed."""


class RelayError(TvmDeconvError, ImportError):
    """A TVM without Relay, or of a version that ``tvm_deconv.relay`` was not tried with."""


class PeerError(TvmDeconvError, RuntimeError):
    """A contestant of the benchmark that cannot be installed or started, refuses, dies or hangs."""


class BenchError(TvmDeconvError, ValueError):
    """A benchmark with nothing to measure, or results of one that cannot be read."""


def first_line(error: BaseException) -> str:
    """What an exception says, on one line; its type where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
