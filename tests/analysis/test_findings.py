"""What the numbers say: standard errors from closed forms, choices checked by hand."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.findings import (
    PARAMETERS,
    binomial_standard_error,
    cheapest_by_level,
    compare_by_size,
    latency_of,
    num_by_state,
    smallest_within,
)
from analysis.results import read_study
from tests.analysis.study_directory import LATENCIES_MS, NUM_VALIDATION_IMAGES, MadeTrial, write_study
from trainables.metrics import metric
from trainables.records import TrialState

LATENCY = metric("latency_p50_ms_batch1")
KD = MadeTrial(method="kd", temperature=4.0, alpha=0.5)


def test_standard_error_of_a_fair_coin() -> None:
    """sqrt(1/4 / 10,000) = 1/200."""
    assert binomial_standard_error(0.5, 10_000) == pytest.approx(0.005)


def test_standard_error_is_the_spread_of_repeated_draws() -> None:
    """20,000 draws know a standard deviation to 0.5 %: 2 % is four of its own errors (false failure 6e-5)."""
    draws = np.random.default_rng(0).binomial(5_000, 0.98, size=20_000) / 5_000
    assert binomial_standard_error(0.98, 5_000) == pytest.approx(float(draws.std()), rel=0.02)


@given(num_images=st.integers(2, 100_000), num_correct=st.integers(0, 100_000))
def test_standard_error_is_never_below_one_image(num_images: int, num_correct: int) -> None:
    error = binomial_standard_error(min(num_correct, num_images) / num_images, num_images)
    assert error >= 1 / num_images
    assert error <= max(0.5 / sqrt(num_images), 1 / num_images) + 1e-15


def test_comparison_takes_the_best_of_each_method_and_counts_its_tries(tmp_path: Path) -> None:
    trials = [
        MadeTrial(width=4, accuracy=0.96),
        MadeTrial(width=4, accuracy=0.97),
        replace(KD, width=4, accuracy=0.98),
        MadeTrial(width=8, accuracy=0.985),
        replace(KD, width=4, accuracy=0.999, state="pruned"),
        replace(KD, width=4, accuracy=0.98, duplicate_of=2),
    ]
    at_4, at_8 = compare_by_size(read_study(write_study(tmp_path, trials)))
    assert {name: trial.number for name, trial in at_4.best.items()} == {"labels": 1, "kd": 2}
    assert at_4.num_trials == {"labels": 2, "kd": 1}
    assert at_4.gain == pytest.approx(0.01)
    assert at_8.gain is None
    assert at_8.noise(NUM_VALIDATION_IMAGES) is None


def test_noise_of_a_difference_is_two_errors_added_in_quadrature(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.5), replace(KD, accuracy=0.5)]
    (compared,) = compare_by_size(read_study(write_study(tmp_path, trials)))
    assert compared.noise(10_000) == pytest.approx(2 * sqrt(2) * 0.005)


def test_best_of_several_distilling_methods_stands_for_all_of_them(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.97), replace(KD, accuracy=0.975), replace(KD, accuracy=0.98)]
    (compared,) = compare_by_size(read_study(write_study(tmp_path, trials)))
    assert compared.distilled is not None
    assert compared.distilled.number == 2


def test_smallest_student_near_the_teacher_is_chosen_by_parameters(tmp_path: Path) -> None:
    trials = [
        MadeTrial(width=16, accuracy=0.992),
        MadeTrial(width=8, accuracy=0.988),
        replace(KD, width=8, accuracy=0.9885),
        MadeTrial(width=4, accuracy=0.9879),
    ]
    results = read_study(write_study(tmp_path, trials))
    chosen = smallest_within(results, 0.005)
    assert chosen is not None
    assert chosen.number == 2


def test_student_exactly_at_the_margin_counts_as_within_it(tmp_path: Path) -> None:
    """The teacher has 0.993, and in floating point 0.993 - 0.005 is above 0.988."""
    chosen = smallest_within(read_study(write_study(tmp_path, [MadeTrial(accuracy=0.988)])), 0.005)
    assert chosen is not None


def test_no_student_near_the_teacher_is_none(tmp_path: Path) -> None:
    assert smallest_within(read_study(write_study(tmp_path, [MadeTrial(accuracy=0.95)])), 0.005) is None


def test_without_a_teacher_nothing_is_near_it(tmp_path: Path) -> None:
    assert smallest_within(read_study(write_study(tmp_path, [MadeTrial()], teacher=False)), 0.005) is None


def test_each_level_names_its_cheapest_student_once_at_the_highest_level_it_reaches(tmp_path: Path) -> None:
    trials = [
        MadeTrial(accuracy=0.961, latency_ms=0.1),
        MadeTrial(accuracy=0.985, latency_ms=0.2),
        MadeTrial(accuracy=0.975, latency_ms=0.3),
    ]
    levels = cheapest_by_level(read_study(write_study(tmp_path, trials)), LATENCY)
    assert [(level.accuracy, level.trial.number) for level in levels] == [(0.96, 0), (0.985, 1)]


def test_equally_cheap_students_are_told_apart_by_accuracy(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.951), MadeTrial(accuracy=0.959)]
    levels = cheapest_by_level(read_study(write_study(tmp_path, trials)), PARAMETERS)
    assert [level.trial.number for level in levels] == [1]


def test_levels_of_a_realistic_study_never_cost_more_for_less(realistic_study: Path) -> None:
    levels = cheapest_by_level(read_study(realistic_study), LATENCY)
    costs = [level.trial.metrics[LATENCY.name] or 0.0 for level in levels]
    assert costs == sorted(costs)
    assert len(levels) == len(LATENCIES_MS)


def test_duplicates_are_counted_apart_from_the_trials_that_were_trained(tmp_path: Path) -> None:
    trials = [MadeTrial(), MadeTrial(duplicate_of=0), MadeTrial(state="pruned"), MadeTrial(state="fail")]
    counts = num_by_state(read_study(write_study(tmp_path, trials)))
    assert counts[TrialState.COMPLETE] == 1
    assert counts[TrialState.PRUNED] == 1
    assert counts[TrialState.FAILED] == 1
    assert counts[TrialState.RUNNING] == 0


def test_latency_behind_a_trial_is_found_by_its_architecture(realistic_study: Path) -> None:
    results = read_study(realistic_study)
    trial = results.trials[3]
    measured = latency_of(results, trial, 1)
    assert measured is not None
    assert measured.p50_ms == trial.metrics["latency_p50_ms_batch1"]
    assert latency_of(results, trial, 7) is None
