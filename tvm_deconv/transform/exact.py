"""Operators of which TVM's own functions lose digits, by the formulas of ``schedules.tir.exact``.

Each is one block: a chain of operators that reads its quotient twice would be cut by a pass over
memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax, te

from tvm_deconv.schedules.tir import exact

from .graph import dtype_of


def _legalization(name: str, of: Callable[..., Any], *attributes: str) -> Callable[..., relax.Expr]:
    def legalize(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
        numbers = [float(getattr(call.attrs, attribute)) for attribute in attributes]

        def compute(x: te.Tensor) -> te.Tensor:
            working = "float32" if str(x.dtype) == "float16" else str(x.dtype)

            def value(*at: Any) -> Any:
                return of(x(*at).astype(working), *numbers).astype(str(x.dtype))

            return te.compute(x.shape, value, name=name)

        return builder.call_te(compute, call.args[0], primfunc_name_hint=name)

    return legalize


def _tanh(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """TVM's quotient of differences in float64 has an error of the last bit of 1, not of x."""
    if dtype_of(call) != "float64":
        return call.op.get_attr("FLegalize")(builder, call)
    return _legalization("tanh", exact.tanh)(builder, call)


LEGALIZATIONS: dict[str, Callable[..., relax.Expr]] = {
    "relax.atanh": _legalization("atanh", exact.atanh),
    "relax.nn.selu": _legalization("selu", exact.selu),
    "relax.tanh": _tanh,
    "relax.nn.softplus": _legalization("softplus", exact.softplus, "beta", "threshold"),
}
