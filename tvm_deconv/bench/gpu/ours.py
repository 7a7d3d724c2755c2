"""Our kernels on the device: loaded from a pack, their weights packed as it says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tvm

from tvm_deconv.algebra.packing import of_json

from .device import NAN_BYTE, BenchDevice, Call
from .eight_bits import EightBits
from .layer import Tensors

# Buffers of a pass are this many times the last cache, so that each call finds its input in memory
# and not in the cache, where the call before left its own.
_CACHES = 3
_MOST_SETS = 256


class Buffers:
    """Inputs, all the same values, and outputs: a call of a pass uses the next pair each time."""

    def __init__(self, tensors: Tensors | EightBits, device: BenchDevice) -> None:
        layer, dtype = tensors.layer, tensors.x.dtype
        self.tensors, self.device = tensors, device
        self.output_bytes = int(np.prod(layer.output_shape)) * dtype.itemsize
        pair = tensors.x.nbytes + self.output_bytes
        self.count = max(2, min(_MOST_SETS, -(-_CACHES * device.cache_bytes // pair)))
        self.inputs = [self.upload(tensors.x) for _ in range(self.count)]
        self.outputs = [
            tvm.runtime.empty(layer.output_shape, str(dtype), device.tvm_device)
            for _ in range(self.count)
        ]
        self.epilogue = [self.upload(array) for array in tensors.epilogue_inputs]

    def upload(self, array: np.ndarray) -> Any:
        """A tensor on the device."""
        return tvm.runtime.tensor(np.ascontiguousarray(array), device=self.device.tvm_device)

    def poison(self) -> None:
        """NaN in every output."""
        for output in self.outputs:
            self.device.fill(output.data_ptr(), NAN_BYTE, self.output_bytes)
        self.device.synchronize()


class PackedKernel:
    """One kernel of a pack; ``record`` is its entry in the manifest."""

    def __init__(self, record: Mapping[str, Any], folder: Path, buffers: Buffers) -> None:
        self._buffers = buffers
        # Kept, because the function is of it.
        self._module = tvm.runtime.load_module(str(folder / record["library"]))
        self._main = self._module["main"]
        self._operands = [buffers.upload(array) for array in _operands(record, folder, buffers)]

    def warm_up(self) -> None:
        self._call(0)()
        self._buffers.device.synchronize()

    def record(self, count: int) -> Call:
        """A pass of ``count`` calls, each on the next buffers."""
        calls = [self._call(number % self._buffers.count) for number in range(count)]
        return self._buffers.device.record(calls)

    def poison(self) -> None:
        self._buffers.poison()

    def _call(self, number: int) -> Call:
        buffers, main = self._buffers, self._main
        arguments = (
            buffers.inputs[number],
            *self._operands,
            *buffers.epilogue,
            buffers.outputs[number],
        )
        return lambda: main(*arguments)

    def result(self, number: int) -> np.ndarray:
        """What call ``number`` wrote."""
        self._buffers.device.synchronize()
        return self._buffers.outputs[number % self._buffers.count].numpy()


def _operands(record: Mapping[str, Any], folder: Path, buffers: Buffers) -> list[np.ndarray]:
    """What a kernel takes beside input and epilogue: packed weights; of bytes, what was kept."""
    if "arrays" in record:
        with np.load(folder / record["arrays"]) as found:
            return [found[f"arr_{i}"] for i in range(len(found.files))]
    packed = of_json(record["packing"]).pack(buffers.tensors.deconv_weights)
    return [packed.astype(record["weight_dtype"])]


class PeakKernel:
    """The kernel that measures the multiply-add peak, with as many blocks as fill the device."""

    def __init__(self, record: Mapping[str, Any], folder: Path, device: BenchDevice) -> None:
        self._device = device
        first, *others = record["out"]
        blocks = device.blocks(others[0])
        # Floating-point operations of a call.
        self.facts = {"flop": blocks * int(record["flop"])}
        self._module = tvm.runtime.load_module(str(folder / record["library"]))
        self._main = self._module["main"]
        factors = np.full(record["factors"], 0.5, "float32")
        self._factors = tvm.runtime.tensor(factors, device=device.tvm_device)
        self._out = tvm.runtime.empty((blocks * first, *others), "float32", device.tvm_device)

    def warm_up(self) -> None:
        self._main(self._factors, self._out)
        self._device.synchronize()

    def record(self, count: int) -> Call:
        return self._device.record([lambda: self._main(self._factors, self._out)] * count)


class MemoryCopy:
    """Copying ``size`` bytes within the device's memory."""

    def __init__(self, device: BenchDevice, size: int) -> None:
        self._size, self._device = size, device
        # Read and written by a call.
        self.facts = {"bytes": 2 * size}
        self._tensors = [
            tvm.runtime.empty((size // 4,), "float32", device.tvm_device) for _ in range(2)
        ]
        for tensor in self._tensors:
            device.fill(tensor.data_ptr(), 1, size)
        device.synchronize()

    def warm_up(self) -> None:
        self._copy()
        self._device.synchronize()

    def record(self, count: int) -> Call:
        return self._device.record([self._copy] * count)

    def _copy(self) -> None:
        source, to = (tensor.data_ptr() for tensor in self._tensors)
        self._device.copy(to, source, self._size)
