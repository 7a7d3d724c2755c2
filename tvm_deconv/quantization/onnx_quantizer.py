"""ONNX Runtime's quantizer: a float model and inputs for it, to one with QDQ nodes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tvm_deconv.errors import QuantizationError, TvmDeconvError, first_line

# The first in which DequantizeLinear has a scale for each channel.
_PER_CHANNEL = 13
# ONNX Runtime's levels; what it says of nodes that it adds itself helps nobody.
_WARNING, _ERROR = 2, 3

Feeds = Mapping[str, np.ndarray]


def quantized(model: onnx.ModelProto, name: str, feeds: Iterable[Feeds]) -> onnx.ModelProto:
    """The model with QDQ nodes: activations of uint8, weights of int8 with a scale per channel.

    ``feeds`` are inputs of the model by name, from whose maps the least and greatest values are
    taken. Batch norms are folded into convolutions before, so that these are quantized with them.

    Raises QuantizationError where ONNX Runtime refuses, or finds nothing to quantize in, the model
    called ``name``, and what ``feeds`` raises.
    """
    with TemporaryDirectory() as folder, _silence():
        given, prepared, result = (Path(folder) / f"{step}.onnx" for step in ("1", "2", "3"))
        try:
            onnx.save(model, given)
            # Its symbolic inference of shapes takes a package that the rest does without.
            quant_pre_process(given, prepared, skip_symbolic_shape=True)
            onnx.save(_with_channels(onnx.load(prepared)), prepared)
            quantize_static(
                prepared,
                result,
                _Feeds(iter(feeds)),
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
                f"ONNX Runtime's quantizer refuses {name}: {first_line(error)}"
            ) from error
    if not any(node.op_type == "QuantizeLinear" for node in found.graph.node):
        raise QuantizationError(f"{name} has no layer that ONNX Runtime's quantizer quantizes")
    del found.metadata_props[:]
    found.metadata_props.extend(model.metadata_props)
    return found


class _Feeds(CalibrationDataReader):
    """Inputs one after another, as the quantizer asks for them."""

    def __init__(self, feeds: Iterator[Feeds]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)


def _with_channels(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in an opset in which weights have a scale for each channel."""
    (opset,) = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset >= _PER_CHANNEL:
        return model
    return version_converter.convert_version(model, _PER_CHANNEL)


@contextmanager
def _silence() -> Iterator[None]:
    """Neither ONNX Runtime nor its quantizer gives advice, which is for those who call it."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    onnxruntime.set_default_logger_severity(_ERROR)
    try:
        yield
    finally:
        logging.disable(level)
        onnxruntime.set_default_logger_severity(_WARNING)
