"""Hypervolume, against areas added up by hand."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from analysis.hypervolume import box_fraction, hypervolume, hypervolume_steps, reference_point, study_reference
from analysis.results import read_study
from tests.analysis.stopped_trials import in_full, waiting
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.metrics import metric

OBJECTIVES = (metric("validation_accuracy"), metric("latency_p50_ms_batch1"))


def test_one_student_dominates_one_rectangle() -> None:
    """0.9 is 0.4 above the reference of 0.5, and 2 ms are 3 ms below its 5 ms: 0.4 x 3."""
    assert hypervolume(np.array([[0.9, 2.0]]), OBJECTIVES, np.array([0.5, 5.0])) == pytest.approx(1.2)


def test_overlap_of_two_students_counts_once() -> None:
    """Rectangles 0.4 x 3 and 0.2 x 4 over the same corner share 0.2 x 3."""
    values = np.array([[0.9, 2.0], [0.7, 1.0]])
    assert hypervolume(values, OBJECTIVES, np.array([0.5, 5.0])) == pytest.approx(1.2 + 0.8 - 0.6)


def test_student_beyond_the_reference_adds_nothing() -> None:
    values = np.array([[0.9, 2.0], [0.95, 6.0], [0.4, 1.0]])
    assert hypervolume(values, OBJECTIVES, np.array([0.5, 5.0])) == pytest.approx(1.2)


def test_no_students_have_no_hypervolume() -> None:
    assert hypervolume(np.empty((0, 2)), OBJECTIVES, np.array([0.5, 5.0])) == 0.0


@given(
    values=arrays(
        np.float64, st.tuples(st.integers(1, 8), st.just(2)), elements=st.floats(0.1, 1.0).map(lambda v: round(v, 3))
    )
)
def test_hypervolume_grows_with_every_student_and_agrees_with_counted_cells(values: NDArray[np.float64]) -> None:
    """On a grid of the points' own coordinates every cell is dominated whole or not at all."""
    reference = np.array([0.0, 1.5])
    volumes = [hypervolume(values[:size], OBJECTIVES, reference) for size in range(1, len(values) + 1)]
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(volumes))
    across = np.unique(np.append(values[:, 0], reference[0]))
    up = np.unique(np.append(values[:, 1], reference[1]))
    counted = sum(
        (right - left) * (high - low)
        for left, right in pairwise(across)
        for low, high in pairwise(up)
        if any(accuracy >= right and latency <= low for accuracy, latency in values)
    )
    assert volumes[-1] == pytest.approx(counted, abs=1e-9)


def test_reference_point_lies_a_tenth_of_the_range_beyond_the_worst() -> None:
    values = np.array([[0.90, 1.0], [0.99, 3.0], [0.95, 2.0]])
    assert reference_point(values, OBJECTIVES) == pytest.approx([0.90 - 0.009, 3.0 + 0.2])


def test_reference_point_of_a_single_student_still_leaves_it_a_volume() -> None:
    values = np.array([[0.9, 2.0]])
    reference = reference_point(values, OBJECTIVES)
    assert reference == pytest.approx([0.81, 2.2])
    assert hypervolume(values, OBJECTIVES, reference) == pytest.approx(0.09 * 0.2)


def test_reference_point_of_zeros_lies_a_tenth_beyond() -> None:
    assert reference_point(np.array([[0.0, 0.0]]), OBJECTIVES) == pytest.approx([-0.1, 0.1])


def test_stored_reference_point_comes_before_that_of_the_finished_trials() -> None:
    values = np.array([[0.9, 2.0], [0.8, 1.0]])
    assert study_reference(values, OBJECTIVES).values == pytest.approx([0.79, 2.1])
    stored = study_reference(values, OBJECTIVES, (0.5, 5.0))
    assert stored.values.tolist() == [0.5, 5.0]
    assert stored.is_stored


def test_share_of_the_box_is_of_what_one_best_student_would_have() -> None:
    """From (0.5, 5): the best is (0.9, 1), a box of 0.4 x 4; the two students share it as 0.4 x 3 + 0.2 x 1."""
    values = np.array([[0.9, 2.0], [0.7, 1.0]])
    assert box_fraction(values, OBJECTIVES, np.array([0.5, 5.0])) == pytest.approx(1.4 / 1.6)
    assert box_fraction(values, OBJECTIVES, np.array([0.95, 5.0])) == 0.0


def test_steps_are_measured_from_the_stored_reference_point(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial(accuracy=0.9, latency_ms=2.0)]))
    (step,) = hypervolume_steps(replace(results, stored_reference=(0.5, 5.0)))
    assert step.hypervolume == pytest.approx(1.2)


def test_promoted_trial_counts_from_when_it_ended_not_from_its_pause(tmp_path: Path) -> None:
    promoted = in_full(accuracy=0.98, latency_ms=0.1, paused_at=(0.5,), spans=((0.0, 5.0), (30.0, 40.0)))
    steps = hypervolume_steps(read_study(write_study(tmp_path, [promoted, in_full(spans=((5.0, 30.0),))])))
    assert [(step.trial_number, step.search_seconds) for step in steps] == [(1, 30.0), (0, 40.0)]


def test_steps_follow_the_order_in_which_trials_finished(tmp_path: Path) -> None:
    trials = [
        MadeTrial(accuracy=0.99, latency_ms=3.0, spans=((0.0, 50.0),), slot=0),
        MadeTrial(accuracy=0.90, latency_ms=1.0, spans=((0.0, 20.0),), slot=1),
        MadeTrial(accuracy=0.95, latency_ms=2.0, spans=((20.0, 40.0),), slot=1),
    ]
    steps = hypervolume_steps(read_study(write_study(tmp_path, trials)))
    assert [step.trial_number for step in steps] == [1, 2, 0]
    assert [step.num_finished for step in steps] == [1, 2, 3]
    assert [step.search_seconds for step in steps] == [20.0, 40.0, 50.0]
    # Reference (0.891, 3.2): 0.009 x 2.2, then + 0.05 x 1.2, then + 0.04 x 0.2.
    assert [step.hypervolume for step in steps] == pytest.approx([0.0198, 0.0798, 0.0878])
    assert steps[-1].box_fraction == pytest.approx(0.0878 / (0.099 * 2.2))


def test_steps_measure_against_a_given_reference_point(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial(accuracy=0.9, latency_ms=2.0)]))
    (step,) = hypervolume_steps(results, np.array([0.5, 5.0]))
    assert step.hypervolume == pytest.approx(1.2)
    assert step.box_fraction == pytest.approx(1.0)
    assert step.search_seconds is None


def test_stopped_trials_and_duplicates_add_no_step(tmp_path: Path) -> None:
    trials = [
        MadeTrial(),
        MadeTrial(state="pruned", accuracy=0.99),
        MadeTrial(duplicate_of=0),
        waiting(2.0, accuracy=0.99),
    ]
    assert [step.trial_number for step in hypervolume_steps(read_study(write_study(tmp_path, trials)))] == [0]


def test_search_without_finished_trials_has_no_steps(tmp_path: Path) -> None:
    assert hypervolume_steps(read_study(write_study(tmp_path, [MadeTrial(state="running")]))) == ()
