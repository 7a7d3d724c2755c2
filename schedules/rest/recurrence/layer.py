"""What a recurrent layer computes, and how its recurrent weights lie in memory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np

from .activations import Activation

# Gates in the order of the standard, and what each layer has.
GATES = {"LSTM": "iofc", "GRU": "zrh", "RNN": "h"}

# Vectors of sums that hide the latency of a multiply-add.
SUMS = 8


@dataclass(frozen=True)
class Recurrence:
    """A layer of ``hidden`` units with a state for each of ``len(reverse)`` directions.

    ``order`` are the gates in the order of the weights, letters of ``GATES[kind]``.
    ``activations`` are, for each direction, those of the standard in its order. ``clip`` bounds
    what goes into them; 0 is no bound. ``resets_after`` is ``linear_before_reset`` of a GRU,
    ``couples`` is ``input_forget`` of an LSTM, ``peepholes`` says that there are such weights, and
    ``lengths`` that there is a number of steps for each row.
    """

    kind: str
    hidden: int
    reverse: tuple[bool, ...]
    activations: tuple[tuple[Activation, ...], ...]
    order: str
    dtype: str = "float32"
    clip: float = 0.0
    resets_after: bool = False
    couples: bool = False
    peepholes: bool = False
    lengths: bool = False

    @property
    def gates(self) -> int:
        return len(self.order)

    @property
    def has_cell(self) -> bool:
        return self.kind == "LSTM"

    def text(self) -> str:
        """What the attribute ``RECURRENCE`` holds."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Recurrence:
        fields = json.loads(text)
        fields["reverse"] = tuple(fields["reverse"])
        fields["activations"] = tuple(
            tuple(Activation(**each) for each in own) for own in fields["activations"]
        )
        return cls(**fields)


@dataclass(frozen=True)
class Phase:
    """Gates whose products are computed together: ``vectors`` of each in a block."""

    gates: str
    vectors: int
    blocks: int


@dataclass(frozen=True)
class Packing:
    """Packs recurrent weights (directions, gates * hidden, hidden) in the order of their use:

    [direction][phase][block][k][gate][unit of the block]
    """

    layer: Recurrence
    lanes: int
    phases: tuple[Phase, ...]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The packed weights, in one dimension."""
        hidden, order = self.layer.hidden, self.layer.order
        parts = []
        for own in values.reshape(len(self.layer.reverse), len(order), hidden, hidden):
            for phase in self.phases:
                width = phase.vectors * self.lanes
                gates = own[[order.index(gate) for gate in phase.gates]]
                units = ((0, 0), (0, phase.blocks * width - hidden), (0, 0))
                blocks = np.pad(gates, units).reshape(len(gates), phase.blocks, width, hidden)
                parts.append(blocks.transpose(1, 3, 0, 2).reshape(-1))
        return np.ascontiguousarray(np.concatenate(parts))

    def size(self, phase: Phase) -> int:
        width = phase.vectors * self.lanes
        return phase.blocks * width * len(phase.gates) * self.layer.hidden

    @property
    def step(self) -> int:
        """Weights of a direction."""
        return sum(map(self.size, self.phases))
