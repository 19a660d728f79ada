"""The verify stage with its tasks run in this process: what is trained, what is taken from earlier, what is told."""

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import search_spaces
from study import store as stores
from study import verify as stage
from study.cluster import TrialResources
from study.errors import StageFailedError
from study.launch import Launch
from study.progress import Progress
from study.store import StudyStore
from tests.analysis.study_directory import OBJECTIVES, MadeTrial, frozen_trial
from tests.factories import study_config, training_data
from tests.profiles import profile
from tests.trainables.test_teacher import TEACHER
from tests.trainables.test_verification import images_to_test
from trainables.checkpoints import load_weights
from trainables.config import Execution, ModelConfig
from trainables.measurements import ProfilesRecord
from trainables.records import TeacherRecord
from trainables.teacher import train_teacher
from trainables.verified import PlannedRun, Role, VerificationRecord, VerifiedRun
from trainables.whole_files import read_record, write_record

EXECUTION = Execution(optimizer="foreach")  # as the profile found it to be fastest
LABELS = MadeTrial(width=2, accuracy=0.97, latency_ms=0.1)
KD = MadeTrial(width=2, accuracy=0.97, latency_ms=0.1, method="kd", temperature=2.0, alpha=0.5)
LARGE = MadeTrial(width=4, accuracy=0.98, latency_ms=0.2, method="kd", temperature=4.0, alpha=0.9)


class Done:
    """What a task returns at once, or the error that it raised."""

    def __init__(self, made: Callable[[], Any]) -> None:
        self._result: Any = None
        self._error: Exception | None = None
        try:
            self._result = made()
        except ValueError as error:
            self._error = error

    def get(self) -> Any:
        if self._error is not None:
            raise StageFailedError(f"{type(self._error).__name__}: {self._error}")
        return self._result


class Tasks:
    """In the place of Ray: calls at once, and remembers which runs were asked for."""

    def __init__(self) -> None:
        self.asked: list[PlannedRun] = []
        self.cancelled: list[Done] = []
        self.failing: Exception | None = None

    def task(self, function: Callable[..., Any], **_: Any) -> "Tasks":
        self._function = function
        return self

    def remote(self, *arguments: Any) -> Done:
        function = self._function
        if isinstance(arguments[0], PlannedRun):
            self.asked.append(arguments[0])
            if self.failing is not None:
                error = self.failing
                return Done(lambda: (_ for _ in ()).throw(error))
        return Done(lambda: function(*arguments))

    def put(self, value: Any) -> Any:
        return value

    def wait(self, running: list[Done], **_: Any) -> tuple[list[Done], list[Done]]:
        return running[:1], running[1:]

    def cancel(self, made: Done, *, force: bool) -> None:
        assert force
        self.cancelled.append(made)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Tasks:
    made = Tasks()
    monkeypatch.setattr(stage, "task", made.task)
    monkeypatch.setattr(stage, "ray", made)
    monkeypatch.setattr(stage, "result_of", lambda done: done.get())
    monkeypatch.setattr(stage, "load_test_split", lambda _: images_to_test())
    monkeypatch.setattr(stage, "whole_device", lambda _: TrialResources(1, 0.0, 1))
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyStore]:
    config = study_config(teacher=TEACHER.model_dump(), verify={"max_students": 4, "seeds": 2})
    with stores.create(tmp_path / "study", config) as made:
        yield made


def add(store: StudyStore, trials: Sequence[MadeTrial]) -> None:
    for made in trials:
        store.study.add_trial(frozen_trial(made, OBJECTIVES))


def verify(store: StudyStore) -> VerificationRecord:
    run_stage(store)
    record = read_record(store.paths.verification_json, VerificationRecord)
    assert record is not None
    return record


def run_stage(store: StudyStore) -> None:
    *_, teacher = train_teacher(TEACHER, training_data(), store.paths.teacher, "teacher", 1)
    assert isinstance(teacher, TeacherRecord)
    progress = Progress(store.paths, store.record, Console(file=io.StringIO()), 1)
    space = search_spaces.build(store.config.space)
    launch = Launch(store, space, training_data(), TrialResources(1, 0.0, 2), progress, lambda: False)
    stage.verify(launch, teacher, profiles())


def profiles() -> ProfilesRecord:
    """Of both widths, in which every batch size is computed fastest in the same way."""
    students = {}
    for width in (2, 4):
        plain = profile(ModelConfig(name="cnn", options={"width": width}), width, 0.1)
        trainings = tuple(each.model_copy(update={"execution": EXECUTION}) for each in plain.trainings)
        students[plain.model.key] = plain.model_copy(update={"trainings": trainings})
    return ProfilesRecord(fingerprint="", teacher=plain, students=students)


def test_each_student_and_its_partner_is_trained_with_every_seed_and_not_again(store: StudyStore, tasks: Tasks) -> None:
    add(store, [LABELS, LARGE, MadeTrial(width=2, accuracy=0.5, method="kd", temperature=1.0, alpha=0.1)])
    record = verify(store)
    assert {(run.trial, run.role, run.seed_index) for run in record.runs} == {
        (trial, role, seed) for trial in (0, 1) for role in (Role.STUDENT, Role.PARTNER) for seed in (1, 2)
    }
    assert len(tasks.asked) == 8
    assert [each.execution for each in tasks.asked] == [EXECUTION] * 8
    for run in record.runs:
        assert run.execution == EXECUTION
        assert run.on_test is not None
        assert read_record(store.paths.verified_run(run.fingerprint), VerifiedRun) is not None
        assert load_weights(store.paths.verified_weights(run.fingerprint))
    tasks.asked.clear()
    assert verify(store) == record
    assert tasks.asked == []


def test_students_that_are_each_others_partners_are_trained_once(store: StudyStore, tasks: Tasks) -> None:
    add(store, [LABELS, KD])
    record = verify(store)
    assert len(record.runs) == 8
    assert len(tasks.asked) == 4
    by_side = {(run.trial, run.role, run.seed_index): run.on_test for run in record.runs}
    for seed in (1, 2):
        assert by_side[0, Role.PARTNER, seed] == by_side[1, Role.STUDENT, seed]
        assert by_side[0, Role.STUDENT, seed] == by_side[1, Role.PARTNER, seed]


def test_better_distillation_changes_one_partner_and_no_stored_run(store: StudyStore, tasks: Tasks) -> None:
    """Labels and kd of one network were each other's partners; then a better kd of that network is found."""
    add(store, [LABELS, KD])
    before = {run.fingerprint: weights_of(store, run) for run in verify(store).runs}
    add(store, [MadeTrial(width=2, accuracy=0.97, latency_ms=0.1, method="kd", temperature=9.0, alpha=0.9)])
    add(store, [MadeTrial(width=2, accuracy=0.96, latency_ms=0.1, method="kd", temperature=7.0, alpha=0.9)])
    tasks.asked.clear()
    after = verify(store)
    assert {planned.student.loss.key for planned in tasks.asked} == {"kd(alpha=0.9,temperature=9.0)"}
    for run in after.runs:
        card = read_record(store.paths.verified_run(run.fingerprint), VerifiedRun)
        assert card is not None
        assert card.student == run.student
        assert weights_of(store, run) == before.get(run.fingerprint, weights_of(store, run))


def weights_of(store: StudyStore, run: VerifiedRun) -> bytes:
    return store.paths.verified_weights(run.fingerprint).read_bytes()


def test_weights_that_are_gone_are_made_again_and_no_others(store: StudyStore, tasks: Tasks) -> None:
    add(store, [LABELS, KD])
    record = verify(store)
    lost, bytes_before = record.runs[0], weights_of(store, record.runs[0])
    store.paths.verified_weights(lost.fingerprint).unlink()
    tasks.asked.clear()
    assert verify(store).runs[0].on_test == lost.on_test
    assert [run.fingerprint for run in tasks.asked] == [lost.fingerprint]
    assert weights_of(store, lost) == bytes_before


@pytest.mark.parametrize(("failure", "is_tried_again"), [("OutOfMemoryError: 6 GiB", True), ("ValueError: no", False)])
def test_failure_that_another_launch_may_mend_is_tried_again(
    store: StudyStore, tasks: Tasks, failure: str, is_tried_again: bool
) -> None:
    add(store, [LABELS, KD])
    run = verify(store).runs[0]
    failed = run.model_copy(update={"failure": failure, "on_test": None})
    write_record(store.paths.verified_run(run.fingerprint), failed)
    store.paths.verification_json.unlink()
    tasks.asked.clear()
    verify(store)
    assert (run.fingerprint in {each.fingerprint for each in tasks.asked}) is is_tried_again


def test_file_that_a_kill_left_half_written_is_no_run(store: StudyStore, tasks: Tasks) -> None:
    add(store, [LABELS, KD])
    store.paths.verify.mkdir()
    (store.paths.verify / ".0123456789abcdef-mv2dd9lh.json").touch()
    assert len(verify(store).runs) == 8
    assert len(tasks.asked) == 4


def test_task_that_fails_is_named_with_its_student(store: StudyStore, tasks: Tasks) -> None:
    add(store, [LABELS, KD])
    tasks.failing = ValueError("broken")
    with pytest.raises(
        StageFailedError, match=r"trial [01], (student|partner) \(cnn\(width=2\), labels\), seed 1: ValueError: broken"
    ):
        verify(store)
    assert not store.paths.verification_json.exists()
    assert len(tasks.cancelled) == 1  # on the other slot: it is not to train beside its own second try


def test_without_students_the_test_images_are_not_read(
    store: StudyStore, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: str) -> None:
        pytest.fail("the test images were read")

    monkeypatch.setattr(stage, "load_test_split", read)
    add(store, [MadeTrial(state="pruned")])
    run_stage(store)
    assert not store.paths.verification_json.exists()
    assert tasks.asked == []
