"""ONNX Runtime's quantizer: a float model and inputs for it, to one with QDQ nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain

import numpy as np
import onnx
import onnxruntime
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tvm_deconv.checking.draws import draw
from tvm_deconv.checking.onnx_session import session_of
from tvm_deconv.errors import QuantizationError, TvmDeconvError, first_line
from tvm_deconv.files import temporary_folder
from tvm_deconv.frontends.onnx.nodes import opset_of
from tvm_deconv.workloads.selection import inputs_of

# The first in which DequantizeLinear has a scale for each channel.
_PER_CHANNEL = 13
# ONNX Runtime's levels.
_WARNING, _ERROR = 2, 3
# Draws of noise for a model that nobody has pictures for.
_DRAWS = 2

Feeds = Mapping[str, np.ndarray]


def quantized(model: onnx.ModelProto, name: str, feeds: Iterable[Feeds]) -> onnx.ModelProto:
    """The model with QDQ nodes: activations of uint8, weights of int8 with a scale per channel.

    ``feeds`` are inputs of the model by name, from whose maps the least and greatest values are
    taken. Batch norms are folded into convolutions before, so that these are quantized with them.

    Raises QuantizationError where ONNX Runtime refuses, or finds nothing to quantize in, the model
    called ``name``, and what ``feeds`` raises.
    """
    opset = opset_of(model)
    old = opset < _PER_CHANNEL
    advice = f"; it is of opset {opset}: export it with {_PER_CHANNEL} or newer" if old else ""
    given = iter(feeds)
    with temporary_folder() as folder, _silence():
        source, prepared, result = (folder / f"{step}.onnx" for step in ("1", "2", "3"))
        try:
            onnx.save(_with_constants(model), source)
            # Its symbolic inference of shapes takes a package that the rest does without.
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            if old:
                raised = version_converter.convert_version(onnx.load(prepared), _PER_CHANNEL)
                onnx.save(raised, prepared)
            first = next(given)
            if not _agree(model, onnx.load(prepared), first):
                raise QuantizationError(
                    f"ONNX Runtime's quantizer prepares {name} wrongly, its results differ{advice}"
                )
            quantize_static(
                prepared,
                result,
                _Feeds(chain([first], given)),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            found = onnx.load(result)
        except TvmDeconvError:
            raise
        except Exception as error:  # its classes have no common base but this
            raise QuantizationError(
                f"ONNX Runtime's quantizer refuses {name}: {first_line(error)}{advice}"
            ) from error
    if not any(node.op_type == "QuantizeLinear" for node in found.graph.node):
        raise QuantizationError(f"{name} has no layer that ONNX Runtime's quantizer quantizes")
    del found.metadata_props[:]
    found.metadata_props.extend(model.metadata_props)
    return found


def quantized_on_noise(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """``quantized`` on random inputs, the same each time."""
    rng, inputs = np.random.default_rng(1), inputs_of(model, name)
    feeds = (
        {each.name: draw(rng, each.shape, each.dtype) for each in inputs} for _ in range(_DRAWS)
    )
    return quantized(model, name, feeds)


class _Feeds(CalibrationDataReader):
    """Inputs one after another, as the quantizer asks for them."""

    def __init__(self, feeds: Iterator[Feeds]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)


def _with_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model less its weights that are inputs, too, as they had to be once: nothing is folded
    into those."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name in weights:
            fixed.graph.input.remove(value)
    return fixed


def _agree(one: onnx.ModelProto, other: onnx.ModelProto, feed: Feeds) -> bool:
    """Whether both give about the same for noise of the shape and size of ``feed``.

    Converters of opsets forget what the older one meant: a Resize of opset 10 was not half_pixel.
    """
    rng = np.random.default_rng(0)
    noise = {
        key: (rng.random(value.shape) * (np.abs(value).max() or 1)).astype(value.dtype)
        for key, value in feed.items()
    }
    wanted, got = (session_of(model).run(None, noise) for model in (one, other))
    return all(map(_is_close, got, wanted))


def _is_close(got: np.ndarray, wanted: np.ndarray) -> bool:
    if wanted.dtype.kind != "f":
        return np.array_equal(got, wanted)
    tolerance = np.sqrt(np.finfo(wanted.dtype).eps) * np.abs(wanted).max(initial=0)
    return bool(np.allclose(got, wanted, rtol=0, atol=tolerance, equal_nan=True))


@contextmanager
def _silence() -> Iterator[None]:
    """ONNX Runtime gives no advice on graphs, some of them its quantizer's own."""
    onnxruntime.set_default_logger_severity(_ERROR)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
