"""TFLite networks against LiteRT's own kernels, without XNNPACK."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tvm_deconv.errors import TvmDeconvError

from .. import outcome as kinds
from ..choices import Choices
from ..onnx_case import compared, compiled
from ..outcome import Outcome, Progress, escaped, refusal
from ..reference import Expected
from ..values import filled

_ACTIVATIONS = (0, 1, 2, 3)
# Relative to the largest element; a network is a chain of a few layers.
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Step:
    """An operator. ``operands`` are numbers of earlier values (0: the input), or constants."""

    operator: str
    operands: tuple[Any, ...]
    kind: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TfliteCase:
    """A chain of steps from one input; ``free`` are axes of it without a size in the file."""

    shape: tuple[int, ...]
    free: tuple[int, ...]
    steps: list[Step]

    def text(self) -> str:
        lines = [f"input {list(self.shape)}, free {list(self.free)}"]
        for number, step in enumerate(self.steps, 1):
            operands = [o if isinstance(o, int) else _short(o) for o in step.operands]
            lines.append(f"{number} = {step.operator} {operands} {step.fields}")
        return "\n".join(lines)

    def run(self, progress: Progress) -> Outcome:
        """Write the file, run it by LiteRT, compile, run and compare."""
        if find_spec("ai_edge_litert") is None or find_spec("tflite") is None:
            return Outcome(kinds.INVALID, "LiteRT is not installed")
        from tflite_reference import litert

        progress("reference")
        content, x = self._file(), filled(list(self.shape), "float32", 0)
        try:
            expected = litert(content, [x])[0]
        except (RuntimeError, ValueError) as error:
            expected = Outcome(kinds.INVALID, f"LiteRT: {type(error).__name__}")
        progress("compile")
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / "net.tflite"
            path.write_bytes(content)
            try:
                executable = compiled(path, False)
            except TvmDeconvError as error:
                return refusal(error)
            except Exception as error:  # whatever it is, it is what is looked for
                return escaped(error)
        if isinstance(expected, Outcome):
            return expected
        progress("run")
        limit = _ROUNDING * max(1.0, float(np.abs(expected).max(initial=0)))
        return compared(executable, [x], Expected([expected], [limit]))

    def _file(self) -> bytes:
        from ai_edge_litert import schema_py_generated as schema

        from tvm_deconv.bench.peers.tflite_file import Writer

        writer = Writer()
        sizes = [-1 if axis in self.free else size for axis, size in enumerate(self.shape)]
        values = [writer.tensor(tuple(sizes))]
        for step in self.steps:
            operands = [
                values[o] if isinstance(o, int) else writer.constant(o) for o in step.operands
            ]
            options = getattr(schema, f"{step.kind}OptionsT")() if step.kind else None
            for name, value in step.fields.items():
                setattr(options, name, value)
            values.append(writer.operator(step.operator, operands, (1, 1, 1, 1), options))
        return writer.finish(values[:1], values[-1:])


def _short(array: np.ndarray) -> str:
    return str(array.tolist()) if array.size < 9 else f"constant {list(array.shape)}"


class _Net:
    """A network as it grows; ``shape`` is that of the last value, NHWC."""

    def __init__(self, draw: Choices, shape: tuple[int, ...]) -> None:
        self.draw, self.shape, self.steps = draw, shape, []
        self.shapes = [shape]

    @property
    def last(self) -> int:
        return len(self.steps)

    def add(self, shape: tuple[int, ...], operator: str, *operands: Any, **options: Any) -> None:
        kind = options.pop("kind", "")
        self.steps.append(Step(operator, operands, kind, options))
        self.shape = shape
        self.shapes.append(shape)

    def weights(self, *shape: int) -> np.ndarray:
        return filled(list(shape), "float32", len(self.steps) + 1) / np.float32(shape[-1] ** 0.5)

    def window(self) -> dict[str, int]:
        return {"padding": self.draw.below(2), **self.strides()}

    def strides(self) -> dict[str, int]:
        high = self.draw.pick((1, 2, 3), [4, 2, 1])
        return {"strideH": high, "strideW": self.draw.pick((high, 1, 2, 3), [5, 1, 1, 1])}

    def kernel(self) -> tuple[int, int]:
        high = self.draw.pick((3, 1, 2, 4, 5), [5, 1, 1, 1, 1])
        return high, self.draw.pick((high, 3, 2), [5, 1, 1])


def _reached(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    if padding == 0:
        return -(-size // stride)
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _conv(net: _Net) -> None:
    (n, h, w, c), (kh, kw), how = net.shape, net.kernel(), net.window()
    dilation = net.draw.pick((1, 2), [4, 1])
    channels = net.draw.pick((4, 8, 12, 16, 9))
    how |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
    how["fusedActivationFunction"] = net.draw.pick(_ACTIVATIONS)
    size = [
        _reached(s, k, how[f"stride{axis}"], how["padding"], dilation)
        for s, k, axis in ((h, kh, "H"), (w, kw, "W"))
    ]
    x = net.last
    if net.draw.chance(0.2):
        operands = (net.weights(1, kh, kw, c), net.weights(c))
        net.add((n, *size, c), "DEPTHWISE_CONV_2D", x, *operands, kind="DepthwiseConv2D",
                depthMultiplier=1, **how)  # fmt: skip
        return
    operands = (net.weights(channels, kh, kw, c), net.weights(channels))
    net.add((n, *size, channels), "CONV_2D", x, *operands, kind="Conv2D", **how)


def _transpose_conv(net: _Net) -> None:
    (n, h, w, c), (kh, kw), how = net.shape, net.kernel(), net.window()
    channels = net.draw.pick((4, 3, 8))
    size = []
    for s, k, stride in ((h, kh, how["strideH"]), (w, kw, how["strideW"])):
        full = s * stride if how["padding"] == 0 else (s - 1) * stride + k
        fewer = net.draw.below(stride)
        size.append(full - fewer if how["padding"] == 0 else full + fewer)
    how["fusedActivationFunction"] = net.draw.pick(_ACTIVATIONS)
    wanted = np.array([n, *size, channels], np.int32)
    operands = (net.weights(channels, kh, kw, c), net.last, net.weights(channels))
    net.add((n, *size, channels), "TRANSPOSE_CONV", wanted, *operands, kind="TransposeConv", **how)


def _depth_to_space(net: _Net) -> None:
    n, h, w, c = net.shape
    block = net.draw.pick([b for b in (2, 3) if c % b**2 == 0] or [1])
    shape = (n, h * block, w * block, c // block**2)
    net.add(shape, "DEPTH_TO_SPACE", net.last, kind="DepthToSpace", blockSize=block)


def _resize(net: _Net) -> None:
    n, h, w, c = net.shape
    by = net.draw.pick((2, 3, 1), [4, 1, 1])
    size = (h * by, w * by) if net.draw.chance(0.6) else (net.draw.integer(1, 20), w + 3)
    kind = net.draw.pick(("NearestNeighbor", "Bilinear"), [3, 1])
    places = net.draw.pick(({}, {"alignCorners": True}, {"halfPixelCenters": True}))
    operator = "RESIZE_NEAREST_NEIGHBOR" if kind == "NearestNeighbor" else "RESIZE_BILINEAR"
    wanted = np.array(size, np.int32)
    net.add((n, *size, c), operator, net.last, wanted, kind=f"Resize{kind}", **places)


def _pad(net: _Net) -> None:
    n, h, w, c = net.shape
    (a, b), (d, e) = ([net.draw.below(3) for _ in "be"] for _ in "hw")
    widths = np.array([[0, 0], [a, b], [d, e], [0, 0]], np.int32)
    shape = (n, h + a + b, w + d + e, c)
    if min(h, w) > 3 and net.draw.chance(0.5):
        net.add(shape, "MIRROR_PAD", net.last, widths, kind="MirrorPad", mode=net.draw.below(2))
    else:
        net.add(shape, "PAD", net.last, widths, kind="Pad")


def _pointwise(net: _Net) -> None:
    operator = net.draw.pick(("RELU", "LOGISTIC", "TANH", "RELU6", "HARD_SWISH", "PRELU", "MUL"))
    if operator == "PRELU":
        net.add(net.shape, operator, net.last, net.weights(1, 1, net.shape[3]))
    elif operator == "MUL":
        net.add(net.shape, operator, net.last, net.weights(net.shape[3]), kind="Mul")
    else:
        net.add(net.shape, operator, net.last)


def _residual(net: _Net) -> None:
    """With an earlier value of the same shape, the input too."""
    same = [i for i, shape in enumerate(net.shapes) if shape == net.shape]
    other = net.draw.pick(same)
    if net.draw.chance(0.5):
        net.add(net.shape, "ADD", net.last, other, kind="Add",
                fusedActivationFunction=net.draw.pick(_ACTIVATIONS))  # fmt: skip
    else:
        *outer, c = net.shape
        net.add((*outer, 2 * c), "CONCATENATION", other, net.last, kind="Concatenation", axis=-1)


def _pool(net: _Net) -> None:
    (n, h, w, c), (kh, kw), how = net.shape, net.kernel(), net.window()
    size = (_reached(h, kh, how["strideH"], how["padding"]),
            _reached(w, kw, how["strideW"], how["padding"]))  # fmt: skip
    operator = net.draw.pick(("MAX_POOL_2D", "AVERAGE_POOL_2D"))
    net.add(
        (n, *size, c), operator, net.last, kind="Pool2D", filterHeight=kh, filterWidth=kw, **how
    )


def _transposed(net: _Net) -> None:
    order = net.draw.pick(((0, 3, 1, 2), (0, 2, 3, 1), (0, 2, 1, 3)))
    shape = tuple(net.shape[axis] for axis in order)
    net.add(shape, "TRANSPOSE", net.last, np.array(order, np.int32), kind="Transpose")


def _mean(net: _Net) -> None:
    n, _, _, c = net.shape
    mean = np.array([1, 2], np.int32)
    net.add((n, 1, 1, c), "MEAN", net.last, mean, kind="Reducer", keepDims=True)


_STEPS: tuple[tuple[Callable[[_Net], None], float], ...] = (
    (_conv, 6),
    (_depth_to_space, 3),
    (_resize, 4),
    (_transpose_conv, 4),
    (_pointwise, 4),
    (_residual, 3),
    (_pad, 2),
    (_pool, 1),
    (_transposed, 1),
    (_mean, 0.3),
)


def tflite_network(draw: Choices) -> TfliteCase:
    """A network of up to seven operators on one image."""
    sizes = (6, 9, 5, 8, 13, 1)
    shape = (draw.pick((1, 2), [4, 1]), draw.pick(sizes), draw.pick(sizes), draw.pick((4, 3, 8, 1)))
    net = _Net(draw, shape)
    kinds_of_steps, shares = [step for step, _ in _STEPS], [share for _, share in _STEPS]
    for _ in draw.many(1, 7, 0.75):
        if min(net.shape) > 0 and np.prod(net.shape) < 1 << 16:
            draw.pick(kinds_of_steps, shares)(net)
    free = (0,) if draw.chance(0.2) else ()
    return TfliteCase(shape, free, net.steps)
