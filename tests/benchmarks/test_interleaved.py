"""Measuring in turns: a drift that slows both leaves their ratio alone."""

from itertools import count

import pytest

from tests.benchmarks.interleaved import compare


def test_sides_take_turns_and_a_steady_drift_cancels() -> None:
    moments = count()
    order: list[str] = []

    def side(name: str, speed: float) -> float:
        order.append(name)
        return speed * 0.5 ** (next(moments) // 2)  # the machine gets twice as slow each round

    comparison = compare(lambda: side("ours", 12.0), lambda: side("peer", 3.0), num_rounds=3)
    assert order == ["ours", "peer"] * 3
    assert comparison.median_ratio == pytest.approx(4.0)
    assert (comparison.median_ours, comparison.median_peer) == (6.0, 1.5)


def test_one_disturbed_round_does_not_move_the_ratio() -> None:
    ours, peer = iter([8.0, 8.0, 8.0]), iter([2.0, 0.1, 2.0])
    assert compare(lambda: next(ours), lambda: next(peer), num_rounds=3).median_ratio == 4.0
