"""Who is measured when."""

from __future__ import annotations

import pytest

from tvm_deconv.measure.rotation import CALLS_A_TURN, MOST_CALLS_A_TURN, SLOW, rotate, timed_turn


class Players:
    """Contestants of given paces in milliseconds that note who was called, and how often."""

    def __init__(self, **paces):
        self.paces, self.turns = paces, []

    def turn(self, name, calls):
        self.turns.append((name, calls))
        return [self.paces[name]] * calls if self.paces[name] else []

    def rotate(self, **options):
        return rotate(list(self.paces), self.turn, pause_s=0, **options)


def test_everybody_has_one_call_and_then_one_turn_in_every_round():
    players = Players(a=20, b=40, c=60)
    samples = players.rotate(rounds=4)
    assert sorted(players.turns[:3]) == [("a", 1), ("b", 1), ("c", 1)]
    for number in range(4):
        these = players.turns[3 + 3 * number : 6 + 3 * number]
        assert sorted(these) == [(name, CALLS_A_TURN) for name in "abc"]
    assert {name: len(times) for name, times in samples.items()} == dict.fromkeys(
        "abc", 1 + 4 * CALLS_A_TURN
    )


def test_the_order_changes_from_round_to_round():
    players = Players(a=1, b=1, c=1, d=1)
    players.rotate(rounds=6)
    names = [name for name, _ in players.turns]
    orders = {tuple(names[i : i + 4]) for i in range(0, len(names), 4)}
    assert len(orders) > 2
    assert {order[0] for order in orders} > {names[0]}


def test_who_is_far_slower_than_the_fastest_is_out_after_one_call():
    players = Players(fast=20, slow=20 * SLOW + 1, bearable=20 * SLOW)
    samples = players.rotate(rounds=2)
    assert samples["slow"] == [20 * SLOW + 1]
    assert len(samples["bearable"]) == 1 + 2 * CALLS_A_TURN


def test_who_is_exempt_neither_sets_the_pace_nor_is_out():
    players = Players(peak=0.001, ours=20, huge=1000)
    samples = players.rotate(rounds=1, exempt={"peak", "huge"})
    assert len(samples["ours"]) == 1 + CALLS_A_TURN
    assert len(samples["huge"]) > 1


def test_turns_of_slow_calls_are_shorter():
    players = Players(a=1000, b=20000)
    assert {name: len(times) for name, times in players.rotate(rounds=1).items()} == {
        "a": 1 + 3,
        "b": 1 + 1,
    }


@pytest.mark.parametrize("ms, calls", [(0.1, MOST_CALLS_A_TURN), (10, 10), (50, CALLS_A_TURN)])
def test_turns_of_short_calls_have_more(ms, calls):
    assert len(Players(a=ms).rotate(rounds=1)["a"]) == 1 + calls


def test_after_the_time_limit_no_round_begins_but_there_is_always_one():
    samples = Players(a=20, b=20).rotate(rounds=50, limit_s=0)
    assert {len(times) for times in samples.values()} == {1 + CALLS_A_TURN}


def test_what_a_first_look_takes_is_not_counted_to_the_limit(monkeypatch):
    players = Players(fast=1, slow=10_000)

    def seconds():
        return sum(players.paces[name] * calls for name, calls in players.turns) / 1e3

    monkeypatch.setattr("tvm_deconv.measure.rotation.time.monotonic", seconds)
    assert len(players.rotate(rounds=9, limit_s=5)["fast"]) == 1 + 9 * MOST_CALLS_A_TURN


def test_who_returns_no_times_is_out():
    players = Players(a=1, dead=0)
    assert players.rotate(rounds=2)["dead"] == []
    assert players.turns.count(("dead", 1)) == 1
    assert len(players.turns) == 2 + 2


def test_who_dies_in_a_later_turn_is_out_from_then_on():
    lives = iter([1, 1, 0])

    def turn(name, calls):
        return [50.0] * calls if name == "a" or next(lives) else []

    samples = rotate(["a", "b"], turn, rounds=5, pause_s=0)
    assert len(samples["b"]) == 1 + CALLS_A_TURN


def test_nobody_left_ends_the_rotation():
    assert Players(dead=0).rotate() == {"dead": []}


@pytest.mark.parametrize(
    "seconds, calls, made", [(0.06, 1, 1 + 1), (0.04, 3, 2 + 3), (0.01, 2, 5 + 2)]
)
def test_a_turn_in_this_process_has_uncounted_calls_for_50_ms(monkeypatch, seconds, calls, made):
    now = [0.0]

    def call():
        now[0] += seconds
        counted.append(1)

    counted = []
    monkeypatch.setattr("tvm_deconv.measure.rotation.time.perf_counter", lambda: now[0])
    assert timed_turn(call, calls) == pytest.approx([seconds * 1e3] * calls)
    assert len(counted) == made
