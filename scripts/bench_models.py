"""The layers and networks of the benchmark, as ONNX models with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MODELS = Path(__file__).resolve().parent / "models"


@dataclass(frozen=True)
class Benchmark:
    """A model of one input. ``multiply_adds`` are those of the transposed convolution.

    ``noted_ratio`` is the time of ONNX Runtime over ours in the project's design notes (2 threads
    of an AVX-512 server with two multiply-add units), None where they have no figure.
    """

    name: str
    input_shape: tuple[int, int, int, int]
    model: Callable[[], onnx.ModelProto]
    multiply_adds: int | None = None
    noted_ratio: float | None = None


class _Net:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, values: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(values, f"k{len(self.weights)}"))
        return str(self.weights[-1].name)

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def random(self, *shape: int) -> str:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return self.constant((self.rng.standard_normal(shape) * scale).astype("float32"))

    def conv(self, x: str, c_in: int, c_out: int, k: int) -> str:
        return self.add(
            "Conv", x, self.random(c_out, c_in, k, k), self.random(c_out), pads=[k // 2] * 4
        )

    def model(self, shape: tuple[int, ...], output: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "benchmark",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _subpixel(r: int, c_in: int, c_out: int, size: int, noted: float) -> Benchmark:
    shape = (1, c_in, size, size)

    def model() -> onnx.ModelProto:
        net = _Net()
        y = net.add("Relu", net.conv("x", c_in, c_out * r * r, 3))
        return net.model(shape, net.add("DepthToSpace", y, blocksize=r, mode="CRD"))

    work = 9 * c_in * c_out * r * r * size**2
    return Benchmark(f"sub-pixel r{r} K3 {c_in}->{c_out}, {size}", shape, model, work, noted)


def _nearest(c_in: int, c_out: int, size: int, noted: float) -> Benchmark:
    shape = (1, c_in, size, size)

    def model() -> onnx.ModelProto:
        net = _Net()
        up = net.add(
            "Resize",
            "x",
            "",
            net.constant(np.array([1, 1, 2, 2], "float32")),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return net.model(shape, net.add("Relu", net.conv(up, c_in, c_out, 3)))

    # K+r-1 = 4 taps instead of 6 along each axis.
    work = 16 * c_in * c_out * size**2
    return Benchmark(f"nearest r2 K3 {c_in}->{c_out}, {size}", shape, model, work, noted)


def _deconv(
    k: int, s: int, c_in: int, c_out: int, size: tuple[int, int], pad: int, extra: int, noted: float
) -> Benchmark:
    shape = (1, c_in, *size)

    def model() -> onnx.ModelProto:
        net = _Net()
        y = net.add(
            "ConvTranspose",
            "x",
            net.random(c_in, c_out, k, k),
            net.random(c_out),
            strides=[s, s],
            pads=[pad] * 4,
            output_padding=[extra] * 2,
        )
        return net.model(shape, net.add("Relu", y))

    work = k * k * c_in * c_out * size[0] * size[1]
    name = f"deconv K{k} s{s} {c_in}->{c_out}, {size[0]}x{size[1]}"
    return Benchmark(name, shape, model, work, noted)


def espcn(size: int = 224) -> Benchmark:
    """ESPCN x3 of the project's issue list: 1->64->64->32->9 channels, kernels 5, 3, 3, 3."""
    shape = (1, 1, size, size)

    def model() -> onnx.ModelProto:
        net, x = _Net(), "x"
        for c_in, c_out, k in ((1, 64, 5), (64, 64, 3), (64, 32, 3)):
            x = net.add("Relu", net.conv(x, c_in, c_out, k))
        y = net.add("DepthToSpace", net.conv(x, 32, 9, 3), blocksize=3, mode="CRD")
        return net.model(shape, y)

    work = (25 * 64 + 9 * (64 * 64 + 64 * 32 + 32 * 9)) * size**2
    return Benchmark(f"ESPCN x3 64-64-32, {size}", shape, model, work)


def _demo(name: str, height: int = 170, width: int = 170) -> Benchmark:
    shape = (1, 1, height, width)

    def model() -> onnx.ModelProto:
        proto = onnx.load(MODELS / f"{name}.onnx")
        for dim, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
            dim.Clear()
            dim.dim_value = size
        return proto

    return Benchmark(f"demo {name}, {height}x{width}", shape, model)


BENCHMARKS = (
    _subpixel(3, 32, 1, 224, noted=2.7 / 0.96),
    _subpixel(2, 64, 64, 128, noted=20.4 / 15.6),
    _nearest(64, 64, 128, noted=16.8 / 7.6),
    _nearest(256, 256, 64, noted=58.8 / 29.2),
    _nearest(128, 64, 64, noted=7.8 / 3.6),
    _deconv(4, 2, 256, 128, (16, 16), pad=1, extra=0, noted=1.09 / 0.88),
    _deconv(9, 3, 56, 1, (126, 128), pad=4, extra=2, noted=1.3 / 0.59),
    espcn(),
    _demo("espcn_x3"),
    _demo("resize_x3"),
)
