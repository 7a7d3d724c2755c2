"""ONNX networks quantized by ONNX Runtime's own quantizer, calibrated on random numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

# Of the values, that may be a unit away.
TIES = 2e-3


class _Random(CalibrationDataReader):
    def __init__(self, shape, count=2):
        rng = np.random.default_rng(1)
        self.images = iter([{"x": rng.random(shape, "float32")} for _ in range(count)])

    def get_next(self):
        return next(self.images, None)


def quantized(net, output, folder: Path, form="QDQ", activations="QUInt8", **options):
    """The network of an ``onnx_net.Net`` with 8-bit weights and activations.

    ``form`` is "QDQ" or "QOperator"; ``options`` are those of ``quantize_static``.
    """
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(net.model(output), source)
    options.setdefault("per_channel", True)
    quantize_static(
        source,
        target,
        _Random(net.shape),
        quant_format=QuantFormat[form],
        activation_type=QuantType[activations],
        weight_type=QuantType.QInt8,
        **options,
    )
    return onnx.load(target)


def by_onnx_runtime(model, x, name="x", fused=True):
    """Its result; not ``fused``: node by node, each as the standard has it."""
    options = onnxruntime.SessionOptions()
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {name: x})[0]


def assert_equal_but_for_ties(got, expected):
    assert got.shape == expected.shape
    unit = np.diff(np.unique(expected)).min()
    apart = np.abs(got - expected) / unit
    assert apart.max() < 1.01, "more than a unit"
    assert (apart > 0.5).mean() <= TIES
