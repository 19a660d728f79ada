"""Where trials are believed to end: against normal distributions conditioned by hand, and what no units may change."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import multivariate_normal

from study.search.endings import LEVEL_DEVIATION, NOISES, SLOPE, SLOPE_DEVIATION, TRAIT_VARIANCES, Endings

Array = NDArray[np.float64]

EIGHTHS = st.integers(-8, 8).map(lambda each: each / 8)


def untold(count: int) -> Array:
    """Of so many trials nothing but what they show."""
    return np.empty((count, 0))


def by_hand(shown: Array, ends: Array, traits: Array, at: Array, at_traits: Array) -> tuple[Array, Array]:
    """The likeliest parts by scipy's density of all ends at once, and the ends that follow by blocks of a matrix."""
    unit = ends.std()
    s, e, a = (shown - shown.mean()) / unit, (ends - ends.mean()) / unit, (at - shown.mean()) / unit

    def near(x: Array, y: Array) -> Array:
        return np.array([[np.exp(-np.sum((one - other) ** 2) / 2) for other in y] for one in x])

    def covariance(x: Array, y: Array, variance: float) -> Array:
        return LEVEL_DEVIATION**2 + variance * near(x, y)

    def whole(variance: float, noise: float) -> Array:
        return covariance(traits, traits, variance) + noise**2 * np.eye(len(s))

    sloping = SLOPE_DEVIATION**2 * np.outer(s, s)
    variance, noise = max(
        itertools.product(TRAIT_VARIANCES, NOISES),
        key=lambda each: multivariate_normal.logpdf(e, SLOPE * s, whole(*each) + sloping),
    )
    inverse = np.linalg.inv(whole(variance, noise) + sloping)
    slope = np.clip(SLOPE + SLOPE_DEVIATION**2 * s @ inverse @ (e - SLOPE * s), 0.0, 1.0)
    across = covariance(at_traits, traits, variance)
    inverse = np.linalg.inv(whole(variance, noise))
    mean = slope * a + across @ inverse @ (e - slope * s)
    of_all = LEVEL_DEVIATION**2 + variance + noise**2 - np.diag(across @ inverse @ across.T)
    return ends.mean() + unit * mean, unit * np.sqrt(of_all)


@pytest.mark.parametrize("num_traits", [0, 2])
def test_ends_are_those_of_the_normal_distribution_conditioned_on_what_is_known(num_traits: int) -> None:
    stream = np.random.default_rng(num_traits)
    for _ in range(10):
        traits, at_traits = (stream.integers(0, 2, (count, num_traits)).astype(np.float64) for count in (9, 4))
        shown, at = stream.normal(0.5, 0.1, 9), stream.normal(0.5, 0.1, 4)
        ends = 0.6 * shown + 0.4 + 0.05 * traits.sum(axis=1) + stream.normal(0.0, 0.02, 9)
        found = Endings(shown, ends, traits).of(at, at_traits)
        for ours, truth in zip(found, by_hand(shown, ends, traits, at, at_traits), strict=True):
            np.testing.assert_allclose(ours, truth, rtol=1e-8)


def test_all_that_came_to_the_same_end_leave_no_doubt() -> None:
    mean, deviation = Endings(np.array([0.1, 0.5, 0.7]), np.full(3, 0.9), untold(3)).of(np.array([0.2, 2.0]), untold(2))
    np.testing.assert_array_equal(mean, 0.9)
    np.testing.assert_array_equal(deviation, 0.0)


def test_leads_that_turned_say_nothing() -> None:
    """The more was shown the worse the end: the slope is held at 0, and all are believed to end alike."""
    shown = np.array([0.1, 0.3, 0.5, 0.7])
    mean, _ = Endings(shown, 1.0 - shown, untold(4)).of(np.array([0.0, 0.9]), untold(2))
    np.testing.assert_allclose(mean, 0.6)


def test_what_learns_late_is_told_from_what_learns_little() -> None:
    """Two batch sizes end alike though one shows 0.1 less: of the late one a trial that shows 0.7 ends as it should."""
    late = np.tile([0.0, 1.0], 6)
    ends: Array = 0.9 + 0.01 * np.arange(12, dtype=np.float64)
    endings = Endings(ends - 0.1 - 0.1 * late, ends, late[:, np.newaxis])
    mean, _ = endings.of(np.array([0.75, 0.85]), np.array([[1.0], [0.0]]))
    np.testing.assert_allclose(mean, 0.95, atol=0.005)


@given(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=2, max_size=8), EIGHTHS, EIGHTHS)
def test_trial_that_shows_more_is_not_believed_to_end_worse(
    pairs: list[tuple[float, float]], a: float, b: float
) -> None:
    shown, ends = np.array(pairs).T
    mean, deviation = Endings(shown, ends, untold(len(pairs))).of(np.array(sorted((a, b))), untold(2))
    assert mean[0] <= mean[1] + 1e-12
    assert deviation[0] == deviation[1]


@given(st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=3, max_size=8), st.sampled_from([1e-3, 10.0]), EIGHTHS)
def test_units_change_nothing(pairs: list[tuple[float, float]], unit: float, level: float) -> None:
    shown, ends = np.array(pairs).T
    assume(np.ptp(ends) > 0.0)
    at, none = np.array([0.25]), untold(1)
    mean, deviation = Endings(shown, ends, untold(len(pairs))).of(at, none)
    changed = Endings(level + unit * shown, level + unit * ends, untold(len(pairs))).of(level + unit * at, none)
    np.testing.assert_allclose(changed[0], level + unit * mean, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(changed[1], unit * deviation, rtol=1e-6, atol=1e-9)
