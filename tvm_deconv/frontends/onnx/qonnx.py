"""``Quant`` of qonnx (Brevitas, FINN, hls4ml): a rounding to few bits and back, as one operator.

    y = (round(clip(x / scale + zero point, low, high)) - zero point) * scale

of ``bitwidth`` bits: ``low`` and ``high`` are those of a number with a sign or without, ``narrow``
leaves the lowest (with a sign) or the highest one out. Of a constant it is evaluated by this
definition. Anything else, up to 8 bits, becomes what quantized files of the standard hold:

    Max, Min     where the bits do not fill a byte: limits of the real numbers
    QuantizeLinear, DequantizeLinear

Where the node does not round to the nearest, Floor or Ceil of x / scale are taken before, and the
limits are those of integers: limit * scale / scale may be a bit less than the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx

from tvm_deconv.errors import ModelError

from .facts import Facts
from .nodes import attributes, describe, refuse, words
from .steps import Steps

_DOMAINS = words("qonnx.custom_op.general onnx.brevitas qonnx")
# The newer name of the same.
_NAMES = words("IntQuant Quant")

_NEAREST = words("HALF_EVEN ROUND")
_OTHERS = {"FLOOR": "Floor", "CEIL": "Ceil"}
_ROUND: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "CEIL": np.ceil,
    "DOWN": np.trunc,
    "FLOOR": np.floor,
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    "HALF_EVEN": np.rint,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "ROUND": np.rint,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
}
# Of the standard: the first with QuantizeLinear, and with its axis.
_FIRST, _BY_CHANNEL = 10, 13


def is_quantizer(node: onnx.NodeProto) -> bool:
    """Whether a node is a ``Quant``."""
    return node.domain in _DOMAINS and node.op_type in _NAMES


def written_out(node: onnx.NodeProto, facts: Facts) -> list[onnx.NodeProto]:
    """The nodes of the standard that compute the same; none where its value is noted in ``facts``.

    Raises ModelError for parameters that are not constants, and for what has no such nodes.
    """
    try:
        return _Quant(node, facts).nodes()
    except ModelError as error:
        raise ModelError(f"{facts.name}: {describe(node, facts.opset)}: {error}") from error


class _Quant:
    def __init__(self, node: onnx.NodeProto, facts: Facts) -> None:
        if len(node.input) != 4 or not all(node.input) or len(node.output) != 1:
            refuse(f"has {len(node.input)} inputs: give x, scale, zero point and bitwidth")
        self.node, self.facts = node, facts
        options: dict[str, Any] = attributes(node)
        self.signed, self.narrow = bool(options.get("signed", 1)), bool(options.get("narrow", 0))
        self.mode = str(options.get("rounding_mode", "ROUND")).upper()
        self.scale, self.zero, self.bits = (
            self.parameter(index, what)
            for index, what in enumerate(("scale", "zero point", "bitwidth"), 1)
        )
        if self.mode not in _ROUND:
            refuse(f"rounding_mode is {self.mode}, which is none of {', '.join(sorted(_ROUND))}")
        if not (np.isfinite(self.scale) & (self.scale > 0)).all():
            refuse(f"its scale is {self.scale.min():g}: scales are positive numbers")
        if not ((self.bits >= 1) & (self.bits <= 32) & (self.bits == np.rint(self.bits))).all():
            refuse(f"its bitwidth is {self.bits.flat[0]:g}: give a whole number from 1 to 32")

    def parameter(self, index: int, what: str) -> np.ndarray:
        """An input that has to be a constant, in float64."""
        found = self.facts.values.get(self.node.input[index])
        if found is None:
            refuse(f"its {what} is computed when the network runs: it must be a constant")
        if not found.size:
            refuse(f"its {what} has no elements")
        return found.astype(np.float64)

    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        if self.signed:
            return -(2.0 ** (self.bits - 1)) + self.narrow, 2.0 ** (self.bits - 1) - 1
        return np.zeros_like(self.bits), 2.0**self.bits - 1 - self.narrow

    def nodes(self) -> list[onnx.NodeProto]:
        known = self.facts.values.get(self.node.input[0])
        if known is not None:
            self.facts.set_value(self.node.output[0], self.of(known))
            return []
        return self.of_bytes()

    def of(self, x: np.ndarray) -> np.ndarray:
        """Of a constant."""
        y = x.astype(np.float64) / self.scale + self.zero
        rounded = _ROUND[self.mode](np.clip(y, *self.limits()))
        if self.signed:  # one bit with a sign is the sign
            rounded = np.where(self.bits == 1, np.where(y >= 0, 1.0, -1.0), rounded)
        return ((rounded - self.zero) * self.scale).astype(x.dtype)

    def of_bytes(self) -> list[onnx.NodeProto]:
        """Of what the network computes."""
        if self.bits.size != 1:
            refuse(f"its bitwidth has {self.bits.size} elements: only one is computed")
        bits = int(self.bits.item())
        if bits > 8 or (bits == 1 and self.signed):
            kind = "one bit with a sign" if bits == 1 else f"{bits} bits"
            refuse(f"rounds what is computed to {kind}: from 2 bits (1 without a sign) to 8 are")
        if self.mode not in _NEAREST and self.mode not in _OTHERS:
            refuse(
                f"rounding_mode is {self.mode}: what is computed is rounded by ROUND, FLOOR or CEIL"
            )
        dtype = "int8" if self.signed else "uint8"
        held, zero = np.iinfo(dtype), self.zero
        if (zero != np.rint(zero)).any() or zero.min() < held.min or zero.max() > held.max:
            refuse(f"its zero point is {zero.flat[0]:g}, which {dtype} does not hold")
        if self.facts.opset < _FIRST:
            refuse(f"needs QuantizeLinear, which the standard has since opset {_FIRST}")
        axis, along = self.axis()
        steps = Steps(self.node, self.facts)
        x = self.node.input[0]
        if self.mode in _OTHERS:
            scale = steps.constant("scale", self.scale.astype(np.float32))
            whole = steps(_OTHERS[self.mode], steps("Div", x, scale))
            x = steps("Mul", self.limited(steps, whole, held, np.ones(())), scale)
        else:
            x = self.limited(steps, x, held, self.scale)
        operands = [
            steps.constant("factor", along(self.scale).astype(np.float32)),
            steps.constant("zero_point", along(zero).astype(dtype)),
        ]
        stored = steps("QuantizeLinear", x, *operands, **axis)
        steps("DequantizeLinear", stored, *operands, to=self.node.output[0], **axis)
        return steps.nodes

    def axis(self) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
        """The attribute of QuantizeLinear, and what brings scale and zero point to its form."""
        shape = np.broadcast_shapes(self.scale.shape, self.zero.shape)
        wide = [axis for axis, size in enumerate(shape) if size != 1]
        if not wide:
            return {}, lambda values: values.reshape(-1)[:1].reshape(())
        if len(wide) > 1:
            refuse(f"its scales have the shape {list(shape)}: only one axis may have several")
        if self.facts.opset < _BY_CHANNEL:
            refuse(f"has a scale for each channel: raise the opset to {_BY_CHANNEL}")
        axis = wide[0] - len(shape)
        return {"axis": axis}, lambda values: np.broadcast_to(values, shape).reshape(-1)

    def limited(self, steps: Steps, x: str, held: Any, unit: np.ndarray) -> str:
        """``x``, in steps of ``unit``, between the limits of its bits where a byte has more."""
        for kind, end, bound in zip(
            ("Max", "Min"), self.limits(), (held.min, held.max), strict=True
        ):
            if end.item() != bound:
                limit = ((end.reshape(()) - self.zero) * unit).astype(np.float32)
                limit = limit.reshape(()) if limit.size == 1 else limit
                x = steps(kind, x, steps.constant(kind, limit))
        return x
