"""What the kernels of a compiled network take, each with the layer that it stores."""

from __future__ import annotations

import time
from typing import Any

import tvm
from tvm import relax, tirx

from .worker import Kernels

_CALLED = "CallTIRRewrite"


@tvm.instrument.pass_instrument
class KernelLayers:
    """Watches one ``relax.build``, as an instrument of the pass context around it.

    ``kernels`` are the calls of kernels in the entry ``main``, in order: the name of the function
    and that of the layer of the model whose result it stores.
    """

    def __init__(self) -> None:
        self.kernels: list[tuple[str, str]] = []

    def run_after_pass(self, mod: tvm.IRModule, info: tvm.instrument.PassInstrument) -> None:
        if info.name == _CALLED:
            self.kernels = _kernels(mod)


def _kernels(mod: tvm.IRModule) -> list[tuple[str, str]]:
    """Of a module in which kernels write to tensors that they are given::

    alloc = alloc_tensor(...); _ = kernel(x, alloc); lv = alloc    # lv has the layer's name
    """
    kernels: list[tuple[str, str]] = []
    stored: list[str] = []
    for binding in (one for block in mod["main"].body.blocks for one in block.bindings):
        value = binding.value
        if isinstance(value, relax.Call):
            is_kernel = isinstance(value.op, tvm.ir.GlobalVar) and isinstance(
                mod[value.op], tirx.PrimFunc
            )
            stored += [value.op.name_hint] if is_kernel else []
        else:
            name = "" if binding.var.span is None else str(binding.var.span.source_name.name)
            kernels += [(kernel, name) for kernel in stored]
            stored = []
    return kernels + [(kernel, "") for kernel in stored]


class KernelTimes:
    """An instrument of the virtual machine: milliseconds of each kernel of each call.

    A call back into Python is part of each time: some microseconds.
    """

    def __init__(self, kernels: list[tuple[str, str]]) -> None:
        self._kernels = kernels
        self._names = {name for name, _ in kernels}
        self._began = 0.0
        self._met: list[tuple[str, float]] = []

    def __call__(self, _func: Any, name: str, is_before: bool, *_rest: Any) -> int:
        now = time.perf_counter()
        if name in self._names:
            if is_before:
                self._began = time.perf_counter()
            else:
                self._met.append((name, (now - self._began) * 1e3))
        return _GO_ON

    def kernels(self, calls: int) -> Kernels:
        """Remarks, and the kernels with their times in each of so many calls of ``main``.

        Where branches decide which kernels run, nobody knows for which layers they did.
        """
        each = len(self._met) // max(calls, 1)
        met = [self._met[number * each : (number + 1) * each] for number in range(calls)]
        names = [name for name, _ in met[0]] if met else []
        if any([name for name, _ in call] != names for call in met):
            return ["calls differ in the kernels that they run: not profiled"], []
        found = [
            {"name": name, "layer": "", "ms": [round(call[place][1], 4) for call in met]}
            for place, name in enumerate(names)
        ]
        if names != [name for name, _ in self._kernels]:
            return ["its branches leave open which layers kernels are for"], found
        for kernel, (_, layer) in zip(found, self._kernels, strict=True):
            kernel["layer"] = layer
        return [], found


# tvm.runtime.vm.VMInstrumentReturnKind.NO_OP
_GO_ON = 0
