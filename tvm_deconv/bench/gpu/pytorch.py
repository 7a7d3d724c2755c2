"""PyTorch's ways to compute a layer: cuDNN's own paths, in both layouts, and the rewritten form.

TF32 is off, so that float32 means float32 for everybody, and cuDNN tries its algorithms
(``cudnn.benchmark``) when a form is called first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tvm_deconv.algebra.weights import phase_channels
from tvm_deconv.workloads.spec import LEAKY_SLOPE

from .device import BenchDevice, Call
from .layer import Tensors

LAYOUTS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}

# cuDNN chooses at the first call, the caching allocator settles at the second.
_WARM_UP = 3


def configure() -> str:
    """No TF32, cuDNN's search on; the versions for the result."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return f"{torch.__version__}, cuDNN {cudnn}"


class Peer:
    """One form in one layout. Its passes are recorded by PyTorch itself, on the device's stream."""

    def __init__(
        self, form: Callable[[Tensor], Tensor], inputs: Sequence[Tensor], device: BenchDevice
    ) -> None:
        self._form, self._inputs, self._device = form, inputs, device
        self._outputs: list[Tensor] = []

    def warm_up(self) -> None:
        with _on_stream(self._device), torch.inference_mode():
            for number in range(_WARM_UP):
                self._form(self._inputs[number % len(self._inputs)])
        self._device.synchronize()

    def record(self, count: int) -> Call:
        """A pass of ``count`` calls, each on the next input; all outputs are kept."""

        def run() -> None:
            chosen = (self._inputs[number % len(self._inputs)] for number in range(count))
            self._outputs = [self._form(x) for x in chosen]

        if not self._device.stream:
            return torch.inference_mode()(run)
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.ExternalStream(self._device.stream)
        with torch.inference_mode(), torch.cuda.graph(graph, stream=stream):
            run()

        def replay() -> None:
            with torch.cuda.stream(stream):
                graph.replay()

        return replay

    def poison(self) -> None:
        """NaN in every output of the recorded pass."""
        with _on_stream(self._device), torch.inference_mode():
            for output in self._outputs:
                output.fill_(float("nan"))
        self._device.synchronize()

    def result(self, number: int) -> np.ndarray:
        self._device.synchronize()
        return self._outputs[number].contiguous().cpu().numpy()


def peers(
    tensors: Tensors, device: BenchDevice, count: int, compiled: bool
) -> Iterator[tuple[str, Callable[[], Peer]]]:
    """All forms of a layer, with ``count`` inputs each: their names, and what makes them."""
    where = torch.device("cuda", 0) if device.stream else torch.device("cpu")
    for layout, memory_format in LAYOUTS.items():
        x = torch.from_numpy(tensors.x).to(where).contiguous(memory_format=memory_format)
        inputs = [x.clone(memory_format=torch.preserve_format) for _ in range(count)]
        device.synchronize()
        trained = as_trained(tensors, where, memory_format)
        yield f"torch {layout}", partial(Peer, trained, inputs, device)
        if compiled:
            torch.compiler.reset()
            yield f"torch.compile {layout}", partial(Peer, torch.compile(trained), inputs, device)
        if tensors.layer.kind in ("subpixel", "nearest"):
            form = as_deconvolution(tensors, where, memory_format)
            yield f"torch deconv {layout}", partial(Peer, form, inputs, device)


def as_trained(
    tensors: Tensors, where: torch.device, memory_format: torch.memory_format
) -> Callable[[Tensor], Tensor]:
    """What a user of PyTorch writes: convolution and shuffle, resize and convolution, or deconv."""
    layer = tensors.layer
    arrays: list[np.ndarray | None] = [tensors.weights, tensors.bias]
    if layer.kind == "subpixel":
        # PyTorch shuffles in the order CRD; other weights have their channels in another order.
        order = phase_channels(layer.conv_channels, layer.factor, layer.order).reshape(-1)
        arrays = [None if array is None else array[order] for array in arrays]
    weights, bias = (_tensor(array, where) for array in arrays)
    assert weights is not None
    weights = weights.contiguous(memory_format=memory_format)
    activate = activation(tensors, where)
    r, groups = layer.factor, layer.groups

    def subpixel(x: Tensor) -> Tensor:
        y = F.conv2d(x, weights, bias, padding=layer.padding, groups=groups)
        if layer.activation_first:
            return F.pixel_shuffle(activate(y), r)
        return activate(F.pixel_shuffle(y, r))

    def nearest(x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=r, mode="nearest")
        return activate(F.conv2d(x, weights, bias, padding=layer.padding, groups=groups))

    def deconv(x: Tensor) -> Tensor:
        y = F.conv_transpose2d(
            x,
            weights,
            bias,
            stride=r,
            padding=layer.padding,
            output_padding=layer.output_padding,
            groups=groups,
        )
        return activate(y)

    def conv(x: Tensor) -> Tensor:
        return activate(F.conv2d(x, weights, bias, padding=layer.padding, groups=groups))

    return {"subpixel": subpixel, "nearest": nearest, "deconv": deconv, "conv": conv}[layer.kind]


def as_deconvolution(
    tensors: Tensors, where: torch.device, memory_format: torch.memory_format
) -> Callable[[Tensor], Tensor]:
    """Our rewrite's transposed convolution, computed by cuDNN."""
    layer, conv = tensors.layer, tensors.layer.geometry()
    (top, left, bottom, right), (extra_h, extra_w) = conv.padding, conv.output_padding
    weights = _tensor(tensors.deconv_weights.astype(tensors.x.dtype), where)
    assert weights is not None
    weights = weights.contiguous(memory_format=memory_format)
    phases = _tensor(tensors.phase_bias, where)
    assert phases is not None
    r, (_, channels, height, width) = layer.factor, layer.output_shape
    varies = layer.kind == "subpixel" and layer.bias
    bias = phases[:, 0, 0].contiguous() if layer.bias and not varies else None
    activate = activation(tensors, where)

    def form(x: Tensor) -> Tensor:
        y = F.conv_transpose2d(
            x,
            weights,
            bias,
            stride=r,
            padding=(top, left),
            output_padding=(top - bottom + extra_h, left - right + extra_w),
            groups=layer.groups,
        )
        if varies:
            y = y.reshape(1, channels, height // r, r, width // r, r)
            y = (y + phases[None, :, None, :, None, :]).reshape(layer.output_shape)
        return activate(y)

    return form


def activation(tensors: Tensors, where: torch.device) -> Callable[[Tensor], Tensor]:
    """The layer's activation."""
    slopes = _tensor(tensors.slopes, where)

    def prelu(y: Tensor) -> Tensor:
        assert slopes is not None
        return F.prelu(y, slopes)

    known: dict[str | None, Callable[[Tensor], Tensor]] = {
        None: lambda y: y,
        "relu": F.relu,
        "leaky_relu": lambda y: F.leaky_relu(y, LEAKY_SLOPE),
        "elu": F.elu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "prelu": prelu,
    }
    return known[tensors.layer.activation]


def _tensor(array: np.ndarray | None, where: torch.device) -> Any:
    return None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(where)


@contextmanager
def _on_stream(device: BenchDevice) -> Iterator[None]:
    if not device.stream:
        yield
        return
    with torch.cuda.stream(torch.cuda.ExternalStream(device.stream)):
        yield
