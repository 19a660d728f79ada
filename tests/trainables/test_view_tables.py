"""The teacher's logits on views as files: what they hold, and what becomes of them where their task is cut off."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.factories import device_data, training_data
from tests.trainables.test_teacher import train
from trainables.config import AugmentationConfig, RandAugmentConfig
from trainables.data.views import EpochViews
from trainables.models import build
from trainables.study_paths import StudyPaths, TeacherPaths
from trainables.teacher import load_teacher
from trainables.teacher_outputs import Split, TeacherArrays
from trainables.view_tables import ViewSet, load_views, store_views

VIEWS = ViewSet(seed=5, augmentation=AugmentationConfig(shift_pixels=2, flip=True), num_views=3)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


@pytest.fixture
def paths(tmp_path: Path) -> TeacherPaths:
    return StudyPaths(tmp_path).teacher


def store(teacher: TeacherArrays, paths: TeacherPaths, *view_sets: ViewSet) -> int:
    return len(list(store_views(view_sets or (VIEWS,), teacher, training_data(), paths, "f", 1)))


def test_each_view_holds_what_the_weights_say_of_the_images_that_a_training_shows(
    teacher: TeacherArrays, paths: TeacherPaths
) -> None:
    assert store(teacher, paths) == 3
    (table,) = load_views([VIEWS], training_data(), paths, "f")
    network = build(teacher.model, input_shape=(1, 8, 8), num_classes=3).eval()
    network.load_state_dict({name: torch.tensor(weights) for name, weights in teacher.weights.items()})
    images, members_N = device_data().images[Split.TRAIN], torch.arange(120)
    for epoch, logits_NC in enumerate(table.logits_NC):
        views = EpochViews.of(VIEWS.augmentation, 5, epoch, members_N, 120, (1, 8, 8))
        with torch.no_grad():
            expected_NC = network(images.viewed(members_N, views))
        np.testing.assert_allclose(logits_NC, expected_NC.numpy(), rtol=1e-5, atol=1e-5)
        assert logits_NC.dtype == np.float32


def test_what_was_cut_off_goes_on_with_the_views_that_are_missing(
    teacher: TeacherArrays, paths: TeacherPaths, tmp_path: Path
) -> None:
    """Ended after its second view, as by a kill; the third is made then, and the others are as they were."""
    whole = StudyPaths(tmp_path / "whole").teacher
    store(teacher, whole)
    task = store_views([VIEWS], teacher, training_data(), paths, "f", 1)
    next(task)
    next(task)
    task.close()  # type: ignore[attr-defined] # a generator
    files = VIEWS.files(paths, "f")
    assert [file.exists() for file in files] == [True, True, False]
    before = [file.stat().st_mtime_ns for file in files[:2]]
    assert store(teacher, paths) == 1
    assert [file.stat().st_mtime_ns for file in files[:2]] == before
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in VIEWS.files(whole, "f")]
    assert store(teacher, paths) == 0


def test_write_that_fails_leaves_no_part_of_a_view(
    teacher: TeacherArrays, paths: TeacherPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(file: Path, logits_NC: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> None:
        file.write_bytes(logits_NC.tobytes()[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", torn)
        with pytest.raises(OSError, match="No space left"):
            store(teacher, paths)
    assert list(paths.views.iterdir()) == []


def test_more_views_of_the_same_kind_add_to_those_that_are_there(teacher: TeacherArrays, paths: TeacherPaths) -> None:
    store(teacher, paths)
    assert store(teacher, paths, VIEWS.model_copy(update={"num_views": 5})) == 2


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"num_views": 9}, True),
        ({"augmentation": VIEWS.augmentation.model_copy(update={"num_views": 2})}, True),
        ({"seed": 6}, False),
        ({"augmentation": AugmentationConfig(shift_pixels=2)}, False),
        ({"augmentation": AugmentationConfig(shift_pixels=2, flip=True, rand_augment=RandAugmentConfig())}, False),
    ],
)
def test_files_are_named_by_what_makes_a_view(changes: dict[str, object], is_same: bool) -> None:
    other = VIEWS.model_copy(update=changes)
    assert (other.fingerprint("f") == VIEWS.fingerprint("f")) is is_same
    assert other.fingerprint("another teacher") != VIEWS.fingerprint("f")


def test_network_of_outputs_that_are_not_finite_stores_none(teacher: TeacherArrays, paths: TeacherPaths) -> None:
    weights = {name: np.full_like(each, np.nan) for name, each in teacher.weights.items()}
    broken = TeacherArrays(teacher.model, weights, teacher.train_logits_NC, teacher.validation_logits_NC)
    with pytest.raises(ValueError, match="an output on view 0 of the training images is not finite"):
        store(broken, paths)
    assert not paths.views.exists()


def test_tables_travel_beside_the_pickle_and_not_within_it(teacher: TeacherArrays, paths: TeacherPaths) -> None:
    """What pickle hands out lies in the object store once a node, and every trial reads it there (protocol 5)."""
    many = VIEWS.model_copy(update={"num_views": 20})
    store(teacher, paths, many)
    tables, buffers = load_views([many], training_data(), paths, "f"), list[pickle.PickleBuffer]()
    within = pickle.dumps(tables, protocol=5, buffer_callback=buffers.append)
    assert sum(each.raw().nbytes for each in buffers) == 20 * 120 * 3 * 4
    assert len(within) < 20 * 120 * 3 * 4 / 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "cannot be read"),
        (lambda file: file.write_bytes(file.read_bytes()[:-4]), "cannot be read"),
        (lambda file: np.save(file, np.zeros((120, 4), np.float32)), r"shape \(120, 4\), where float32 of shape \(120"),
        (lambda file: np.save(file, np.zeros((120, 3))), "float64 of shape"),
    ],
)
def test_file_that_is_no_such_table_is_named(
    damage: Callable[[Path], object], message: str, teacher: TeacherArrays, paths: TeacherPaths
) -> None:
    store(teacher, paths)
    file = VIEWS.files(paths, "f")[1]
    damage(file)
    with pytest.raises(ValueError, match=message) as caught:
        load_views([VIEWS], training_data(), paths, "f")
    assert str(file) in str(caught.value)
