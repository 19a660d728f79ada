"""Recorded learning curves: kept as a file, asked for by a search, and what a replayed search came to."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analysis.curves import RecordedCurves, curves_of, read_curves, write_curves
from analysis.results import read_study
from study.cli import app
from study.replays import replay, replayed_view
from study.search.recorded import RecordedAnswers
from study.search.replay import Curve, ReplayedTrial
from study.search.replay_summary import RecordedFront, summarise
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.metrics import metric
from trainables.records import TrialState

RECORDED = Path(__file__).parents[1] / "recorded"
OBJECTIVES = [metric("validation_accuracy"), metric("latency_p50_ms_batch1")]


@pytest.fixture(scope="module")
def grid() -> RecordedCurves:
    return read_curves(RECORDED / "mnist-grid-0.json.gz")


def replayed(
    number: int, accuracies: Sequence[float], latency_ms: float, *, state: TrialState, spent: float
) -> ReplayedTrial:
    """A student of that learning curve, trained to its end or stopped after its first epoch."""
    metrics = [{"epoch": float(at), "validation_accuracy": told} for at, told in enumerate(accuracies, start=1)]
    curve = Curve(metrics, [1.0] * len(metrics), {"latency_p50_ms_batch1": latency_ms})
    reports = len(metrics) if state is TrialState.COMPLETE else 1
    return ReplayedTrial(number, {}, curve, state, reports, spent, spent)


def test_front_itself_is_the_whole_and_a_point_of_it_a_closed_form_share() -> None:
    """On the front's own ranges its points are (0, 1) and (1, 0): each dominates 0.11 up to (1.1, 1.1), both 0.21."""
    front = RecordedFront.of(np.array([[3.0, 20.0], [5.0, 10.0], [5.0, 20.0]]))
    assert front.hypervolume_fraction(front.front_NM) == pytest.approx(1.0)
    assert front.hypervolume_fraction(np.array([[3.0, 20.0]])) == pytest.approx(0.11 / 0.21)
    assert front.hypervolume_fraction(np.empty((0, 2))) == 0.0
    assert front.holds(np.array([5.0, 10.0]))
    assert not front.holds(np.array([5.0, 20.0]))


def test_what_stopping_lost_is_what_the_stopped_would_have_added() -> None:
    fast, good = (-0.9, 1.0), (-0.98, 3.0)
    front = RecordedFront.of(np.array([fast, good]))
    trials = [
        replayed(0, [0.5, 0.7, 0.9], 1.0, state=TrialState.COMPLETE, spent=3.0),
        replayed(1, [0.6, 0.8, 0.98], 3.0, state=TrialState.PRUNED, spent=4.0),
    ]
    told = summarise(trials, OBJECTIVES, front)
    assert (told.num_asked, told.num_complete, told.epochs, told.seconds) == (2, 1, 4.0, 4.0)
    assert told.hypervolume == pytest.approx(0.11 / 0.21)
    assert told.hypervolume_unstopped == pytest.approx(1.0)
    assert told.lost_fraction == pytest.approx(1.0 - 0.11 / 0.21)
    assert (told.num_front_found, told.num_front_stopped) == (1, 1)
    assert told.epochs_until(0.5) == 3.0
    assert told.epochs_until(0.9) is None


def test_recorded_student_is_answered_with_its_own_curve(grid: RecordedCurves) -> None:
    answers = RecordedAnswers(grid, OBJECTIVES)
    for trial in grid.trials:
        assert answers.answer(trial.parameters, trial.student).metrics == trial.epochs
    assert answers.num_exact == answers.num_asked == len(grid.trials)


def test_other_students_are_answered_by_the_most_similar_of_their_architecture(grid: RecordedCurves) -> None:
    """8.5 is nearer to 4 than to 16, on a log scale farther from it; and width comes before all else."""
    answers = RecordedAnswers(grid, OBJECTIVES)
    asked = next(
        each for each in grid.trials if each.parameters["width"] == 8 and each.parameters.get("temperature") == 16
    )
    found = answers.answer({**asked.parameters, "temperature": 8.5}, asked.student)
    assert found.metrics == asked.epochs
    assert answers.num_exact == 0


def test_curves_survive_being_written_and_are_the_same_bytes_each_time(grid: RecordedCurves, tmp_path: Path) -> None:
    write_curves(grid, tmp_path / "a.json.gz")
    write_curves(grid, tmp_path / "b.json.gz")
    assert read_curves(tmp_path / "a.json.gz") == grid
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


def test_curves_are_of_the_trials_that_ran_to_their_end_and_the_others_are_counted(tmp_path: Path) -> None:
    trials = [
        MadeTrial(),
        MadeTrial(state="pruned", num_epochs=1),
        MadeTrial(duplicate_of=0),
        MadeTrial(breaks="validation_accuracy >= 0.99"),
        MadeTrial(state="pruned", num_epochs=0, breaks="latency_p50_ms_batch1 <= 0.1"),
    ]
    curves = curves_of(read_study(write_study(tmp_path, trials)))
    assert [each.number for each in curves.trials] == [0, 3]
    assert curves.num_left_out == 1
    assert [epoch["epoch"] for epoch in curves.trials[0].epochs] == [1.0, 2.0, 3.0]
    assert curves.trials[0].isolated["latency_p50_ms_batch1"] == 0.2


@pytest.mark.parametrize("seed", [0, 1])
def test_recorded_grid_is_whole(seed: int) -> None:
    """8 widths x 2 batch sizes x (labels + 3 temperatures x 3 alphas), 9 epochs each, one training seed a file."""
    curves = read_curves(RECORDED / f"mnist-grid-{seed}.json.gz")
    found = Counter((each.parameters["width"], each.parameters["batch_size"]) for each in curves.trials)
    assert len(curves.trials) == len({each.student.model_dump_json() for each in curves.trials}) == 160
    assert set(found.values()) == {10}
    assert {tuple(epoch["epoch"] for epoch in each.epochs) for each in curves.trials} == {
        tuple(map(float, range(1, 10)))
    }
    assert {each.student.training.seed for each in curves.trials} == {seed}
    assert all((each.isolated["latency_p50_ms_batch1"] or 0.0) > 0.0 for each in curves.trials)


def test_replay_shows_the_search_as_recorded_beside_the_one_that_is_set() -> None:
    """All 160 of a grid are the recorded front, whatever the order."""
    overrides = [
        "search.num_trials=12",
        "search.trials_per_method.labels=2",
        "search.trials_per_method.kd=10",
        "search.sampler=random",
    ]
    told = replay(RECORDED / "mnist-grid-0.json.gz", overrides, num_workers=2, num_seeds=2, save=None)
    assert list(told.searches) == ["as recorded: grid", "as set: random"]
    assert [each.hypervolume for each in told.searches["as recorded: grid"]] == pytest.approx([1.0, 1.0])
    assert [each.num_asked for each in told.searches["as set: random"]] == [12, 12]
    assert told.exact_fraction == 1.0
    assert len(replayed_view(told).columns) == 3


@pytest.mark.parametrize("content", [b"", b"not curves"])
def test_file_that_holds_no_curves_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.json.gz"
    path.write_bytes(content)
    said = CliRunner().invoke(app, ["replay", str(path)])
    assert said.exit_code == 2
    assert said.stderr.startswith(f"kd-study: {path}: neither a study's directory nor recorded curves")
    assert said.stderr.count("\n") == 1


def test_objective_that_was_not_recorded_is_refused(grid: RecordedCurves) -> None:
    with pytest.raises(ValueError, match="mnist-grid: no recorded trial knows gpu_utilization_fraction"):
        RecordedAnswers(grid, [metric("gpu_utilization_fraction")])
