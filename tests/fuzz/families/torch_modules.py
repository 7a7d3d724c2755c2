"""PyTorch modules through ``torch.export`` against the module itself in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from tvm_deconv.errors import TvmDeconvError

from .. import outcome as kinds
from .. import torch_steps as steps
from ..choices import Choices
from ..onnx_case import compared, compiled
from ..options import Options, draw_options
from ..outcome import Outcome, Progress, escaped, refusal
from ..torch_net import Net
from ..torch_reference import arrays_of, expected_of, in_float64
from ..values import filled

_STEPS: tuple[tuple[Callable[[Net, int], int], float], ...] = (
    (steps.conv, 5),
    (steps.shuffled_conv, 5),
    (steps.enlarged_conv, 5),
    (steps.conv_transpose, 4),
    (steps.interpolate, 5),
    (steps.activation, 5),
    (steps.constant, 4),
    (steps.norm, 3),
    (steps.joined, 3),
    (steps.pad, 2),
    (steps.pixel_shuffle, 3),
    (steps.pixel_unshuffle, 1),
    (steps.repeated, 1),
    (steps.pool, 2),
    (steps.moved, 2),
    (steps.reduced, 1),
    (steps.product, 1),
    (steps.grid_sample, 0.7),
)


@dataclass(frozen=True)
class TorchCase:
    """``dynamic`` are the axes of each input whose sizes are free; ``feeds`` are inputs."""

    net: Net
    feeds: Sequence[Sequence[np.ndarray]]
    dynamic: dict[int, str] = field(default_factory=dict)
    decomposed: bool = False
    options: Options = field(default_factory=Options)

    def text(self) -> str:
        shapes = [[list(array.shape) for array in feed] for feed in self.feeds]
        words = f"free axes {self.dynamic}, decomposed {self.decomposed}, inputs {shapes}"
        return "\n".join([self.net.text(), words, str(self.options)])

    def run(self, progress: Progress) -> Outcome:
        """Export, compile, run and compare with eager PyTorch."""
        progress("reference")
        try:
            program = self._exported()
        except Exception as error:  # torch.export has classes of its own for everything
            return Outcome(kinds.INVALID, f"torch.export: {type(error).__name__}")
        progress("compile")
        arguments = dict(self.options.arguments)
        try:
            executable = compiled(program, self.options.library, **arguments)
        except TvmDeconvError as error:
            return refusal(error)
        except Exception as error:  # whatever it is, it is what is looked for
            return escaped(error)
        for feed in () if self.options.elsewhere else self.feeds:
            progress("run")
            outcome = self._compare(program, executable, feed)
            if outcome.kind != kinds.OK:
                return outcome
        return Outcome(kinds.OK)

    def _exported(self) -> torch.export.ExportedProgram:
        inputs = tuple(torch.from_numpy(array) for array in self.feeds[0])
        free = dict.fromkeys(self.dynamic, torch.export.Dim.AUTO) if self.dynamic else None
        dynamic = (tuple(free for _ in inputs),) if free else None
        with torch.no_grad():
            program = torch.export.export(self.net, inputs, dynamic_shapes=dynamic, strict=False)
            return program.run_decompositions() if self.decomposed else program

    def _compare(self, program: Any, executable: Any, feed: Sequence[np.ndarray]) -> Outcome:
        inputs = [torch.from_numpy(array) for array in feed]
        try:
            # The program checks what its export has assumed of the sizes.
            near = arrays_of(program.module()(*inputs))
            wanted = arrays_of(in_float64(self.net, inputs))
        except Exception:  # of every class: eager PyTorch has no result, so neither need we
            return Outcome(kinds.OK)
        return compared(executable, feed, expected_of(near, wanted, self.net.dtype))


def torch_module(draw: Choices) -> TorchCase:
    """A module of up to six steps of any kind."""
    return _module(draw, draw.pick((4, 3, 5), [12, 1.5, 1]), (8, 6, 5, 7, 12, 1, 16, 3))


def torch_volume(draw: Choices) -> TorchCase:
    """The same of volumes, which are small."""
    return _module(draw, 5, (6, 4, 5, 3, 7, 1, 8, 2))


def _module(draw: Choices, rank: int, sizes: Sequence[int]) -> TorchCase:
    """``rank`` axes; ``sizes`` are those of space, of which the first are drawn more often."""
    net = Net(draw, draw.pick(("float32", "float16"), [6, 1]))
    shape = [draw.pick((1, 2), [4, 1]), draw.pick((4, 3, 16, 1, 8, 12, 32, 9))]
    shape += [draw.pick(sizes, [6, 4, 3, 3, 1, 0.7, 1, 1]) for _ in range(rank - 2)]
    x = net.input(shape)
    kinds_of_steps, shares = [step for step, _ in _STEPS], [share for _, share in _STEPS]
    for _ in draw.many(1, 6, 0.65):
        x = net.attempt(draw.pick(kinds_of_steps, shares), x)
    if not net.steps:
        x = net.add("nn.ReLU()", torch.relu, x)
    net.results = [x]
    if draw.chance(0.15):
        net.results += draw.some(range(net.inputs, len(net.values) - 1), 0.4)
    dynamic: dict[int, str] = {}
    feeds = [[value.numpy() for value in net.values[: net.inputs]]]
    if draw.chance(0.3):
        axes = draw.pick(([2, 3], [0], [0, 2, 3], [3]))
        dynamic = {axis: "nchwd"[axis] for axis in axes if axis < rank}
        feeds += [_other(draw, net, dynamic, seed) for seed in (1, 2)]
    net.eval()
    return TorchCase(net, feeds, dynamic, draw.chance(0.4), draw_options(draw))


def _other(draw: Choices, net: Net, dynamic: dict[int, str], seed: int) -> list[np.ndarray]:
    """Inputs of other sizes along the free axes."""
    grown = {axis: draw.pick((1, 0, -1, 5, 8)) for axis in dynamic}
    return [
        filled(
            [max(2, n + grown.get(axis, 0)) for axis, n in enumerate(net.shape(number))],
            net.dtype,
            seed,
        )
        for number in range(net.inputs)
    ]
