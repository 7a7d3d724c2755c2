"""How often the statements of a loop nest run, without running them one by one.

A nest is a tree of ``Loop``, ``Branch``, ``Block`` and ``NestWork``. Extents and conditions are
``Index`` expressions of loop variables. A loop whose variable decides nothing inside it multiplies
what its body does; any other is walked, and what a body does is remembered by the values of the
variables that decide something in it. So counts are exact, and a guard costs no more steps than it
has cases. ``branch`` and ``loop`` build a nest so that tests stand as far outside as they can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

Values = Mapping[str, int]
Names = frozenset[str]
NONE: Names = frozenset()


class Index:
    """An integer or a truth value as Python source, and the loop variables that it reads."""

    def __init__(self, source: str, names: Names = NONE) -> None:
        self.source, self.names = source, names

    @cached_property
    def _evaluate(self) -> Callable[..., int]:
        arguments = ", ".join(self._arguments)
        known = {"quotient": _quotient, "remainder": _remainder}
        return eval(f"lambda {arguments}: {self.source}", known)

    @cached_property
    def _arguments(self) -> tuple[str, ...]:
        return tuple(self.names)

    def value(self, values: Values) -> int:
        return self._evaluate(*[values[name] for name in self._arguments])


class Event(NamedTuple):
    """What is counted: ``kind`` is load, store, multiply_add, add or multiply.

    ``names`` are the loop variables that decide which word of ``buffer`` a load reads.
    """

    kind: str
    buffer: str = ""
    names: Names = NONE


Tally = Mapping[Event, int]


class LoopNest:
    """A statement. ``needs`` are the variables of loops around it that decide what happens inside,
    ``stores`` the buffers that it writes; ``is_straight`` says that no loop is left in it once
    loops that share their loads are written out."""

    def __init__(self, needs: Names, stores: Names, is_straight: bool) -> None:
        self.needs, self.stores, self.is_straight = needs, stores, is_straight
        self._keys = tuple(needs)
        self._known: dict[tuple[int, ...], Tally] = {}

    def count(self, values: Values) -> Tally:
        """How often every event happens, for given values of the variables in ``needs``."""
        key = tuple([values[name] for name in self._keys])
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._count(values)
        return known

    def _count(self, values: Values) -> Tally:
        raise NotImplementedError


class NestWork(LoopNest):
    """Events that happen each time."""

    def __init__(self, events: Tally) -> None:
        self.events = events
        stores = frozenset(event.buffer for event in events if event.kind == "store")
        super().__init__(NONE, stores, True)

    def _count(self, values: Values) -> Tally:
        return self.events


class Block(LoopNest):
    """One statement after the other."""

    def __init__(self, parts: Sequence[LoopNest]) -> None:
        self.parts = parts
        super().__init__(
            NONE.union(*(part.needs for part in parts)),
            NONE.union(*(part.stores for part in parts)),
            all(part.is_straight for part in parts),
        )

    def _count(self, values: Values) -> Tally:
        found: Counter[Event] = Counter()
        for part in self.parts:
            found.update(part.count(values))
        return found


class Branch(LoopNest):
    """``then`` where the condition holds, else ``otherwise``."""

    def __init__(self, condition: Index, then: LoopNest, otherwise: LoopNest) -> None:
        self.condition, self.then, self.otherwise = condition, then, otherwise
        super().__init__(
            condition.names | then.needs | otherwise.needs,
            then.stores | otherwise.stores,
            then.is_straight and otherwise.is_straight,
        )

    def _count(self, values: Values) -> Tally:
        return (self.then if self.condition.value(values) else self.otherwise).count(values)


class Loop(LoopNest):
    """``body`` for ``extent`` values of the variable ``name``, from 0.

    With ``shares_loads`` the iterations of a straight body stand side by side, as lanes of a vector
    or written out: a word that the body does not write and that all of them load is loaded once.
    """

    def __init__(
        self, name: str, extent: Index, body: LoopNest, shares_loads: bool = False
    ) -> None:
        self.name, self.extent, self.body = name, extent, body
        needs = extent.names | (body.needs - {name})
        super().__init__(needs, body.stores, shares_loads and body.is_straight)

    def _count(self, values: Values) -> Tally:
        extent = self.extent.value(values)
        if self.name not in self.body.needs:
            return self._repeated(self.body.count(values), extent)
        # Most turns do what another one does, and then give the very same counts.
        turns: dict[int, list[Any]] = {}
        for value in range(extent):
            events = self.body.count({**values, self.name: value})
            turns.setdefault(id(events), [events, 0])[1] += 1
        found: Counter[Event] = Counter()
        for events, number in turns.values():
            for event, times in events.items():
                found[self._outside(event)] += number * times
        return found

    def _repeated(self, events: Tally, extent: int) -> Tally:
        found: Counter[Event] = Counter()
        for event, times in events.items() if extent > 0 else ():
            found[self._outside(event)] += times * (1 if self._is_shared(event) else extent)
        return found

    def _is_shared(self, event: Event) -> bool:
        if not self.is_straight or event.kind != "load":
            return False
        return self.name not in event.names and event.buffer not in self.stores

    def _outside(self, event: Event) -> Event:
        return event._replace(names=event.names - {self.name})


def branch(conditions: Sequence[Index], then: LoopNest, otherwise: LoopNest) -> LoopNest:
    """``then`` where all conditions hold, else ``otherwise``."""
    for condition in reversed(conditions):
        then = Branch(condition, then, otherwise)
    return then


def loop(name: str, extent: Index, body: LoopNest, shares_loads: bool = False) -> LoopNest:
    """A loop, behind the tests of its body that give the same answer in every turn."""
    if isinstance(body, Branch) and name not in body.condition.names:
        sides = (loop(name, extent, side, shares_loads) for side in (body.then, body.otherwise))
        return Branch(body.condition, *sides)
    return Loop(name, extent, body, shares_loads)


def block(parts: Sequence[LoopNest]) -> LoopNest:
    """One statement after the other; a single one is itself."""
    return parts[0] if len(parts) == 1 else Block(parts)


def _quotient(a: int, b: int) -> int:
    """Division towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _remainder(a: int, b: int) -> int:
    """What that division leaves, with the sign of the dividend."""
    return a - _quotient(a, b) * b
