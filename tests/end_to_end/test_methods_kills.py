"""The preset `methods`, small: killed in the search and in the verification, it answers as an undisturbed one."""

from pathlib import Path

import pytest

from analysis.ranking import ranking
from analysis.results import StudyResults, read_study
from search_spaces.subspaces import SUBSPACES
from tests.end_to_end.conftest import overrides
from tests.end_to_end.driver_kills import finished, kill_once
from trainables.records import TrialState
from trainables.study_paths import StudyPaths

FIELDS = (
    "search.num_trials=32",
    "space.options.widths=[1, 2]",
    "space.options.batch_sizes=[64]",
    "space.options.epochs=1",
    "dataset.max_train_images=600",
    "dataset.num_validation_images=100",
    "teacher.training.epochs=1",
    "profile.inference_batch_sizes=[1]",
    'objectives=["validation_accuracy", "num_parameters"]',  # nothing that a clock measures
    "resources.max_concurrent_trials=1",
    "verify.seeds=2",
)
NUM_STUDENTS = 10  # weights of finished students that lie there when the driver is killed in the search
NUM_RUNS = 20  # cards of retrainings, when it is killed in the verification


@pytest.mark.slow
def test_methods_study_that_was_killed_twice_ranks_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finished(undisturbed, "run", "methods", "--dir", str(undisturbed), *overrides(FIELDS))
    paths = StudyPaths(killed)
    students, runs = paths.student_weights(0).parent, paths.verify

    def has_students() -> bool:
        return len(list(students.glob("*.safetensors"))) >= NUM_STUDENTS

    def has_runs() -> bool:
        return len(list(runs.glob("*.json"))) >= NUM_RUNS

    kill_once(has_students, "run", "methods", "--dir", str(killed), *overrides(FIELDS))
    assert not runs.exists()
    kill_once(has_runs, "resume", str(killed))
    finished(killed, "resume", str(killed))

    theirs, ours = read_study(undisturbed), read_study(killed)
    assert {trial.state for trial in ours.trials} == {TrialState.COMPLETE}
    shown = [
        {trial.number: (trial.parameters, trial.metrics["validation_accuracy"]) for trial in each.trials}
        for each in (theirs, ours)
    ]
    assert shown[0] == shown[1]
    assert verified(ours) == verified(theirs)
    assert {each.method for row in ranking(ours).values() for each in row} == set(SUBSPACES)
    report = paths.report_html.read_text()
    assert "Does anything beat tuned distillation?" in report


def verified(study: StudyResults) -> list[tuple[int, int, float]]:
    assert study.verification is not None
    return sorted(
        (run.trial, run.seed_index, run.on_test.accuracy) for run in study.verification.runs if run.on_test is not None
    )
