"""Makes a TFLite graph of floats one of bytes, as its own converter does.

Values that were quantized are int8, and so is what only moves or bounds them; weights are int8 with
a scale for each output channel, biases int32 of the operand's scale times these. An operator that
has no kernel of bytes here, or reads or makes a value of unknown range, stays in floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .onnx_bytes import ByteRange
from .tflite_file import Step, Writer

# Where x and the weights are among the operands, and which axis of the weights the outputs are.
_CONVOLUTIONS = {
    "CONV_2D": (0, 1, 0),
    "DEPTHWISE_CONV_2D": (0, 1, 3),
    "TRANSPOSE_CONV": (2, 1, 0),
}
_BOUNDS = {"RELU", "MAXIMUM", "MINIMUM"}
_MOVES = {
    "PAD",
    "MIRROR_PAD",
    "SLICE",
    "RESHAPE",
    "TRANSPOSE",
    "DEPTH_TO_SPACE",
    "RESIZE_NEAREST_NEIGHBOR",
    "RESIZE_BILINEAR",
}
# They have one scale, of their operands and their result.
_KEEP = _MOVES | _BOUNDS
# TFLite gives the ranges of these.
_FIXED = {"LOGISTIC": ByteRange(2**-8, -128), "TANH": ByteRange(2**-7, 0)}
_OTHERS = {"ADD", "SUB", "MUL", "LEAKY_RELU", "PRELU", "CONCATENATION"}


def in_bytes(
    floats: Writer,
    given: Sequence[int],
    results: Sequence[int],
    ranges: Mapping[int, ByteRange],
    scales: Mapping[int, np.ndarray],
) -> bytes:
    """The file of what ``floats`` computes, its inputs and results in floats.

    ``ranges`` are those of tensors that were quantized, ``scales`` of weights, both by number.
    """
    steps, known = _spread(floats, results, ranges)
    return _Bytes(floats, known, scales).file(steps, given, results)


def _spread(
    floats: Writer, results: Sequence[int], ranges: Mapping[int, ByteRange]
) -> tuple[list[Step], dict[int, ByteRange]]:
    """The steps without those whose range says the same, and the ranges of what only moves."""
    known, left = dict(ranges), list(floats.steps)
    for step in reversed(floats.steps):
        x, (y,) = step.inputs[0], step.results
        makers = [each for each in left if x in each.results]
        shared = x in results or sum(x in each.inputs for each in left) > 1
        if step.name not in _KEEP or y not in known or x in known or shared:
            continue
        if not makers:
            continue
        if step.name in _BOUNDS and _is_implied(floats, step, known[y]):
            # Bytes saturate there: whoever computes x stores y.
            left[left.index(makers[0])] = _replaced(makers[0], y)
            left.remove(step)
        else:
            known[x] = known[y]
    for step in left:
        x, (y,) = step.inputs[0], step.results
        if step.name in _MOVES and x in known:
            known.setdefault(y, known[x])
    return left, known


def _replaced(step: Step, result: int) -> Step:
    return Step(step.name, step.inputs, [result], step.options, step.custom)


def _is_implied(floats: Writer, step: Step, own: ByteRange) -> bool:
    """Whether no value of the range is beyond the bound, by more than it is rounded by."""
    (low, high), half = own.bounds, own.scale / 2
    if step.name == "RELU":
        return low >= -half
    bound = floats.value(step.inputs[1])
    if bound is None:
        return False
    return bool(low >= bound.max() - half if step.name == "MAXIMUM" else high <= bound.min() + half)


class _Bytes:
    """``made`` are the tensors of a new file by those of the one of floats and by their range."""

    def __init__(
        self, floats: Writer, ranges: Mapping[int, ByteRange], scales: Mapping[int, np.ndarray]
    ) -> None:
        self.floats, self.ranges, self.scales = floats, ranges, scales
        self.writer = Writer()
        self.made: dict[tuple[int, ByteRange | None], int] = {}

    def file(self, steps: Sequence[Step], given: Sequence[int], results: Sequence[int]) -> bytes:
        inputs = [self.writer.tensor(self.floats.shape(number)) for number in given]
        for number, tensor in zip(given, inputs, strict=True):
            self._is_made(number, tensor, None)
        for step in steps:
            self._write(step)
        return self.writer.finish(inputs, [self._as(number, None) for number in results])

    def _write(self, step: Step) -> None:
        (y,) = step.results
        own, name = self.ranges.get(y), step.name
        values = [
            number
            for number in step.inputs
            if (value := self.floats.value(number)) is None or value.dtype == np.float32
        ]
        computed = [number for number in values if self.floats.value(number) is None]
        of_bytes = own is not None and all(number in self.ranges for number in computed)
        if name in _CONVOLUTIONS:
            x, weights, axis = _CONVOLUTIONS[name]
            if of_bytes and step.inputs[weights] in self.scales:
                self._convolve(step, step.inputs[x], step.inputs[weights], axis)
                return
        elif of_bytes and name in _KEEP | _OTHERS | _FIXED.keys():
            result = self.ranges[computed[0]] if name in _KEEP else _FIXED.get(name, own)
            alike = name in _KEEP or name == "CONCATENATION"
            takes = {number: result if alike else self._range(number) for number in values}
            inputs = [self._as(number, takes.get(number)) for number in step.inputs]
            self._append(step, inputs, result)
            return
        self._append(step, [self._as(number, None) for number in step.inputs], None)

    def _convolve(self, step: Step, x: int, weights: int, axis: int) -> None:
        scales, bias = self.scales[weights], step.inputs[-1]
        along = [-1 if i == axis else 1 for i in range(4)]
        made = {
            x: self._as(x, self.ranges[x]),
            weights: self._integers(weights, scales.reshape(along), axis, np.int8),
            bias: self._integers(bias, scales * np.float64(self.ranges[x].scale), 0, np.int32),
        }
        inputs = [made[i] if i in made else self._as(i, None) for i in step.inputs]
        self._append(step, inputs, self.ranges[step.results[0]])

    def _integers(self, number: int, scales: np.ndarray, axis: int, dtype: type) -> int:
        """A constant as integers times ``scales``."""
        value, limits = self.floats.value(number), np.iinfo(dtype)
        assert value is not None
        integers = np.clip(np.rint(value / scales), limits.min, limits.max).astype(dtype)
        return self.writer.scaled(self.writer.constant(integers), scales.ravel(), axis=axis)

    def _append(self, step: Step, inputs: list[int], one: ByteRange | None) -> None:
        """Write the step with a result of the range ``one``."""
        (y,) = step.results
        tensor = self._tensor(y, one)
        self.writer.append(step.name, inputs, [tensor], step.options, step.custom)
        self._is_made(y, tensor, one)

    def _is_made(self, number: int, tensor: int, one: ByteRange | None) -> None:
        """Known from here on: the tensor in its own range, whatever it was computed in."""
        own = self.ranges.get(number)
        self.made[number, own] = tensor if own == one else self._converted(number, tensor, own)

    def _as(self, number: int, one: ByteRange | None) -> int:
        """A tensor of the graph of floats in bytes of the range ``one``, or in floats."""
        if (number, one) not in self.made:
            value = self.floats.value(number)
            if value is None:
                source = self.made[number, self.ranges.get(number)]
                self.made[number, one] = self._converted(number, source, one)
            elif one is None:
                self.made[number, one] = self.writer.constant(value)
            else:
                integers = np.clip(np.rint(value / one.scale) + one.zero, -128, 127)
                constant = self.writer.constant(integers.astype(np.int8))
                self.made[number, one] = self.writer.scaled(constant, one.scale, one.zero)
        return self.made[number, one]

    def _range(self, number: int) -> ByteRange:
        """That of a tensor of bytes, or what a constant takes."""
        value = self.floats.value(number)
        if value is None:
            return self.ranges[number]
        return ByteRange(float(np.abs(value).max(initial=0)) / 127 or 1.0, 0)

    def _converted(self, number: int, source: int, one: ByteRange | None) -> int:
        result = self._tensor(number, one)
        self.writer.append("DEQUANTIZE" if one is None else "QUANTIZE", [source], [result])
        return result

    def _tensor(self, number: int, one: ByteRange | None) -> int:
        shape = self.floats.shape(number)
        if one is None:
            return self.writer.tensor(shape)
        return self.writer.scaled(self.writer.tensor(shape, np.int8), one.scale, one.zero)
