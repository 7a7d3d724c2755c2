"""Where a family gets its random decisions from, such that they can be repeated and made smaller.

Every decision is an integer below some bound and is recorded. The same family makes the same case
of the same integers, and a simpler one of smaller or fewer integers, because 0 always stands for
the simplest: no further node, the first of a list, the least size. So one shrinker serves graphs,
modules, layers and damaged files alike. (The idea is Hypothesis's; MacIver and Donaldson, ECOOP
2020.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Decisions drawn from a seed, or given and then 0 for ever.

    ``taken`` are those made so far, ``spans`` the (begin, end) of those that belong together, such
    as the ones that made a node.
    """

    def __init__(self, seed: str | None = None, given: Sequence[int] = ()) -> None:
        self._random = None if seed is None else random.Random(seed)
        self._given = list(given)
        self.taken: list[int] = []
        self.spans: list[tuple[int, int]] = []

    def below(self, bound: int) -> int:
        """An integer of at least 0 and less than ``bound``."""
        return self._take(bound, lambda r: r.randrange(bound))

    def integer(self, least: int, most: int) -> int:
        """An integer between the two, both included; ``least`` is the simplest."""
        return least + self.below(most - least + 1)

    def chance(self, probability: float) -> bool:
        """True in so many cases; False is the simpler."""
        return bool(self._take(2, lambda r: int(r.random() < probability)))

    def pick(self, options: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of the options, of which the first is the simplest."""
        indices = range(len(options))
        if weights is None:
            return options[self.below(len(options))]
        return options[self._take(len(options), lambda r: r.choices(indices, weights)[0])]

    def some(self, options: Sequence[T], probability: float) -> list[T]:
        """Each of the options with this probability, in their order."""
        return [option for option in options if self.chance(probability)]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """The options in any order; as they are is the simplest."""
        rest = list(options)
        return [rest.pop(self.below(len(rest))) for _ in options]

    def many(self, least: int, most: int, further: float = 0.7) -> Iterator[int]:
        """Count from 0 for between ``least`` and ``most`` rounds, each a span of its own."""
        for index in range(most):
            begin = len(self.taken)
            if index >= least and not self.chance(further):
                return
            yield index
            self.spans.append((begin, len(self.taken)))

    def _take(self, bound, draw) -> int:
        if bound < 1:
            raise ValueError(f"nothing to choose from: {bound} options")
        if self._random is not None:
            value = draw(self._random)
        elif len(self.taken) < len(self._given):
            value = min(self._given[len(self.taken)], bound - 1)
        else:
            value = 0
        self.taken.append(value)
        return value


def choices_of(seed: int, index: int) -> Choices:
    """Where the decisions of the case of a number come from."""
    return Choices(f"case {seed} {index}")
