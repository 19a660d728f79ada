"""SIGKILL of the driver in the middle of a halving study: the same rungs and decisions as if it had not died."""

import re
from pathlib import Path

import pytest

from tests.end_to_end.conftest import overrides
from tests.end_to_end.driver_kills import finished, kill_once
from trainables.records import RungAction, TrialRecord, TrialState
from trainables.study_paths import StudyPaths

FIELDS = (
    'objectives=["validation_accuracy", "num_parameters"]',  # nothing that a clock measures
    'search.sampler="random"',
    "search.num_trials=10",
    'search.early_stopping="pareto_halving"',
    "search.halving.first_rung=0.25",
    "search.halving.least_gain=0.02",
    "space.options.widths=[1, 2]",
    "space.options.batch_sizes=[64]",
    "dataset.max_train_images=1200",
    "dataset.num_validation_images=200",
    "teacher.training.epochs=1",
    "profile.inference_batch_sizes=[1]",
    "resources.max_concurrent_trials=1",
    "verify.max_students=0",
)
KILLED_AFTER = (4, 9)  # decisions in the storage
DECISION = re.compile(r'"trial_id":(\d+),"user_attr":\{"decision:([^"]+)"')

Seen = list[tuple[float, RungAction, int, int, bool]]


def num_decisions(directory: Path) -> int:
    """How many the storage holds; its file is read as it stands."""
    journal = StudyPaths(directory).journal
    return len(set(DECISION.findall(journal.read_text()))) if journal.exists() else 0


def seen(record: TrialRecord) -> Seen:
    return [(each.epoch, each.action, each.num_judged, each.num_ended, each.promoted) for each in record.decisions]


@pytest.mark.slow
def test_halving_study_that_was_killed_twice_decides_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    theirs = finished(undisturbed, "run", "smoke", "--dir", str(undisturbed), *overrides(FIELDS))
    kill_once(
        lambda: num_decisions(killed) >= KILLED_AFTER[0], "run", "smoke", "--dir", str(killed), *overrides(FIELDS)
    )
    kill_once(lambda: num_decisions(killed) >= KILLED_AFTER[1], "resume", str(killed))
    assert num_decisions(killed) < num_decisions(undisturbed)
    ours = finished(killed, "resume", str(killed))
    assert {number: record.parameters for number, record in ours.items()} == {
        number: record.parameters for number, record in theirs.items()
    }
    assert {number: record.state for number, record in ours.items()} == {
        number: record.state for number, record in theirs.items()
    }
    for number, record in ours.items():
        assert seen(record) == seen(theirs[number])
        gains = [decision.gain_fraction for decision in theirs[number].decisions]
        assert [decision.gain_fraction for decision in record.decisions] == pytest.approx(gains, abs=1e-9)
        accuracies = [[epoch["validation_accuracy"] for epoch in each.epochs] for each in (record, theirs[number])]
        assert accuracies[0] == accuracies[1]
    assert {record.state for record in ours.values()} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert all(record.decisions[0].epoch == 0.25 for record in ours.values())
    assert not list(StudyPaths(killed).checkpoint(0).parent.glob("*.pt"))
