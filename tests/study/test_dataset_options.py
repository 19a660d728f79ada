"""A dataset's options, from the study file to the images; studies without any are what they were."""

from pathlib import Path

import pytest

from study.preflight import prepare
from tests.factories import study_config
from tests.trainables.data.published_files import make_image_folder
from trainables.config import DatasetConfig
from trainables.verification import load_test_split

OLDER_FIELDS = {"name": "mnist", "num_validation_images": 5_000, "split_seed": 0, "max_train_images": None}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    make_image_folder(tmp_path / "images", monkeypatch)
    return tmp_path / "images"


def test_dataset_without_options_is_written_as_before_there_were_any() -> None:
    """So that the fingerprints of older studies, hashes of this, stand."""
    assert DatasetConfig().model_dump(mode="json") == OLDER_FIELDS
    assert DatasetConfig.model_validate(OLDER_FIELDS) == DatasetConfig()


def test_options_survive_json_and_make_trained_teachers_stale() -> None:
    options = {"root": "/data", "image_size": (8, 8), "grayscale": True}
    plain, changed = study_config(), study_config(dataset={"options": options})
    assert DatasetConfig.model_validate_json(changed.dataset.model_dump_json()) == changed.dataset
    assert changed.fingerprint("teach") != plain.fingerprint("teach")


def test_study_sees_the_images_that_its_options_name(root: Path) -> None:
    dataset = {
        "name": "image_folder",
        "options": {"root": str(root), "image_size": [8, 8], "grayscale": True},
        "num_validation_images": 9,
    }
    config = study_config(dataset=dataset)
    _, data = prepare(config)
    assert (data.input_shape, data.num_classes, len(data.train)) == ((1, 8, 8), 3, 21)
    assert load_test_split(config.dataset).image_shape == (1, 8, 8)


def test_study_whose_options_are_wrong_is_refused_before_its_launch(root: Path) -> None:
    dataset = {"name": "image_folder", "options": {"root": str(root), "image_size": [0, 8]}}
    with pytest.raises(ValueError, match=r'dataset "image_folder": option image_size\.0 = .*: input should be greater'):
        prepare(study_config(dataset=dataset))
