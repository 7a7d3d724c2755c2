"""A PyTorch module that grows step by step, each tried eagerly before the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .choices import Choices
from .graph import NodeRefused
from .values import filled, weights

_MOST_ELEMENTS = 200_000
_LARGEST = {"float16": 1e3, "float32": 1e9}


@dataclass(frozen=True)
class Step:
    """``function`` of the values with these numbers; ``text`` is how one would write it."""

    text: str
    operands: tuple[int, ...]
    function: Callable[..., Tensor]


class Net(nn.Module):
    """The steps so far; value 0 is the first input, each step adds one."""

    def __init__(self, draw: Choices, dtype: str) -> None:
        super().__init__()
        self.draw, self.dtype = draw, dtype
        self.steps: list[Step] = []
        self.parts = nn.ModuleList()
        self.constants = nn.ParameterList()
        self.values: list[Tensor] = []
        self.inputs = 0
        self.results: list[int] = []

    def input(self, shape: Sequence[int]) -> int:
        """The number of a further input; all come before the first step."""
        self.values.append(torch.from_numpy(filled(shape, self.dtype, 100 + self.inputs)))
        self.inputs += 1
        return self.inputs - 1

    def shape(self, value: int) -> tuple[int, ...]:
        return tuple(self.values[value].shape)

    def constant(self, *shape: int, terms: int = 1, positive: bool = False) -> Tensor:
        """A parameter of random numbers."""
        values = weights(shape, self.dtype, 7 + len(self.constants), terms)
        tensor = torch.from_numpy(np.asarray(abs(values) if positive else values))
        self.constants.append(nn.Parameter(tensor, requires_grad=False))
        return self.constants[-1]

    def module(self, module: nn.Module) -> nn.Module:
        """A part with numbers of its own, filled so that channels differ; in evaluation mode."""
        seed = 1000 * (1 + len(self.parts))
        for index, (name, parameter) in enumerate(module.state_dict().items()):
            if not parameter.dtype.is_floating_point:
                continue
            shape = tuple(parameter.shape)
            terms = int(torch.tensor(shape[1:]).prod()) if len(shape) > 1 else 1
            values = weights(shape, "float64", seed + index, terms)
            parameter.copy_(torch.from_numpy(abs(values) if "var" in name else values))
        module = module.eval().to(getattr(torch, self.dtype))
        module.requires_grad_(False)
        self.parts.append(module)
        return module

    def add(self, text: str, function: Callable[..., Tensor], *operands: int) -> int:
        """The number of the value of a further step. NodeRefused where there is none."""
        try:
            with torch.no_grad():
                found = function(*(self.values[i] for i in operands))
        except Exception as error:  # torch raises of every class
            raise NodeRefused(f"{text}: {error}") from error
        if not isinstance(found, Tensor) or not 0 < found.numel() <= _MOST_ELEMENTS:
            raise NodeRefused("no tensor, or too large")
        values = found.double()
        if found.dtype.is_floating_point and not (values.abs() <= _LARGEST[self.dtype]).all():
            raise NodeRefused("not finite, or about to be")
        self.values.append(found)
        self.steps.append(Step(text, operands, function))
        return len(self.values) - 1

    def attempt(self, grow: Callable[[Net, int], int], x: int) -> int:
        """What ``grow`` returns; ``x``, and the net as it was, where a step is refused."""
        steps, parts, constants = len(self.steps), len(self.parts), len(self.constants)
        try:
            return grow(self, x)
        except NodeRefused:
            del self.steps[steps:], self.values[self.inputs + steps :]
            self.parts = self.parts[:parts]
            self.constants = nn.ParameterList(list(self.constants)[:constants])
            return x

    def forward(self, *inputs: Tensor) -> Any:
        values = list(inputs)
        for step in self.steps:
            values.append(step.function(*(values[i] for i in step.operands)))
        found = tuple(values[i] for i in self.results)
        return found if len(found) > 1 else found[0]

    def text(self) -> str:
        lines = [f"v{i} = input {list(self.shape(i))} {self.dtype}" for i in range(self.inputs)]
        for number, step in enumerate(self.steps, self.inputs):
            operands = ", ".join(f"v{i}" for i in step.operands)
            shape = list(self.shape(number))
            lines.append(f"v{number} = {step.text}({operands})  # {shape}")
        return "\n".join([*lines, "return " + ", ".join(f"v{i}" for i in self.results)])
