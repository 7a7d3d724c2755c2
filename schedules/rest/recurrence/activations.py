"""Functions of a number that recurrent layers may have, by the ONNX standard."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir import exact


@dataclass(frozen=True)
class Activation:
    """A function by its name in lower case, with the standard's numbers."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0


def _number(value: float, x: Any) -> Any:
    return tirx.const(value, str(x.ty.dtype))


def _affine(x: Any, alpha: Any, beta: Any) -> Any:
    return alpha * x + beta


def _relu(x: Any, _alpha: Any, _beta: Any) -> Any:
    return tirx.max(_number(0, x), x)


def _leaky_relu(x: Any, alpha: Any, _beta: Any) -> Any:
    return tirx.Select(x >= _number(0, x), x, alpha * x)


def _thresholded_relu(x: Any, alpha: Any, _beta: Any) -> Any:
    return tirx.Select(x > alpha, x, _number(0, x))


def _scaled_tanh(x: Any, alpha: Any, beta: Any) -> Any:
    return alpha * tirx.tanh(beta * x)


def _hard_sigmoid(x: Any, alpha: Any, beta: Any) -> Any:
    return tirx.min(_number(1, x), tirx.max(_number(0, x), alpha * x + beta))


def _elu(x: Any, alpha: Any, _beta: Any) -> Any:
    return tirx.Select(x >= _number(0, x), x, alpha * exact.expm1_below(x))


def _softsign(x: Any, _alpha: Any, _beta: Any) -> Any:
    return x / (1 + tirx.abs(x))


def _softplus(x: Any, _alpha: Any, _beta: Any) -> Any:
    return exact.softplus(x, 1.0, math.inf)


@dataclass(frozen=True)
class Numbers:
    """What alpha and beta of a function are where they are not given.

    None where it has none, NaN where it has to be given: the standard has no such operator.
    """

    alpha: float | None = None
    beta: float | None = None


@dataclass(frozen=True)
class Function:
    """``compute`` makes an expression of x, alpha and beta."""

    compute: Callable[[Any, Any, Any], Any]
    numbers: Numbers = Numbers()


FUNCTIONS: dict[str, Function] = {
    "affine": Function(_affine, Numbers(math.nan, math.nan)),
    "elu": Function(_elu, Numbers(1.0)),
    "hardsigmoid": Function(_hard_sigmoid, Numbers(0.2, 0.5)),
    "leakyrelu": Function(_leaky_relu, Numbers(0.01)),
    "relu": Function(_relu),
    "scaledtanh": Function(_scaled_tanh, Numbers(math.nan, math.nan)),
    "sigmoid": Function(lambda x, _alpha, _beta: tirx.sigmoid(x)),
    "softplus": Function(_softplus),
    "softsign": Function(_softsign),
    "tanh": Function(lambda x, _alpha, _beta: tirx.tanh(x)),
    "thresholdedrelu": Function(_thresholded_relu, Numbers(1.0)),
}


def activated(function: Activation, x: Any) -> Any:
    """The function of ``x``, a float."""
    alpha, beta = (_number(value, x) for value in (function.alpha, function.beta))
    return FUNCTIONS[function.name].compute(x, alpha, beta)
