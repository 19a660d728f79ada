"""How long our sampler takes to be asked and told: five parameters, two objectives, one of them known."""

from itertools import chain

import pytest

from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.search.asking_speed import NUM_PENDING, WINDOW, Step, p95_without_refit_ms, steps
from trainables.hardware.device import fixed_num_threads

LIMITS_MS = {200: 150.0, 1_000: 400.0}


@pytest.mark.benchmark
@pytest.mark.race
def test_asking_and_telling_stays_quick_as_a_study_grows(scoreboard: Scoreboard) -> None:
    with fixed_num_threads(1):
        taken = steps(max(LIMITS_MS) + WINDOW // 2, seed=0)
    rows = [
        scoreboard.at_most(
            f"ask + tell without a refit, p95, at {num_told:,} trials, {NUM_PENDING} running, one thread",
            value=p95_without_refit_ms(taken, around=num_told),
            limit=limit,
            unit="ms",
        )
        for num_told, limit in LIMITS_MS.items()
    ]
    for num_told in LIMITS_MS:
        cpu_ms = p95_without_refit_ms(taken, around=num_told, of_cpu=True)
        scoreboard.shown(f"the same at {num_told:,} trials, CPU time alone", ours=f"{cpu_ms:.3g} ms")
    fits_s = list(chain.from_iterable(each.fits_s for each in taken))
    total_s = sum(each.seconds for each in taken)
    scoreboard.shown(
        f"refits in those {len(taken):,} trials",
        ours=f"{len(fits_s)}, longest {max(fits_s):.2f} s, in all {sum(fits_s):.1f} s of {total_s:.1f} s",
    )
    assert all(row.is_reached for row in rows), rows


def test_refits_are_left_out_of_the_percentile_and_what_is_far_away_too() -> None:
    """Of 1, 2, ..., 40 ms at 200 trials the 95th percentile is 38.05, by linear interpolation."""
    near = [Step(181 + place, (place + 1) / 1_000, 0.0, ()) for place in range(40)]
    others = [Step(200, 9.0, 9.0, (8.9,)), Step(300, 9.0, 9.0, ())]
    assert p95_without_refit_ms([*near, *others], around=200) == pytest.approx(38.05)


def test_fits_are_seen_in_a_study() -> None:
    """Ten trials spread over the cost, then the first fit, and by the schedule another one at 12."""
    with fixed_num_threads(1):
        taken = steps(13, seed=0)
    assert [each.num_told for each in taken] == list(range(13))
    assert [each.num_told for each in taken if each.fits_s] == [10, 12]
    assert all(each.seconds > sum(each.fits_s) for each in taken)
