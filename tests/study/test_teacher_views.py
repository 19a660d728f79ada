"""The step between teacher and search with its task run in this process: what is stored, told, kept and thrown away."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import search_spaces
from study import store as stores
from study import teach as teaching
from study import teacher_views as stage
from study.cluster import TrialResources
from study.errors import StageFailedError
from study.failures import refusal_of
from study.launch import Launch
from study.progress import Progress
from study.store import StudyStore
from study.verification_plan import fresh_seed
from tests.factories import device_data, student, study_config, training_data
from tests.study.test_teach import Tasks
from tests.trainables.test_assistant import ASSISTANT
from tests.trainables.test_teacher import TEACHER
from trainables.config import AugmentationConfig, LossConfig
from trainables.data.views import EpochViews
from trainables.records import OutputsRecord
from trainables.teacher_outputs import Batch, Split, Teacher, TeacherArrays
from trainables.verified import PlannedRun, Role
from trainables.whole_files import read_record

CROPS = AugmentationConfig(shift_pixels=2)
SPACE = {
    "name": "cnn_distillation",
    "options": {"widths": [1, 2], "batch_sizes": [64], "epochs": 3, "shift_pixels": 2},
}


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Tasks:
    made = Tasks()
    for module in (teaching, stage):
        monkeypatch.setattr(module, "task", made.task)
        monkeypatch.setattr(module, "streamed", lambda function, *arguments: function.remote(*arguments))
        monkeypatch.setattr(module, "whole_device", lambda _: TrialResources(1, 0.0, 1))
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StudyStore]:
    with created(tmp_path / "study") as made:
        yield made


def created(folder: Path, *, outputs: str = "auto", **changes: Any) -> Any:
    teacher = TEACHER.model_dump() | {"outputs": outputs}
    return stores.create(folder, study_config(teacher=teacher, space=SPACE, **changes))


class Stage:
    """A study's launch with a teacher that is trained, and what it has told."""

    def __init__(self, store: StudyStore) -> None:
        self._told = io.StringIO()
        progress = Progress(store.paths, store.record, Console(file=self._told, width=200), 1)
        space = search_spaces.build(store.config.space)
        self.launch = Launch(store, space, training_data(), TrialResources(1, 0.0, 2), progress, lambda: False)
        self.teacher = teaching.teach(self.launch)
        self._told.truncate(0)

    @property
    def views(self) -> list[Path]:
        return sorted(self.launch.students_teacher.views.glob("*"))

    def search_teacher(self) -> tuple[TeacherArrays, str]:
        self._told.truncate(0)
        return stage.search_teacher(self.launch, self.teacher), self._told.getvalue()

    def record(self) -> OutputsRecord | None:
        return read_record(self.launch.students_teacher.outputs, OutputsRecord)


def test_search_has_the_tables_of_its_own_seed_and_says_so(store: StudyStore, tasks: Tasks) -> None:
    """6 trials, half of them kd's, in 3 epochs: 9 passes, where 3 views take 3."""
    made = Stage(store)
    arrays, told = made.search_teacher()
    assert "teacher outputs: stored for 3 views, 4 KiB: 3 times fewer teacher passes than live" in told
    assert told.count("view 3 of 3") == 1
    assert tasks.asked == ["train_teacher", "store_views"]
    (table,) = arrays.view_tables
    assert (table.seed, table.augmentation, len(table.logits_NC)) == (store.config.seed, CROPS, 3)
    assert len(made.views) == 3
    assert made.record() == OutputsRecord(num_views=3, num_bytes=4320, replaced_passes=9.0, live_passes=0.0)


def test_what_is_stored_is_not_made_again(store: StudyStore, tasks: Tasks) -> None:
    made = Stage(store)
    first, _ = made.search_teacher()
    tasks.asked.clear()
    again, told = made.search_teacher()
    assert tasks.asked == []
    assert "(3 of them are there already)" in told
    for before, after in zip(first.view_tables[0].logits_NC, again.view_tables[0].logits_NC, strict=True):
        assert np.array_equal(before, after)


def test_step_that_was_cut_off_makes_the_views_that_are_missing(store: StudyStore, tasks: Tasks) -> None:
    made = Stage(store)
    tasks.dies_after = 2
    with pytest.raises(KeyboardInterrupt):
        made.search_teacher()
    tasks.dies_after = None
    _, told = made.search_teacher()
    assert "(2 of them are there already)" in told
    assert told.count("view 1 of 1") == 1


def test_files_of_another_teacher_go(store: StudyStore, tasks: Tasks) -> None:
    made = Stage(store)
    made.search_teacher()
    old = made.views
    made.teacher = made.teacher.model_copy(update={"fingerprint": "another"})
    made.search_teacher()
    assert len(made.views) == 3
    assert not set(made.views) & set(old)
    assert tasks.asked.count("store_views") == 2


@pytest.mark.parametrize(
    ("changes", "told_of"),
    [
        ({"outputs": "live"}, 'teacher outputs: live: teacher.outputs = "live"'),
        ({"search": {"num_trials": 2}}, "teacher outputs: live: 3 passes over the images, where storing takes 3"),
    ],
)
def test_live_teacher_is_not_run_beforehand(
    changes: dict[str, Any], told_of: str, tmp_path: Path, tasks: Tasks
) -> None:
    with created(tmp_path / "live", **changes) as store:
        made = Stage(store)
        arrays, told = made.search_teacher()
        record = made.record()
    assert told_of in told
    assert tasks.asked == ["train_teacher"]
    assert (arrays.view_tables, arrays.stored_only, made.views) == ((), False, [])
    assert record is not None
    assert record.num_views == 0
    assert record.live_passes > 0


def test_study_without_views_is_told_nothing(tmp_path: Path, tasks: Tasks) -> None:
    plain = {**SPACE, "options": {"widths": [1, 2], "batch_sizes": [64]}}
    config = study_config(teacher=TEACHER.model_dump(), space=plain)
    with stores.create(tmp_path / "plain", config) as store:
        made = Stage(store)
        arrays, told = made.search_teacher()
        assert (arrays.view_tables, told, made.record()) == ((), "", None)
    assert tasks.asked == ["train_teacher"]


def test_tables_are_of_the_last_assistant(tmp_path: Path, tasks: Tasks) -> None:
    """It is what teaches the students: its own weights say what stands in them."""
    with created(tmp_path / "chain", assistants=[ASSISTANT.model_dump(mode="json")]) as store:
        made = Stage(store)
        arrays, _ = made.search_teacher()
        assert made.views[0].parent == store.paths.in_chain(1).views
    assert tasks.asked == ["train_teacher", "train_assistant", "store_views"]
    assert arrays.model == ASSISTANT.model
    data = device_data()
    images, every_N = data.images[Split.TRAIN], data.images[Split.TRAIN].labels_N.new_tensor(range(120))
    views = EpochViews.of(CROPS, store.config.seed, 1, every_N, 120, (1, 8, 8))
    batch = Batch(Split.TRAIN, every_N, images.viewed(every_N, views), images.labels_N)
    live = Teacher(arrays, data.device, input_shape=data.input_shape, num_classes=3).live(())
    np.testing.assert_allclose(live.outputs(batch).logits_NC, arrays.view_tables[0].logits_NC[1], rtol=1e-4, atol=1e-5)


def test_disk_without_room_fails_the_step_before_the_teacher_runs(
    store: StudyStore, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Stage(store)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4319))
    with pytest.raises(StageFailedError, match=r"views take 4 KiB, and 4 KiB are free there: make room") as raised:
        made.search_teacher()
    assert refusal_of(raised.value) is not None  # it is waited for
    assert tasks.asked == ["train_teacher"]


def test_damaged_table_fails_the_step_in_one_line(store: StudyStore, tasks: Tasks) -> None:
    made = Stage(store)
    made.search_teacher()
    made.views[1].write_bytes(b"nothing")
    with pytest.raises(StageFailedError, match=r"-1\.npy: the stored teacher outputs cannot be read"):
        made.search_teacher()
    assert tasks.asked.count("store_views") == 1


def planned(store: StudyStore, loss: str, index: int) -> PlannedRun:
    config = student(loss=LossConfig(name=loss), epochs=2, shift_pixels=2, seed=fresh_seed(store.config.seed, index))
    return PlannedRun(trial=0, role=Role.STUDENT, seed_index=index, student=config, fingerprint=f"{loss}{index}")


def of_seeds(store: StudyStore) -> list[PlannedRun]:
    return [planned(store, loss, index) for loss in ("labels", "kd") for index in (1, 2)]


def test_verification_runs_the_teacher_where_it_may(store: StudyStore, tasks: Tasks) -> None:
    made, runs = Stage(store), of_seeds(store)
    made.search_teacher()
    ((arrays, together),) = stage.taught(made.launch, made.teacher, runs)
    assert list(together) == runs
    assert arrays.view_tables == ()
    assert tasks.asked.count("store_views") == 1


def test_verification_under_stored_outputs_has_tables_for_one_fresh_seed_after_the_other(
    tmp_path: Path, tasks: Tasks
) -> None:
    """Those of the search stay, and there are never more than one seed's beside them."""
    with created(tmp_path / "stored", outputs="stored") as store:
        made, runs = Stage(store), of_seeds(store)
        made.search_teacher()
        of_search, seeds = made.views, []
        for arrays, group in stage.taught(made.launch, made.teacher, runs):
            (table,) = arrays.view_tables
            assert {each.student.training.seed for each in group} == {table.seed}
            assert [each.student.loss.name for each in group] == ["labels", "kd"]
            assert len(made.views) == len(of_search) + 2
            assert arrays.stored_only
            seeds.append(table.seed)
        assert made.views == of_search
    assert seeds == [fresh_seed(store.config.seed, index) for index in (1, 2)]
    assert tasks.asked.count("store_views") == 3


def test_verification_that_was_cut_off_keeps_the_tables_of_its_seed(tmp_path: Path, tasks: Tasks) -> None:
    with created(tmp_path / "stored", outputs="stored") as store:
        made, runs = Stage(store), of_seeds(store)
        groups = stage.taught(made.launch, made.teacher, runs)
        next(groups)
        groups.close()  # type: ignore[attr-defined] # a generator
        assert len(made.views) == 2
        tasks.asked.clear()
        for _ in stage.taught(made.launch, made.teacher, runs):
            pass
        assert tasks.asked == ["store_views"]  # of the second seed
        assert made.views == []
