"""The front, against dominance written out pair by pair."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from analysis.pareto import candidates, cost_metric, front, nondominated
from analysis.results import read_study
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.metrics import METRICS, Direction, Metric, metric
from trainables.records import TrialRecord

ACCURACY, LATENCY = metric("validation_accuracy"), metric("latency_p50_ms_batch1")
OBJECTIVES = (ACCURACY, LATENCY)


def front_numbers(root: Path, trials: list[MadeTrial]) -> list[int]:
    return [trial.number for trial in read_study(write_study(root, trials)).front]


def dominated_pair_by_pair(values: NDArray[np.float64], metrics: tuple[Metric, ...]) -> list[bool]:
    """The definition: some other point is nowhere worse and somewhere better."""

    def is_better(one: float, other: float, each: Metric) -> bool:
        return one > other if each.direction is Direction.MAXIMIZE else one < other

    def dominates(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
        wins = [is_better(a, b, each) for a, b, each in zip(one, other, metrics, strict=True)]
        losses = [is_better(b, a, each) for a, b, each in zip(one, other, metrics, strict=True)]
        return any(wins) and not any(losses)

    return [any(dominates(other, point) for other in values) for point in values]


@given(values=arrays(np.float64, st.tuples(st.integers(1, 12), st.just(3)), elements=st.integers(0, 4).map(float)))
def test_front_is_what_no_point_dominates(values: NDArray[np.float64]) -> None:
    metrics = (ACCURACY, LATENCY, METRICS["train_images_per_s"])
    expected = [not dominated for dominated in dominated_pair_by_pair(values, metrics)]
    assert nondominated(values, metrics).tolist() == expected


@given(values=arrays(np.float64, st.tuples(st.integers(1, 10), st.just(2)), elements=st.integers(0, 5).map(float)))
def test_dominated_points_do_not_change_the_front_when_removed(values: NDArray[np.float64]) -> None:
    on_front = values[nondominated(values, OBJECTIVES)]
    assert nondominated(on_front, OBJECTIVES).all()


def test_no_points_have_an_empty_front() -> None:
    assert nondominated(np.empty((0, 2)), OBJECTIVES).tolist() == []


def test_stopped_trial_never_enters_the_front(tmp_path: Path) -> None:
    best = MadeTrial(accuracy=0.999, latency_ms=0.01, state="pruned", num_epochs=1)
    assert front_numbers(tmp_path, [MadeTrial(), best]) == [0]


@pytest.mark.parametrize("state", ["fail", "running", "waiting"])
def test_unfinished_trial_never_enters_the_front(tmp_path: Path, state: str) -> None:
    best = MadeTrial(accuracy=0.999, latency_ms=0.01, state=state)
    assert front_numbers(tmp_path, [MadeTrial(), best]) == [0]


def test_duplicate_does_not_stand_beside_its_original(tmp_path: Path) -> None:
    assert front_numbers(tmp_path, [MadeTrial(), MadeTrial(duplicate_of=0)]) == [0]


def test_trial_without_one_of_the_objectives_is_left_out(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial(), MadeTrial(accuracy=0.99)]))
    objectives = (ACCURACY, METRICS["gpu_utilization_fraction"])
    assert candidates(results.trials, objectives) == ()
    assert front(results.trials, objectives) == ()


def test_two_students_that_are_equal_in_everything_both_stand(tmp_path: Path) -> None:
    trials = [MadeTrial(), MadeTrial(method="kd", temperature=4.0, alpha=0.5), MadeTrial(accuracy=0.9)]
    assert front_numbers(tmp_path, trials) == [0, 1]


def test_same_latency_leaves_only_the_most_accurate(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.96), MadeTrial(accuracy=0.97), MadeTrial(accuracy=0.95)]
    assert front_numbers(tmp_path, trials) == [1]


def test_front_lists_the_cheapest_student_first(tmp_path: Path) -> None:
    trials = [
        MadeTrial(accuracy=0.99, latency_ms=0.3),
        MadeTrial(accuracy=0.95, latency_ms=0.1),
        MadeTrial(accuracy=0.97, latency_ms=0.2),
    ]
    assert front_numbers(tmp_path, trials) == [1, 2, 0]


def test_cost_is_the_first_minimised_metric_else_the_last() -> None:
    assert cost_metric((ACCURACY, LATENCY, METRICS["num_parameters"])) == LATENCY
    assert cost_metric((ACCURACY, METRICS["train_images_per_s"])) == METRICS["train_images_per_s"]


def test_front_of_one_objective_is_its_best_value(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.96), MadeTrial(accuracy=0.98), MadeTrial(accuracy=0.97)]
    results = read_study(write_study(tmp_path, trials, objectives=("validation_accuracy",)))
    assert [trial.number for trial in results.front] == [1]


def test_realistic_front_agrees_with_dominance_pair_by_pair(realistic_study: Path) -> None:
    results = read_study(realistic_study)
    finished: list[TrialRecord] = [trial for trial in results.trials if trial.may_stand_on_a_front]
    values = np.array([[trial.metrics[each.name] for each in OBJECTIVES] for trial in finished], dtype=np.float64)
    dominated = dominated_pair_by_pair(values, OBJECTIVES)
    expected = {trial.number for trial, beaten in zip(finished, dominated, strict=True) if not beaten}
    assert {trial.number for trial in results.front} == expected
