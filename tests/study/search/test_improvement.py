"""Expected hypervolume improvement against simulation, and against the hypervolume itself."""

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from study.search.improvement import expected_excess, expected_improvement

Array = NDArray[np.float64]


def hypervolume(points: Array, reference: Array) -> float:
    return float(moocore.hypervolume(-points, ref=-reference)) if len(points) else 0.0


def growth(point: Array, front: Array, reference: Array) -> float:
    return hypervolume(np.vstack([front, point]), reference) - hypervolume(front, reference)


def a_front(num_objectives: int, seed: int, count: int = 12) -> Array:
    points = np.random.default_rng(seed).random((count, num_objectives))
    front: Array = points[moocore.is_nondominated(-points)]
    return front


@pytest.mark.parametrize("num_objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_known_point_grows_the_hypervolume_by_exactly_what_is_said(num_objectives: int, seed: int) -> None:
    front, reference = a_front(num_objectives, seed), np.full(num_objectives, -0.1)
    points = np.random.default_rng(seed + 100).uniform(-0.3, 1.3, size=(30, num_objectives))
    told = expected_improvement(points, np.zeros_like(points), front, reference)
    assert told == pytest.approx([growth(point, front, reference) for point in points], abs=1e-9)


@pytest.mark.parametrize("unknown", [[0], [1], [0, 1]], ids=["first", "second", "both"])
def test_uncertain_point_grows_it_by_the_mean_over_what_it_may_be(unknown: list[int]) -> None:
    """Against 20,000 simulated outcomes; within 4 standard errors."""
    stream = np.random.default_rng(3)
    front, reference = a_front(2, 3), np.array([-0.1, -0.1])
    for mean in (np.array([0.7, 0.6]), np.array([0.2, 0.95])):
        deviation = np.zeros(2)
        deviation[unknown] = 0.2
        outcomes = mean + deviation * stream.standard_normal((20_000, 2))
        simulated = np.array([growth(each, front, reference) for each in outcomes])
        told = expected_improvement(mean[np.newaxis], deviation[np.newaxis], front, reference)
        assert told[0] == pytest.approx(simulated.mean(), abs=4 * simulated.std() / 20_000**0.5)


def test_without_a_front_everything_above_the_reference_is_growth() -> None:
    told = expected_improvement(np.array([[0.5, 2.0]]), np.zeros((1, 2)), np.empty((0, 2)), np.array([0.0, 1.0]))
    assert told == pytest.approx([0.5])


def test_of_one_objective_it_is_expected_improvement() -> None:
    """Jones et al. 1998, eq. 15, at one deviation above the best: phi(1) + Phi(1) = 1.0833; and above the reference."""
    mean, deviation = np.array([[1.5]]), np.array([[0.5]])
    told = expected_improvement(mean, deviation, np.array([[1.0]]), np.array([0.0]))
    assert told == pytest.approx([0.5 * 1.0833154705876864])
    assert expected_improvement(mean, np.zeros((1, 1)), np.empty((0, 1)), np.array([0.2])) == pytest.approx([1.3])


@given(mean=st.floats(-3, 3), deviation=st.floats(0.01, 3), threshold=st.floats(-3, 3))
def test_excess_is_the_closed_form_of_expected_improvement(mean: float, deviation: float, threshold: float) -> None:
    """E[(f - t)+] - E[(t - f)+] = mean - t, and both are at least 0 (Jones et al. 1998, eq. 15)."""
    above = expected_excess(np.array([mean]), np.array([deviation]), np.array([threshold]))[0]
    below = expected_excess(np.array([-mean]), np.array([deviation]), np.array([-threshold]))[0]
    assert above >= 0.0
    assert above - below == pytest.approx(mean - threshold, abs=1e-9)


def test_excess_of_a_standard_normal_over_its_mean_is_its_mean_half() -> None:
    """E[x+] = 1 / sqrt(2 pi)."""
    assert expected_excess(np.zeros(1), np.ones(1), np.zeros(1))[0] == pytest.approx(1 / np.sqrt(2 * np.pi))


def test_nothing_exceeds_infinity() -> None:
    assert expected_excess(np.zeros(1), np.ones(1), np.array([np.inf]))[0] == 0.0
