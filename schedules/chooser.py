"""What each layer of a network is computed by, thought about once for each kind of layer.

The rewrite weighs layers against what they replace, the lowering computes them, and ``explain``
says which: all ask one ``Chooser``, so that what one of them expects is what the others do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tvm_deconv.algebra.geometry import ConvTranspose2d

from .budget import NO_LIMIT, Budget, Form, forms_of
from .choice import Choice, Preferences, choose
from .variant import Sizes

if TYPE_CHECKING:
    from .machines import Machine


class Kind(NamedTuple):
    """All of a layer that its choice depends on: of equal kinds a network has hundreds.

    ``sizes`` are those of the input, ``dtype`` is that of input and output; ``volumes`` says that
    the layer is one over the slices of volumes.
    """

    conv: ConvTranspose2d
    sizes: Sizes
    dtype: str
    volumes: bool = False


class Chooser:
    """Chooses for one machine, as one caller prefers, with so many weights as there may be."""

    def __init__(
        self,
        machine: Machine,
        preferences: Preferences | None = None,
        budget: Budget = NO_LIMIT,
    ) -> None:
        self.machine = machine
        self.preferences = preferences or Preferences()
        self.budget = budget
        self._choices: dict[Kind, Choice] = {}
        self._forms: dict[Kind, tuple[Form, ...]] = {}

    def choice(self, kind: Kind) -> Choice:
        """The variant of a layer where there is no budget (``choice.choose``).

        Raises VariantError if every variant refuses the layer.
        """
        if kind not in self._choices:
            conv, sizes, dtype, volumes = kind
            self._choices[kind] = choose(
                conv, sizes, dtype, self.machine, self.preferences, volumes=volumes
            )
        return self._choices[kind]

    def forms(self, kind: Kind) -> tuple[Form, ...]:
        """That choice, and the forms of fewer weights (``budget.forms_of``).

        Raises VariantError as ``choice`` does.
        """
        if kind not in self._forms:
            conv, sizes, _, volumes = kind
            self._forms[kind] = forms_of(
                conv, sizes, self.machine, self.preferences, self.choice(kind), volumes=volumes
            )
        return self._forms[kind]
