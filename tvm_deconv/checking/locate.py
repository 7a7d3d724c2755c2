"""The first layer where two programs part, by bisection over the graph of layers.

Two questions rule out most layers: if a layer is wrong, only what it is computed from can have been
wrong before; if it is right, that was right, too. So each question goes to the layer that leaves
the fewest either way: about log2 of their number where they stand in a row, one more for each
parallel branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .subject import Layer


def first_wrong(
    layers: Sequence[Layer], output: str, is_wrong: Callable[[Layer], bool | None]
) -> Layer | None:
    """The layer that is wrong though whatever it is computed from is right.

    ``output`` is known to be wrong. ``is_wrong`` says None for a layer that cannot be asked. None
    if the output is computed by no layer.
    """
    by_key = {layer.key: layer for layer in layers}
    if output not in by_key:
        return None
    before = _before(by_key, output)
    wrong = output
    suspects = before[output] - {output}
    while suspects:
        asked = _halving(suspects, before)
        answer = is_wrong(by_key[asked])
        if answer:
            wrong = asked
            suspects = (suspects & before[asked]) - {asked}
        elif answer is None:
            suspects = suspects - {asked}
        else:
            suspects = suspects - before[asked]
    return by_key[wrong]


def _halving(suspects: frozenset[str], before: dict[str, frozenset[str]]) -> str:
    """The layer that leaves the fewest suspects, whatever the answer is."""

    def left(key: str) -> int:
        inside = len(before[key] & suspects)
        return max(inside, len(suspects) - inside)

    # Sorted: the same question every time, whatever order the set has.
    return min(sorted(suspects), key=left)


def _before(layers: dict[str, Layer], output: str) -> dict[str, frozenset[str]]:
    """For the output and each layer that it needs: that layer, and all that it is computed from."""
    found: dict[str, frozenset[str]] = {}
    waiting = [output]
    while waiting:
        key = waiting[-1]
        sources = [source for source in layers[key].sources if source in layers]
        missing = [source for source in sources if source not in found]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if key not in found:
            found[key] = frozenset((key,)).union(*(found[source] for source in sources))
    return found
