"""What parameters cost in registers, code, memory and idle threads, and how much is too much."""

from __future__ import annotations

from typing import NamedTuple


class Cost(NamedTuple):
    """One cost of a kernel: ``value`` of ``what``, of which ``limit`` is still worth a trial."""

    what: str
    value: int
    limit: int


def waste(what: str, useful: int, computed: int) -> Cost:
    """Share of what is computed that nothing needs, since it is rounded up to whole tiles."""
    return Cost(f"percent of {what} computed for nothing", 100 - 100 * useful // computed, 30)


def cost_refusal(costs: list[Cost], own: list[Cost]) -> str | None:
    """The first cost beyond its limit, in words; None if there is none.

    ``own`` are the costs of the parameters that the variant itself chooses: a limit is never less,
    so that a tuner's point of departure and its neighbours are inside the space.
    """
    for cost, chosen in zip(costs, own, strict=True):
        limit = max(cost.limit, chosen.value)
        if cost.value > limit:
            return f"{cost.value} {cost.what}, more than {limit}"
    return None
