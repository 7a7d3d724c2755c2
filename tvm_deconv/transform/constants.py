"""Constant expressions of a Relax function, evaluated in NumPy without changing the function.

Importers hide biases, slopes and index vectors behind reshape, arange, abs, clip and the like.
Only the operators of ``_EVALUATE`` are understood; anything else is simply not constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.relax_functions import Remembered

# What NumPy takes without a copy.
_SHARED = ("float32", "float16", "int8", "uint8")


class Constants:
    """Evaluates expressions of one function, given the value bound to each variable."""

    def __init__(self, values: dict[relax.Var, relax.Expr]) -> None:
        self._values = values
        self._known = Remembered(self._evaluate)

    def evaluate(self, expr: relax.Expr) -> np.ndarray | None:
        """The array that ``expr`` always holds, or None."""
        if isinstance(expr, tvm.ir.GenericConst):
            return _array(expr)
        if isinstance(expr, relax.Var):
            return self._known(expr)
        if not isinstance(expr, relax.Call) or not isinstance(expr.op, tvm.ir.Op):
            return None
        function = _EVALUATE.get(str(expr.op.name))
        if function is None:
            return None
        arguments = [self._argument(a) for a in expr.args]
        if any(a is None for a in arguments):
            return None
        result = np.asarray(function(expr, *arguments))
        return result.astype(str(expr.ty.dtype), copy=False)

    def _evaluate(self, var: relax.Var) -> np.ndarray | None:
        value = self._values.get(var)
        return None if value is None else self.evaluate(value)

    def places(self, expr: relax.Expr) -> np.ndarray | None:
        """Constant indices of an axis, of which negative ones count from its end, or None.

        Importers write ``where(i < 0, i + size, i)`` for a constant i and a free size.
        """
        value = self._values.get(expr) if isinstance(expr, relax.Var) else expr
        where = tvm.ir.Op.get("relax.where")
        if isinstance(value, relax.Call) and value.op == where:
            return self.evaluate(value.args[2])
        return self.evaluate(expr)

    def _argument(self, expr: Any) -> Any:
        if isinstance(expr, relax.ShapeExpr):
            dims = [_number(d) for d in expr.values]
            return None if any(d is None for d in dims) else tuple(dims)
        number = _number(expr)
        return self.evaluate(expr) if number is None else number


def _array(constant: tvm.ir.GenericConst) -> np.ndarray:
    """The values of a constant, of most dtypes in the memory of TVM, where nobody may change them.

    Weights are asked for by every pass that looks at a convolution.
    """
    if str(constant.ty.dtype) not in _SHARED:
        return constant.value.numpy()
    array = np.from_dlpack(constant.value)
    array.flags.writeable = False
    return array


def _number(expr: Any) -> Any:
    if isinstance(expr, (int, float)):
        return expr
    return expr.value if isinstance(expr, (tvm.tirx.IntImm, tvm.tirx.FloatImm)) else None


def _axes(call: relax.Call, name: str) -> Any:
    axes = getattr(call.attrs, name)
    return None if axes is None else tuple(int(a) for a in axes)


def _axis(call: relax.Call) -> int | None:
    axis = call.attrs.axis
    return None if axis is None else int(axis)


def _expand(call: relax.Call, x: np.ndarray) -> np.ndarray:
    return np.expand_dims(x, _axes(call, "axis"))


def _squeeze(call: relax.Call, x: np.ndarray) -> np.ndarray:
    return np.squeeze(x, _axes(call, "axis"))


def _dequantize(
    call: relax.Call, x: np.ndarray, scale: np.ndarray, zero_point: np.ndarray
) -> np.ndarray:
    def along_axis(values: np.ndarray) -> np.ndarray:
        shape = [1] * x.ndim
        if values.size > 1:
            shape[int(call.attrs.axis)] = -1
        return values.reshape(shape)

    wide = x if x.dtype.kind == "f" else x.astype("int32")
    moved = wide - along_axis(zero_point.astype(wide.dtype))
    return moved.astype("float32") * along_axis(scale.astype("float32"))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda call, *arguments: function(*arguments)


_EVALUATE: dict[str, Callable[..., Any]] = {
    "relax.reshape": _plain(np.reshape),
    "relax.broadcast_to": _plain(np.broadcast_to),
    "relax.expand_dims": _expand,
    "relax.squeeze": _squeeze,
    "relax.permute_dims": lambda call, x: np.transpose(x, _axes(call, "axes")),
    "relax.repeat": lambda call, x: np.repeat(x, int(call.attrs.repeats), _axis(call)),
    "relax.shape_to_tensor": _plain(np.asarray),
    "relax.arange": lambda call, *bounds: np.arange(*bounds),
    "relax.astype": lambda call, x: x,
    "relax.clip": _plain(np.clip),
    "relax.abs": _plain(np.abs),
    "relax.dequantize": _dequantize,
    "relax.negative": _plain(np.negative),
    "relax.sqrt": _plain(np.sqrt),
    "relax.rsqrt": lambda call, x: 1 / np.sqrt(x),
    "relax.isnan": _plain(np.isnan),
    "relax.where": _plain(np.where),
    "relax.equal": _plain(np.equal),
    "relax.less": _plain(np.less),
    "relax.less_equal": _plain(np.less_equal),
    "relax.greater": _plain(np.greater),
    "relax.greater_equal": _plain(np.greater_equal),
    "relax.logical_and": _plain(np.logical_and),
    "relax.logical_or": _plain(np.logical_or),
    "relax.logical_not": _plain(np.logical_not),
    "relax.add": _plain(np.add),
    "relax.subtract": _plain(np.subtract),
    "relax.multiply": _plain(np.multiply),
    "relax.divide": _plain(np.divide),
    "relax.floor_divide": _plain(np.floor_divide),
    "relax.maximum": _plain(np.maximum),
    "relax.minimum": _plain(np.minimum),
}
