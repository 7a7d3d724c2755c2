"""Models held against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tvm
from quick_network import compiled

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16"}


def assert_same_as_onnx_runtime(
    model: onnx.ModelProto | str,
    *given: Any,
    main: Callable[..., Any] | None = None,
    atol: float = 0.0,
    rtol: float = 0.0,
    of_largest: float = 0.0,
) -> None:
    """``main``, or what ``model`` is compiled to, gives ONNX Runtime's outputs, types and shapes.

    Each of ``given`` is what the model is run on: a shape, for normal random numbers, an array, or
    arrays by the names of inputs. ``of_largest`` is an error relative to an output's largest value.
    """
    main = main or compiled(model)
    source = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(source)
    first = session.get_inputs()[0]
    for one in given:
        if isinstance(one, tuple):
            one = np.random.default_rng(0).standard_normal(one).astype(_DTYPES[first.type])
        inputs = one if isinstance(one, Mapping) else {first.name: one}
        found = main(*map(tvm.runtime.tensor, inputs.values()))
        found = [found] if hasattr(found, "numpy") else list(found)
        for got, expected in zip(found, session.run(None, inputs), strict=True):
            got = got.numpy()
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
            limit = atol + of_largest * np.abs(expected).max(initial=0)
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=limit)
