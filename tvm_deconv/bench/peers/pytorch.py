"""PyTorch in inference mode, in whichever of the forms that its users know is the fastest."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
import torch._dynamo
import torch._inductor.config
from torch import Tensor, nn

from .onnx_graph import read_graph
from .torch_graph import OnnxModule

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Loaded, Outputs

Result: TypeAlias = Tensor | tuple[Tensor, ...]
Call = Callable[[], Result]

# Of the largest value: how far results of a form may be from those of the module itself.
_TOLERANCE = 1e-4


def load(model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
    """Raises RuntimeError when PyTorch does not use the threads asked for."""
    torch.set_num_threads(threads)
    if torch.get_num_threads() != threads:
        raise RuntimeError(f"PyTorch uses {torch.get_num_threads()} threads, not {threads}")
    torch.set_float32_matmul_precision("highest")
    given = [torch.from_numpy(x) for x in inputs.values()]
    forms, notes = _forms(OnnxModule(read_graph(model)).eval(), given)
    best = _best_ms(forms)
    name = min(best, key=lambda name: best[name])
    notes.append(f"{name} of " + ", ".join(f"{form} {ms:.2f} ms" for form, ms in best.items()))
    return forms[name], _arrays, torch.__version__.split("+")[0], notes


def _arrays(result: Result) -> list[np.ndarray]:
    tensors = [result] if isinstance(result, Tensor) else result
    return [tensor.numpy() for tensor in tensors]


def _forms(module: nn.Module, xs: Sequence[Tensor]) -> tuple[dict[str, Call], list[str]]:
    """Calls by name, and why one is missing. NHWC is a memory format: the shapes stay the same.

    What is compiled with its weights frozen is held against the module: PyTorch 2.13 computes
    something else for RRDBNet of two blocks or more (docs/upstream.md), and right without.
    """
    layouts = {"NCHW": torch.contiguous_format}
    if any(x.ndim == 4 for x in xs):
        layouts["NHWC"] = torch.channels_last
    forms: dict[str, Call] = {}
    notes = []
    # Each model has a graph of its own; those of the models before are only in the way.
    torch._dynamo.reset()
    for layout, memory_format in layouts.items():
        given = tuple(x.contiguous(memory_format=memory_format) if x.ndim == 4 else x for x in xs)
        eager: Any = copy.deepcopy(module)
        eager.to(memory_format=memory_format)
        forms[f"eager {layout}"] = _call(eager, given)
        with torch.no_grad():
            forms[f"frozen {layout}"] = _call(_frozen(eager, given), given)
            # It changes what it is given.
            optimized = torch.jit.optimize_for_inference(_frozen(eager, given))
            forms[f"optimized {layout}"] = _call(optimized, given)
        for kind, freezing in (("compiled", True), ("unfrozen", False)):
            name = f"{kind} {layout}"
            try:
                call = _compiled(eager, given, freezing)
                error = _distance(call(), forms[f"eager {layout}"]())
            except Exception as failure:
                notes.append(f"torch.compile {layout} failed: {type(failure).__name__}")
                break
            if error <= _TOLERANCE:
                forms[name] = call
                break
            notes.append(f"{name} is wrong by {error:.1e}")
    return forms, notes


def _distance(got: Result, wanted: Result) -> float:
    """The largest difference, of the largest value."""
    pairs = zip(_arrays(got), _arrays(wanted), strict=True)
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in pairs)


def _call(module: Callable[..., Result], xs: Sequence[Tensor]) -> Call:
    return torch.inference_mode()(lambda: module(*xs))


def _frozen(module: nn.Module, xs: Sequence[Tensor]) -> torch.jit.ScriptModule:
    return torch.jit.freeze(torch.jit.trace(module, xs))


def _compiled(module: nn.Module, xs: Sequence[Tensor], freezing: bool) -> Call:
    """With ``freezing`` the weights are constants, kept as the convolutions want them."""
    torch._inductor.config.compile_threads = 1  # no processes that outlive the compilation
    # Dynamo looks at the setting; by the option, code that is frozen is not taken for other.
    torch._inductor.config.freezing = freezing
    compiled = torch.compile(module, options={"freezing": freezing})
    call = torch.no_grad()(lambda: compiled(*xs))
    call()
    return call


def _best_ms(forms: dict[str, Call]) -> dict[str, float]:
    """The shortest time of each form, in milliseconds, after a second of rounds over all."""
    for call in forms.values():
        for _ in range(3):  # TorchScript optimises when it is called the second time
            call()
    best = dict.fromkeys(forms, float("inf"))
    end = time.perf_counter() + 1
    while time.perf_counter() < end:
        for name, call in forms.items():
            call()
            begin = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - begin) * 1e3)
    return best
