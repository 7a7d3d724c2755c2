"""Who is measured when: contestants take turns, each round in another order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Sequence

# Calls that a turn counts: more of short ones, up to _TURN_MS of them, fewer of long ones.
CALLS_A_TURN = 5
MOST_CALLS_A_TURN = 20
_TURN_MS = 100.0
_LONG_TURN_MS = 3000.0

# Uncounted calls come first: one, and more of them for this long. After a pause a virtual processor
# takes tens of milliseconds to be as fast as it was: DCGAN's first calls took three times as long
# as the later ones, in every turn and by two runtimes.
WARM_S = 0.05

# The idle workers of TVM spin for about 100 ms after a kernel, those of others for some time too,
# on the cores that the next contestant needs: with a pause of 50 ms a layer of a millisecond looks
# twice as slow as it is.
PAUSE_S = 0.3

# Who is this many times slower than the fastest is out after the first look: nobody compares it.
SLOW = 20


def rotate(
    names: Sequence[str],
    turn: Callable[[str, int], Sequence[float]],
    *,
    rounds: int = 8,
    limit_s: float = 20,
    exempt: Collection[str] = (),
    pause_s: float = PAUSE_S,
) -> dict[str, list[float]]:
    """Milliseconds of every counted call of every contestant.

    ``turn(name, calls)`` warms a contestant up, makes ``calls`` counted calls and returns their
    times; a contestant that returns none is out. First everybody makes one counted call; who is
    ``SLOW`` times slower than the fastest (those in ``exempt`` aside) is out with that one. Then up
    to ``rounds`` rounds follow, of ``CALLS_A_TURN`` to ``MOST_CALLS_A_TURN`` calls each turn, fewer
    of slow ones; ``limit_s`` seconds after the first look no new round begins, but there is always
    one. TVM's ten seconds for a layer of milliseconds, looked at once, take nobody's turns.
    """
    samples: dict[str, list[float]] = {name: [] for name in names}
    calls = dict.fromkeys(names, 1)
    order = list(names)
    shuffle = random.Random(0).shuffle
    started = time.monotonic()
    for number in range(rounds + 1):
        if number > 1 and time.monotonic() - started > limit_s:
            break
        shuffle(order)
        for name in order:
            time.sleep(pause_s)
            samples[name] += (times := list(turn(name, calls[name])))
            calls[name] = min(calls[name], len(times))
        if number == 0:
            calls = _calls(samples, exempt)
            started = time.monotonic()
        order = [name for name in order if calls.get(name)]
    return samples


def _calls(samples: dict[str, list[float]], exempt: Collection[str]) -> dict[str, int]:
    """How many calls a turn has, after one call each; those who are out are missing."""
    paces = {name: times[0] for name, times in samples.items() if times}
    fastest = min((ms for name, ms in paces.items() if name not in exempt), default=0.0)
    return {
        name: _calls_a_turn(ms)
        for name, ms in paces.items()
        if name in exempt or ms <= SLOW * fastest
    }


def _calls_a_turn(ms: float) -> int:
    short = min(MOST_CALLS_A_TURN, int(_TURN_MS / ms))
    return max(1, min(max(CALLS_A_TURN, short), int(_LONG_TURN_MS / ms)))


def timed_turn(
    call: Callable[[], object],
    calls: int,
    *,
    warm_s: float = WARM_S,
    clock: Callable[[], float] | None = None,
) -> list[float]:
    """A turn of a contestant in this process: milliseconds of each of ``calls`` calls.

    Uncounted ones come first, for ``warm_s`` seconds, at least one. ``clock`` gives seconds, by
    default those of ``time.perf_counter``.
    """
    clock = clock or time.perf_counter
    end = time.perf_counter() + warm_s
    call()
    while time.perf_counter() < end:
        call()
    times = []
    for _ in range(calls):
        begin = clock()
        call()
        times.append((clock() - begin) * 1e3)
    return times
