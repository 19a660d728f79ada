from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from trainables.hardware import latency_statistics as statistics
from trainables.hardware.latency_statistics import Times

run_times = st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=300).map(np.array)


@pytest.mark.parametrize(("percent", "smallest"), [(99.0, 662), (90.0, 64)], ids=["p99", "p90"])
def test_smallest_number_of_runs_that_bounds_a_percentile_is_that_of_mlperf(percent: float, smallest: int) -> None:
    """Wilks' second-order sample sizes at 99 % confidence: 1 - q^n - n (1 - q) q^(n-1) >= 0.99."""
    share = percent / 100.0
    unsure = [share**n + n * (1 - share) * share ** (n - 1) for n in (smallest - 1, smallest)]
    assert unsure[0] > 0.01 >= unsure[1]
    assert statistics.percentile_bound(np.arange(1.0, smallest), percent) is None
    assert statistics.percentile_bound(np.arange(1.0, smallest + 1), percent) == smallest - 1


@pytest.mark.parametrize(("num_runs", "ranks"), [(6, (1, 6)), (10, (2, 9)), (20, (6, 15)), (100, (40, 61))])
def test_median_interval_has_the_tabulated_ranks(num_runs: int, ranks: tuple[int, int]) -> None:
    """Conover, Practical Nonparametric Statistics, table of the sign-test interval at 95 %."""
    assert statistics.median_interval(np.arange(1.0, num_runs + 1)) == ranks


def test_five_runs_give_no_interval_of_the_median() -> None:
    """2 * (1/2)^5 = 6 % > 5 %."""
    with pytest.raises(ValueError, match="5 runs give no 95% interval of the median: at least 6 runs"):
        statistics.median_interval(np.ones(5))


@pytest.mark.parametrize(("num_runs", "at_most"), [(30, 0.05), (200, 0.05)])
def test_median_interval_misses_the_median_as_rarely_as_it_says(num_runs: int, at_most: float) -> None:
    """2,000 samples of a skewed distribution. Fails falsely with probability below 1e-6 (binomial tail)."""
    times = np.random.default_rng(0).exponential(size=(2_000, num_runs))
    intervals = np.array([statistics.median_interval(row) for row in times])
    misses = np.sum((intervals[:, 0] > np.log(2)) | (intervals[:, 1] < np.log(2)))
    assert misses <= binom.ppf(1 - 1e-6, 2_000, at_most)


@pytest.mark.parametrize(("percent", "num_runs"), [(90.0, 64), (90.0, 500), (99.0, 662)])
def test_bound_lies_below_the_percentile_as_rarely_as_it_says(percent: float, num_runs: int) -> None:
    """2,000 samples of a skewed distribution. Fails falsely with probability below 1e-6 (binomial tail)."""
    truth = -np.log(1 - percent / 100.0)
    times = np.random.default_rng(1).exponential(size=(2_000, num_runs))
    bounds = [statistics.percentile_bound(row, percent) for row in times]
    misses = sum(bound is not None and bound < truth for bound in bounds)
    assert misses <= binom.ppf(1 - 1e-6, 2_000, 0.01)


@given(st.integers(1, 3_000), st.floats(1.0, 99.0), st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.999]))
def test_as_many_runs_are_discarded_as_the_binomial_quantile_says(num: int, percent: float, confidence: float) -> None:
    """Not at a half, where a sum of probabilities may be the wanted one to the last bit, and rounding decides."""
    expected = binom.ppf(1.0 - confidence, num, 1.0 - percent / 100.0) - 1
    assert statistics.num_discarded(num, percent, confidence) == expected


def test_a_single_stray_run_never_is_the_bound() -> None:
    assert statistics.percentile_bound(np.append(np.ones(661), 1e6), 99.0) == 1.0


@settings(deadline=None)
@given(run_times)
def test_percentiles_are_observed_times_in_order(times: Times) -> None:
    values = [statistics.percentile(times, percent) for percent in (0, 25, 50, 90, 99, 100)]
    assert set(values) <= set(times.tolist())
    assert values == sorted(values)
    assert (values[0], values[-1]) == (times.min(), times.max())


@settings(deadline=None)
@given(run_times)
def test_the_median_lies_in_its_interval(times: Times) -> None:
    low, high = statistics.median_interval(times)
    assert low <= statistics.percentile(times, 50) <= high


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=64, max_size=200).map(np.array))
def test_a_bound_is_no_less_than_the_observed_percentile(times: Times) -> None:
    bound = statistics.percentile_bound(times, 90.0)
    assert bound is not None
    assert bound >= statistics.percentile(times, 90)


@settings(deadline=None)
@given(run_times, st.randoms(use_true_random=False))
def test_all_but_the_drift_is_blind_to_the_order_of_the_runs(times: Times, random: Random) -> None:
    shuffled = np.array(random.sample(times.tolist(), times.size))
    numbers: list[Callable[[Times], object]] = [
        statistics.median_interval,
        statistics.relative_iqr_fraction,
        lambda each: statistics.percentile_bound(each, 90.0),
    ]
    assert [number(times) for number in numbers] == [number(shuffled) for number in numbers]


@settings(deadline=None)
@given(run_times, st.sampled_from([0.25, 2.0, 1024.0]))
def test_stability_does_not_depend_on_the_unit(times: Times, factor: float) -> None:
    """Powers of two, so that scaling is exact."""
    assert statistics.is_stable(times) == statistics.is_stable(times * factor)
    assert statistics.half_drift_fraction(times) == statistics.half_drift_fraction(times * factor)


@pytest.mark.parametrize(
    ("times", "stable"),
    [
        (np.full(40, 2.0), True),
        (np.tile([1.0, 1.029], 20), True),
        (np.tile([1.0, 1.031], 20), False),  # spread
        (np.r_[np.full(20, 1.0), np.full(20, 1.029)], True),
        (np.r_[np.full(35, 1.0), np.full(5, 9.0)], True),  # a few stray runs are the tail's matter
        (np.r_[np.full(20, 1.04), np.full(20, 1.0)], False),  # drift
    ],
)
def test_runs_are_stable_up_to_three_per_cent_of_spread_and_of_drift(times: Times, stable: bool) -> None:
    assert statistics.is_stable(times) is stable


@settings(deadline=None)
@given(st.lists(st.sampled_from([1.0, 1.25, 2.0, 4.0]), min_size=1, max_size=10))
def test_a_change_of_speed_that_hits_both_networks_is_cancelled(slowdowns: list[float]) -> None:
    """The device changes speed between blocks; beside each block the reference ran at that block's speed."""
    blocks = [np.full(5, 3.0 * slowdown) for slowdown in slowdowns]
    references = [np.full(4, 0.5 * slowdown) for slowdown in slowdowns]
    for block, reference in zip(blocks, references, strict=True):
        times, change = statistics.cancel_drift([block], [reference, reference], 0.5)
        assert times == pytest.approx(np.full(5, 3.0))
        assert np.median(block) == pytest.approx(np.median(times) * (1 + change))


def test_drift_is_that_of_the_reference_against_its_undisturbed_time() -> None:
    blocks = [np.full(3, 2.0), np.full(3, 2.0)]
    times, change = statistics.cancel_drift(blocks, [np.full(4, 1.0), np.full(4, 1.2), np.full(4, 1.2)], 1.0)
    assert times.tolist() == pytest.approx([2.0 / 1.1] * 3 + [2.0 / 1.2] * 3)
    assert change == pytest.approx(0.2)


def test_reference_runs_are_needed_on_both_sides_of_each_block() -> None:
    with pytest.raises(ValueError, match="2 blocks with 2 groups of reference runs: 3 are needed"):
        statistics.cancel_drift([np.ones(3)] * 2, [np.ones(3)] * 2, 1.0)


def test_the_undisturbed_time_is_found_though_most_of_the_time_a_neighbour_slows_the_core() -> None:
    assert statistics.anchor([np.full(20, 1.7)] * 14 + [np.full(20, 1.0)] * 6) == 1.0
    assert statistics.anchor([np.append(np.full(19, 1.0), 9.0)] * 20) == 1.0
