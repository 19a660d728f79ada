"""The time between two trials, read from what their processes noted."""

import time
from pathlib import Path

import pytest

from tests.benchmarks.step_times import Step, gaps_s, note, read


def test_gap_is_from_last_end_to_first_begin_and_leaves_out_pauses_within_a_trial() -> None:
    steps = [
        Step(trial=1, pid=7, began=20.5, ended=21.0),
        Step(trial=0, pid=7, began=10.0, ended=12.0),
        Step(trial=0, pid=7, began=15.0, ended=20.0),
        Step(trial=2, pid=8, began=24.0, ended=25.0),
    ]
    assert gaps_s(steps) == [0.5, 3.0]


def test_trials_at_the_same_time_are_refused() -> None:
    steps = [Step(trial=0, pid=7, began=1.0, ended=3.0), Step(trial=1, pid=8, began=2.0, ended=4.0)]
    with pytest.raises(ValueError, match="trials 0 and 1 ran at the same time"):
        gaps_s(steps)


def test_steps_are_read_as_noted(tmp_path: Path) -> None:
    before = time.time()
    note(tmp_path / "times", trial=3, pid=5, began=before)
    (step,) = read(tmp_path / "times")
    assert (step.trial, step.pid, step.began) == (3, 5, before)
    assert before <= step.ended <= time.time()
