"""The teach stage with its tasks run in this process: the chain, what is stored, and what is trained again."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import search_spaces
from study import store as stores
from study import teach as stage
from study.cluster import TrialResources
from study.errors import StageFailedError
from study.launch import Launch
from study.progress import Progress
from study.status import read_status, status_view
from study.store import StudyStore
from tests.factories import study_config, training_data
from tests.trainables.test_assistant import ASSISTANT
from tests.trainables.test_teacher import TEACHER
from trainables.checkpoints import save_weights
from trainables.models import build
from trainables.records import StatusRecord, TeacherRecord
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher, train_assistant
from trainables.whole_files import read_record

SMALLER = ASSISTANT.model_copy(update={"model": TEACHER.model})


class Tasks:
    """In the place of Ray: runs at once, and remembers which functions were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dies_after: int | None = None

    def task(self, function: Any, **_: Any) -> "Tasks":
        self._function = function
        return self

    def remote(self, *arguments: Any) -> Iterator[Any]:
        self.asked.append(self._function.__name__)
        return self._until_death(self._function(*arguments))

    def _until_death(self, outputs: Iterator[Any]) -> Iterator[Any]:
        for place, output in enumerate(outputs, start=1):
            yield output
            if place == self.dies_after:
                raise KeyboardInterrupt


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Tasks:
    made = Tasks()
    monkeypatch.setattr(stage, "task", made.task)
    monkeypatch.setattr(stage, "streamed", lambda function, *arguments: function.remote(*arguments))
    monkeypatch.setattr(stage, "whole_device", lambda _: TrialResources(1, 0.0, 1))
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyStore]:
    chain = [each.model_dump(mode="json") for each in (ASSISTANT, SMALLER)]
    with stores.create(tmp_path / "study", study_config(teacher=TEACHER.model_dump(), assistants=chain)) as made:
        yield made


def teach(store: StudyStore) -> tuple[TeacherRecord, str]:
    told = io.StringIO()
    progress = Progress(store.paths, store.record, Console(file=told, width=200), 1)
    space = search_spaces.build(store.config.space)
    launch = Launch(store, space, training_data(), TrialResources(1, 0.0, 2), progress, lambda: False)
    record = stage.teach(launch)
    assert read_record(launch.students_teacher.record, TeacherRecord) == record
    status = read_status(store.paths.root)
    assert f"teacher: {status.teachers}" in _shown(status)
    return record, told.getvalue()


def _shown(status: StatusRecord) -> str:
    console = Console(file=io.StringIO(), width=300, record=True)
    console.print(status_view(status))
    return console.export_text()


def test_last_assistant_is_the_students_teacher_and_the_chain_is_told(store: StudyStore, tasks: Tasks) -> None:
    record, told = teach(store)
    assert tasks.asked == ["train_teacher", "train_assistant", "train_assistant"]
    assert (record.model, record.loss) == (SMALLER.model, SMALLER.loss)
    chain = [read_record(store.paths.in_chain(place).record, TeacherRecord) for place in range(3)]
    assert [each and each.model.key for each in chain] == ["cnn(width=2)", "cnn(width=3)", "cnn(width=2)"]
    assert "training assistant cnn(width=3) by kd(alpha=1.0,temperature=2.0) under cnn(width=2) for 3 epochs" in told
    assert ", which teaches cnn(width=3), validation accuracy" in told
    assert ", which teaches cnn(width=3), validation accuracy" in str(read_status(store.paths.root).teachers)
    assert not any(store.paths.in_chain(place).checkpoint.exists() for place in range(3))


def test_each_learns_from_the_one_right_above_it(store: StudyStore, tasks: Tasks, tmp_path: Path) -> None:
    """The second assistant, trained apart under the first one's stored outputs, has the same weights."""
    teach(store)
    first = store.paths.in_chain(1)
    record = read_record(first.record, TeacherRecord)
    assert record is not None
    apart = StudyPaths(tmp_path / "apart").in_chain(2)
    list(train_assistant(SMALLER, training_data(), load_teacher(first, record), apart, "f", 1))
    assert apart.weights.read_bytes() == store.paths.in_chain(2).weights.read_bytes()
    assert tasks.asked[1:] == ["train_assistant"] * 2


def test_what_is_stored_is_not_trained_again(store: StudyStore, tasks: Tasks) -> None:
    first, _ = teach(store)
    tasks.asked.clear()
    again, told = teach(store)
    assert again == first
    assert tasks.asked == []
    assert "stored: cnn(width=2), validation accuracy" in told


def test_chain_that_was_cut_off_goes_on_below_what_is_stored(store: StudyStore, tasks: Tasks) -> None:
    """Killed in the first assistant's second epoch: the teacher stands, and the assistant has one epoch left."""
    teach(store)
    whole = store.paths.in_chain(2).weights.read_bytes()
    for place in (1, 2):
        for file in store.paths.in_chain(place).folder.glob("teacher.*"):
            file.unlink()
    tasks.asked.clear()
    tasks.dies_after = 2
    with pytest.raises(KeyboardInterrupt):
        teach(store)
    assert store.paths.in_chain(1).checkpoint.exists()
    tasks.dies_after = None
    _, told = teach(store)
    assert tasks.asked == ["train_assistant", "train_assistant", "train_assistant"]
    assert told.count("epoch 3 of 3") == 2
    assert told.count("epoch 1 of 3") == 1
    assert store.paths.in_chain(2).weights.read_bytes() == whole


@pytest.mark.parametrize("stage_name", ["teach", "study"])
def test_other_assistants_are_another_study(stage_name: Any) -> None:
    with_one = study_config(assistants=[ASSISTANT.model_dump(mode="json")])
    with_other = study_config(assistants=[SMALLER.model_dump(mode="json")])
    fingerprints = {each.fingerprint(stage_name) for each in (study_config(), with_one, with_other)}
    assert len(fingerprints) == 3
    assert with_one.fingerprint("profile") == study_config().fingerprint("profile")


def test_without_assistants_the_teacher_is_the_students(tmp_path: Path, tasks: Tasks) -> None:
    with stores.create(tmp_path / "plain", study_config(teacher=TEACHER.model_dump())) as plain:
        record, _ = teach(plain)
        assert tasks.asked == ["train_teacher"]
        assert record.loss is None
        assert plain.config.students_teacher == plain.config.teacher


def test_teacher_that_is_brought_is_stored_and_its_accuracy_told(tmp_path: Path, tasks: Tasks) -> None:
    with stores.create(tmp_path / "trained", study_config(teacher=TEACHER.model_dump())) as trained:
        theirs, _ = teach(trained)
        file = tmp_path / "teacher.safetensors"
        file.write_bytes(trained.paths.teacher.weights.read_bytes())
    config = study_config(teacher={"model": TEACHER.model.model_dump(), "weights": str(file)})
    with stores.create(tmp_path / "brought", config) as brought:
        record, told = teach(brought)
        assert tasks.asked == ["train_teacher", "bring_teacher"]
        assert record.validation_accuracy == theirs.validation_accuracy
        assert f"cnn(width=2), brought from {file} (SHA-256 " in told
        assert f"cnn(width=2), validation accuracy {theirs.validation_accuracy:.4f}" in told
        file.unlink()
        again, _ = teach(brought)  # what is stored needs its file no more
        assert again == record


def test_states_of_an_ensemble_go_once_its_record_stands(tmp_path: Path, tasks: Tasks) -> None:
    pair = TEACHER.model_copy(update={"num_members": 2})
    with stores.create(tmp_path / "study", study_config(teacher=pair.model_dump())) as store:
        record, told = teach(store)
        assert tasks.asked == ["train_teacher"]
        assert record.model.options["num_members"] == 2
        assert "member 2, epoch 3 of 3: validation accuracy" in told
        assert store.paths.teacher.record.exists()
        assert store.paths.teacher.checkpoints == []


@pytest.mark.usefixtures("tasks")
def test_brought_teacher_that_knows_nothing_fails_the_stage(tmp_path: Path) -> None:
    """Its last layer gives every image the same class, of three."""
    network = build(TEACHER.model, input_shape=(1, 8, 8), num_classes=3)
    torch.nn.init.zeros_(network.classifier.weight)  # type: ignore[union-attr, arg-type]
    save_weights(tmp_path / "t.safetensors", network.state_dict())
    config = study_config(teacher={"model": TEACHER.model.model_dump(), "weights": str(tmp_path / "t.safetensors")})
    with (
        stores.create(tmp_path / "study", config) as store,
        pytest.raises(StageFailedError, match=r"validation accuracy 0\.3333, where chance has 0\.3333"),
    ):
        teach(store)
    assert not store.paths.teacher.record.exists()


def test_file_that_is_gone_fails_the_stage_in_one_line(tmp_path: Path, tasks: Tasks) -> None:
    config = study_config(teacher={"model": TEACHER.model.model_dump(), "weights": str(tmp_path / "gone.pth")})
    with (
        stores.create(tmp_path / "study", config) as store,
        pytest.raises(StageFailedError, match=r"gone\.pth: there is no such file"),
    ):
        teach(store)
    assert tasks.asked == []


def test_too_long_a_chain_is_refused() -> None:
    with pytest.raises(ValueError, match=r"assistants[\s\S]*at most 8 items"):
        study_config(assistants=[ASSISTANT.model_dump(mode="json")] * 9)
