"""Training that was cut off goes on from its own state, and from no other."""

from pathlib import Path

import pytest

from tests.factories import device_data, student
from trainables.resumption import ResumableTraining
from trainables.run_start import student_run
from trainables.training import DistillationRun


def run() -> DistillationRun:
    return student_run(student(epochs=3), device_data(), None)


def cut_off(checkpoint: Path) -> None:
    """Two of three epochs."""
    epochs = ResumableTraining(run(), checkpoint, "mine").epochs()
    next(epochs)
    next(epochs)


def test_goes_on_after_the_last_whole_epoch_and_keeps_counting_seconds(tmp_path: Path) -> None:
    cut_off(tmp_path / "state.pt")
    training = ResumableTraining(run(), tmp_path / "state.pt", "mine")
    before = training.seconds
    assert before > 0.0
    assert [trained.epoch for trained, _ in training.epochs()] == [3]
    assert training.seconds > before


def test_state_of_other_inputs_is_not_taken(tmp_path: Path) -> None:
    cut_off(tmp_path / "state.pt")
    training = ResumableTraining(run(), tmp_path / "state.pt", "another's")
    assert (training.run.epoch, training.seconds) == (0, 0.0)


def test_damaged_state_is_said_so_and_trained_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut_off(tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:-100])
    assert ResumableTraining(run(), tmp_path / "state.pt", "mine").run.epoch == 0
    assert "its training begins anew" in caplog.text


def test_finished_run_trains_nothing_again(tmp_path: Path) -> None:
    list(ResumableTraining(run(), tmp_path / "state.pt", "mine").epochs())
    assert list(ResumableTraining(run(), tmp_path / "state.pt", "mine").epochs()) == []
