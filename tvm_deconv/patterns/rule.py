"""What a rule is: a pattern, what must hold of it, and what replaces it or the reason for none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from .graph import Builder, Graph, Refused, Tensor

Emit = Callable[[Builder, Callable[[Tensor], Any]], Any]


@dataclass(frozen=True)
class Plan:
    """A rewrite that passed every check.

    ``root`` gets the value that ``emit(builder, remap)`` returns; ``remap`` gives the present form
    of a variable of the original function. ``conv`` is the convolution that disappears,
    ``absorbed`` the upsampling operators that it no longer reads or feeds, and ``convolutions`` how
    many take its place. ``before`` and ``after`` sum up both in words. ``layout`` is that of what
    ``emit`` reads and gives, if it is one. ``weights`` are how many the convolution has, and how
    many those in its place; None where they are as many.
    """

    root: Tensor
    conv: Tensor
    before: str
    after: str
    absorbed: frozenset[Tensor]
    emit: Emit
    convolutions: int = 1
    layout: str | None = None
    weights: tuple[int, int] | None = None


@dataclass(frozen=True)
class Decision:
    """One line of the report before it is written: a plan, or the reason for none."""

    layer: Tensor
    statement: str
    outcome: Plan | Refused


class Match(Protocol):
    """A candidate: a pattern that was found, of which nothing is proven yet."""

    @property
    def conv_var(self) -> Tensor:
        """The convolution that would disappear."""

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        """The upsampling operators that are part of the candidate."""


M = TypeVar("M", bound=Match)


class Rule(ABC, Generic[M]):
    """One pattern. ``name`` says what a candidate is, ``statement`` is the rewrite as a formula.

    A rule only reads: the graph is changed by whoever carries a ``Plan`` out.
    """

    name: str
    statement: str

    @abstractmethod
    def match(self, graph: Graph, var: Tensor) -> M | Refused | None:
        """The candidate whose result is ``var``: None if there is none, Refused for half of one."""

    @abstractmethod
    def plan(self, graph: Graph, match: M) -> Plan | Refused:
        """What replaces a candidate of which everything holds that must hold."""

    def unmatched(self, graph: Graph, var: Tensor) -> Refused | None:
        """Why ``var`` is no part of any candidate, if it is an upsampling that should be of one."""
        return None

    def decide(
        self, graph: Graph, taken: Mapping[Tensor, str], seen: set[Tensor]
    ) -> list[Decision]:
        """A decision for every candidate of a function, and for what should have been one.

        ``taken`` says which convolutions an earlier rule replaces, and the name of that rule.
        ``seen`` are the upsampling operators of earlier candidates; those of this rule's are added.
        """
        decisions: list[Decision] = []
        live = [var for var in graph.order if var in graph.live]
        for var in live:
            found = self.match(graph, var)
            if found is None:
                continue
            if isinstance(found, Refused):
                decisions.append(Decision(var, self.statement, found))
                continue
            seen |= found.upsamplings
            decisions.append(Decision(var, self.statement, self._outcome(graph, found, taken)))
        for var in live:
            left = None if var in seen else self.unmatched(graph, var)
            if left is not None:
                decisions.append(Decision(var, self.statement, left))
        return decisions

    def _outcome(self, graph: Graph, found: M, taken: Mapping[Tensor, str]) -> Plan | Refused:
        conv = found.conv_var
        if conv in taken:
            return Refused(f"{graph.describe(conv)} is part of a {taken[conv]} already")
        return self.plan(graph, found)
