"""Stored views: a student under them is the student under the live teacher, and which students they serve."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.factories import device_data, student, training_data
from tests.trainables.test_teacher import train
from trainables.config import AugmentationConfig, LossConfig, RandAugmentConfig, StudentConfig, TransferConfig
from trainables.run_start import student_run
from trainables.stored_views import StoredViews
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher
from trainables.teacher_outputs import LiveTeacher, Split, StoredOutputs, Teacher, TeacherArrays, ViewTable
from trainables.training import DistillationRun
from trainables.view_tables import ViewSet, load_views, store_views

KD = LossConfig(name="kd", options={"alpha": 0.5})
MATCHING = LossConfig(name="function_matching")
CROPS = AugmentationConfig(shift_pixels=2, flip=True)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


def with_views(arrays: TeacherArrays, folder: Path, *view_sets: ViewSet, stored_only: bool = False) -> TeacherArrays:
    paths = StudyPaths(folder).teacher
    for _ in store_views(view_sets, arrays, training_data(), paths, "f", 1):
        pass
    tables = load_views(view_sets, training_data(), paths, "f")
    return TeacherArrays(
        arrays.model, arrays.weights, arrays.train_logits_NC, arrays.validation_logits_NC, stored_only, tables
    )


def shown(
    augmentation: AugmentationConfig, *, loss: LossConfig = KD, transfer: TransferConfig | None = None, **changes: Any
) -> StudentConfig:
    config = student(loss=loss, **changes)
    training = config.training.model_copy(update={"augmentation": augmentation})
    return config.model_copy(update={"training": training, "transfer": transfer or TransferConfig()})


def begun(config: StudentConfig, arrays: TeacherArrays) -> DistillationRun:
    data = device_data()
    return student_run(
        config, data, Teacher(arrays, data.device, input_shape=data.input_shape, num_classes=data.num_classes)
    )


def trained(config: StudentConfig, arrays: TeacherArrays, source: type) -> tuple[list[float], dict[str, torch.Tensor]]:
    run = begun(config, arrays)
    assert isinstance(run._teacher, source)
    losses = []
    while not run.is_finished:
        losses.append(run.run_epoch().train_loss)
    return losses, run.model.state_dict()


@pytest.mark.parametrize(
    ("loss", "augmentation"),
    [
        (KD, CROPS),
        (KD, AugmentationConfig(flip=True, cutout_pixels=3, rand_augment=RandAugmentConfig(num_ops=1))),
        (LossConfig(name="dkd"), CROPS),
        (MATCHING, AugmentationConfig(shift_pixels=1, mixup=1.0)),
        (KD, CROPS.model_copy(update={"num_views": 2})),
    ],
    ids=["crop and flip", "flip, cutout and RandAugment", "another loss of logits", "mixed", "two views"],
)
def test_student_under_stored_views_is_the_student_under_the_live_teacher(
    loss: LossConfig, augmentation: AugmentationConfig, arrays: TeacherArrays, tmp_path: Path
) -> None:
    """Their batches are others, and so the teacher's rounding; each epoch must have looked its own view up."""
    config = shown(augmentation, loss=loss, epochs=3)
    views = ViewSet(seed=0, augmentation=augmentation, num_views=augmentation.views_within(3))
    live_losses, live = trained(config, arrays, LiveTeacher)
    losses, stored = trained(config, with_views(arrays, tmp_path, views), StoredViews)
    assert losses == pytest.approx(live_losses, rel=1e-5)
    for name, weights in live.items():
        torch.testing.assert_close(stored[name], weights, rtol=1e-4, atol=1e-5)


def test_another_epochs_views_make_another_student(arrays: TeacherArrays, tmp_path: Path) -> None:
    """The tolerance above would not let a view's logits be taken for another's."""
    arrays = with_views(arrays, tmp_path, ViewSet(seed=0, augmentation=CROPS, num_views=3))
    (table,) = arrays.view_tables
    wrong = ViewTable(table.seed, table.augmentation, table.logits_NC[::-1])
    mistaken = TeacherArrays(
        arrays.model, arrays.weights, arrays.train_logits_NC, arrays.validation_logits_NC, False, (wrong,)
    )
    losses, _ = trained(shown(CROPS, epochs=3), arrays, StoredViews)
    assert trained(shown(CROPS, epochs=3), mistaken, StoredViews)[0] != pytest.approx(losses, rel=1e-3)


def test_images_shown_as_they_are_have_their_own_table(arrays: TeacherArrays, tmp_path: Path) -> None:
    """Validation images, and training images where they are evaluated: as under the live teacher."""
    config = shown(CROPS, epochs=1)
    live, stored = (
        begun(config, each)
        for each in (arrays, with_views(arrays, tmp_path, ViewSet(seed=0, augmentation=CROPS, num_views=1)))
    )
    assert isinstance(stored._teacher, StoredViews)
    stored.run_epoch()
    live.run_epoch()
    for split in Split:
        assert stored.evaluate(split).agreement == live.evaluate(split).agreement


def test_on_a_cpu_the_tables_are_the_given_arrays(arrays: TeacherArrays, tmp_path: Path) -> None:
    arrays = with_views(arrays, tmp_path, ViewSet(seed=0, augmentation=CROPS, num_views=1))
    run = begun(shown(CROPS, epochs=1), arrays)
    run.run_epoch()
    assert isinstance(run._teacher, StoredViews)
    assert run._teacher._present is not None
    own = np.asarray(arrays.view_tables[0].logits_NC[0]).__array_interface__["data"][0]
    assert run._teacher._present[1].data_ptr() == own
    assert not arrays.view_tables[0].logits_NC[0].flags.writeable


SOME = TransferConfig(share=0.5)
MIXED = AugmentationConfig(mixup=1.0)


@pytest.mark.parametrize(
    ("views", "config", "source"),
    [
        ((CROPS, 0, 3), shown(CROPS, epochs=3), StoredViews),
        ((CROPS, 0, 3), shown(CROPS, epochs=3, transfer=SOME), StoredViews),
        ((CROPS, 0, 2), shown(CROPS, epochs=3), LiveTeacher),
        ((CROPS, 0, 2), shown(CROPS.model_copy(update={"num_views": 2}), epochs=3), StoredViews),
        ((CROPS, 0, 3), shown(CROPS, epochs=3, seed=1), LiveTeacher),
        ((CROPS, 0, 3), shown(AugmentationConfig(shift_pixels=2), epochs=3), LiveTeacher),
        ((CROPS, 0, 3), shown(CROPS, epochs=3, loss=LossConfig(name="attention")), LiveTeacher),
        ((CROPS, 0, 3), shown(CROPS, epochs=3, loss=LossConfig(name="boundary")), LiveTeacher),
        ((CROPS, 0, 3), shown(AugmentationConfig(), epochs=3), StoredOutputs),
        ((CROPS, 0, 3), shown(CROPS, epochs=3, loss=LossConfig(name="labels")), StoredOutputs),
        ((MIXED, 0, 3), shown(MIXED, epochs=3, loss=MATCHING, transfer=TransferConfig(label_share=0.5)), StoredViews),
        ((MIXED, 0, 3), shown(MIXED, epochs=3, loss=MATCHING, transfer=SOME), LiveTeacher),
        (
            (MIXED, 0, 3),
            shown(MIXED, epochs=3, loss=MATCHING, transfer=TransferConfig(omitted_classes=(0,))),
            LiveTeacher,
        ),
    ],
    ids=[
        "its views",
        "a share of the images, in views that are all the images'",
        "too few views",
        "as few as it is shown",
        "another seed",
        "another augmentation",
        "features",
        "the network",
        "no views",
        "no teacher's logits",
        "mixed with any image",
        "mixed within a share",
        "mixed within its classes",
    ],
)
def test_tables_serve_students_whose_every_view_they_hold(
    views: tuple[AugmentationConfig, int, int], config: StudentConfig, source: type, arrays: TeacherArrays
) -> None:
    augmentation, seed, num_views = views
    logits = tuple(np.zeros((120, 3), np.float32) for _ in range(num_views))
    tables = (ViewTable(seed, augmentation, logits),)
    taught = TeacherArrays(
        arrays.model, arrays.weights, arrays.train_logits_NC, arrays.validation_logits_NC, False, tables
    )
    assert isinstance(begun(config, taught)._teacher, source)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (shown(CROPS, epochs=4), "needs a live teacher: its logits on these views are not stored"),
        (shown(MIXED, loss=MATCHING, transfer=SOME), "needs a live teacher: some images are left out, and which one"),
    ],
)
def test_student_that_tables_do_not_serve_is_refused_where_the_teacher_must_not_be_run(
    config: StudentConfig, message: str, arrays: TeacherArrays, tmp_path: Path
) -> None:
    arrays = with_views(arrays, tmp_path, ViewSet(seed=0, augmentation=CROPS, num_views=3), stored_only=True)
    with pytest.raises(ValueError, match=message):
        begun(config, arrays)
    assert isinstance(begun(shown(CROPS, epochs=3), arrays)._teacher, StoredViews)


def test_resumed_student_looks_the_later_views_up(arrays: TeacherArrays, tmp_path: Path) -> None:
    """Cut off in the middle of its second epoch, it ends with the bits of one that was not."""
    config = shown(CROPS, epochs=3)
    arrays = with_views(arrays, tmp_path, ViewSet(seed=0, augmentation=CROPS, num_views=3))
    _, whole = trained(config, arrays, StoredViews)
    first = begun(config, arrays)
    _run_to(first, (1.0, 1.5))
    second = begun(config, arrays)
    second.load_state_dict(first.state_dict())
    _run_to(second, (2.0, 3.0))
    assert all(torch.equal(second.model.state_dict()[name], weights) for name, weights in whole.items())


def _run_to(run: DistillationRun, moments: Sequence[float]) -> None:
    for moment in moments:
        run.run_until(moment)
