"""Two processes of one trial, the first given up and late: what they leave is of one process."""

import errno
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from tests.factories import student
from tests.trainables.test_student import BareTrial, assignment, steps
from tests.trainables.test_teacher import train
from trainables import kept_state
from trainables.checkpoints import save_state
from trainables.config import LossConfig
from trainables.kept_state import OvertakenError
from trainables.student import StudentTrial
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher
from trainables.teacher_outputs import TeacherArrays

KD = student(loss=LossConfig(name="kd", options={"temperature": 2.0, "alpha": 0.7}))  # three epochs


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


def begun(folder: Path, arrays: TeacherArrays, num_stored_reports: int) -> BareTrial:
    return BareTrial(assignment(folder, KD, num_stored_reports=num_stored_reports), arrays)


def make_differ(trial: StudentTrial) -> None:
    """As on another device, whose sums are rounded otherwise."""
    assert trial._run is not None
    with torch.no_grad():
        for parameter in trial._run.model.parameters():
            parameter.mul_(1.0 + 1e-3)


def test_process_that_comes_late_does_not_put_back_a_trial_that_goes_on_elsewhere(
    tmp_path: Path, arrays: TeacherArrays
) -> None:
    late = begun(tmp_path, arrays, 0)
    late.step()
    other = begun(tmp_path, arrays, 1)
    other.step()
    state = StudyPaths(tmp_path).checkpoint(0)
    left = state.read_bytes()
    make_differ(late)
    with pytest.raises(OvertakenError, match="has come to report 2 in another process"):
        late.step()
    assert state.read_bytes() == left
    assert other.step()["finished"]


def test_process_that_comes_late_leaves_the_weights_of_a_trial_that_has_ended(
    tmp_path: Path, arrays: TeacherArrays
) -> None:
    late = begun(tmp_path, arrays, 0)
    late.step()
    late.step()
    paths = StudyPaths(tmp_path)
    assert steps(begun(tmp_path, arrays, 2))[-1]["finished"]
    paths.checkpoint(0).unlink()  # as the driver does once the end is stored
    left = paths.student_weights(0).read_bytes()
    make_differ(late)
    with pytest.raises(OvertakenError, match="has ended in another process"):
        late.step()
    assert paths.student_weights(0).read_bytes() == left
    assert not paths.checkpoint(0).exists()


def test_process_that_was_held_up_in_its_first_epoch_leaves_the_weights_of_a_trial_that_has_ended(
    tmp_path: Path, arrays: TeacherArrays
) -> None:
    late = begun(tmp_path, arrays, 0)
    late._run = late._resumed_run()
    paths = StudyPaths(tmp_path)
    steps(begun(tmp_path, arrays, 0))
    paths.checkpoint(0).unlink()
    left = paths.student_weights(0).read_bytes()
    with pytest.raises(OvertakenError, match="has ended in another process"):
        late.step()
    assert paths.student_weights(0).read_bytes() == left
    assert not paths.checkpoint(0).exists()


def test_state_that_the_store_took_without_an_answer_is_this_processes_own(
    tmp_path: Path, arrays: TeacherArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = begun(tmp_path, arrays, 0)
    trial.step()
    refusals = [True]

    def taken(path: Path, state: Mapping[str, object]) -> None:
        save_state(path, state)
        if refusals and refusals.pop():
            raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(kept_state, "save_state", taken)
    assert [report["epoch"] for report in steps(trial)] == [2, 3]
    assert not refusals


def test_where_the_given_up_process_was_faster_the_trial_goes_on_from_what_it_left(
    tmp_path: Path, arrays: TeacherArrays
) -> None:
    """The follower ends, which counts as a failure; what is told then is of the process whose state stands there."""
    given_up = begun(tmp_path, arrays, 0)
    given_up.step()
    follower = begun(tmp_path, arrays, 1)
    follower._run = follower._resumed_run()  # from report 1
    faster = given_up.step()
    with pytest.raises(OvertakenError, match="has come to report 2"):
        follower.step()
    told = steps(begun(tmp_path, arrays, 1))
    assert told[0] == faster
    assert [report["epoch"] for report in told] == [2, 3]


def test_state_that_was_put_back_is_written_over(tmp_path: Path, arrays: TeacherArrays) -> None:
    """By a process that was in the middle of its writing when it was cut off."""
    trial = begun(tmp_path, arrays, 0)
    state = StudyPaths(tmp_path).checkpoint(0)
    trial.step()
    older = tmp_path / "older"
    older.write_bytes(state.read_bytes())
    trial.step()
    older.replace(state)
    assert trial.step()["finished"]


def test_state_that_cannot_be_read_holds_nobody_up(tmp_path: Path, arrays: TeacherArrays) -> None:
    trial = begun(tmp_path, arrays, 0)
    trial.step()
    StudyPaths(tmp_path).checkpoint(0).write_bytes(b"torn")
    assert [report["epoch"] for report in steps(trial)] == [2, 3]
