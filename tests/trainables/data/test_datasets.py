"""What every dataset of the registry must do, on small files of the format that it is published in."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.data import published_files as made
from trainables import data
from trainables.config import DatasetConfig, NamedConfig
from trainables.data import cache, cifar
from trainables.data.image_arrays import Dataset
from trainables.data.split import split

NOT_A_FUNCTION = 7
MAKERS: dict[str, Callable[[Path, pytest.MonkeyPatch], made.Made]] = {
    "arrays": made.make_arrays,
    "cifar10": made.make_cifar(cifar.CIFAR10, 0),
    "cifar100": made.make_cifar(cifar.CIFAR100, 1),
    "fashion_mnist": made.make_fashion_mnist,
    "image_folder": made.make_image_folder,
    "tiny_imagenet": made.make_tiny_imagenet,
}
IN_THE_PACKAGE = {"mnist"}
FOUND_BY_DEFAULT = ["cifar10", "cifar100", "fashion_mnist", "tiny_imagenet"]
of_every_dataset = pytest.mark.parametrize("name", sorted(MAKERS))


def not_a_dataset() -> str:
    return "seven"


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_every_dataset_is_run_here() -> None:
    assert MAKERS.keys() | IN_THE_PACKAGE == data.DATASETS.keys()


@of_every_dataset
def test_images_and_labels_are_those_in_the_files(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = MAKERS[name](tmp_path / "files", monkeypatch)
    dataset = data.load(NamedConfig(name=name, options=expected.options))
    assert (dataset.name, dataset.num_classes) == (name, expected.num_classes)
    for part, (pixels_NCHW, labels_N) in (
        (dataset.train, expected.images["train"]),
        (dataset.test, expected.images["test"]),
    ):
        assert part.labels_N.tolist() == labels_N.tolist()
        np.testing.assert_allclose(part.images_NCHW.astype(int), pixels_NCHW.astype(int), atol=expected.tolerance)


@of_every_dataset
def test_images_are_decoded_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = NamedConfig(name=name, options=MAKERS[name](tmp_path / "files", monkeypatch).options)
    first = data.load(config)
    monkeypatch.setattr(cache, "_build", lambda *_: pytest.fail("it is decoded again"))
    second = data.load(config)
    assert bits(second) == bits(first)
    assert (second.mean_C, second.std_C) == (first.mean_C, first.std_C)


@of_every_dataset
def test_training_and_validation_images_are_cut_from_the_training_split(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = MAKERS[name](tmp_path / "files", monkeypatch).options
    config = DatasetConfig(name=name, options=options, num_validation_images=5)
    dataset = data.load(config)
    parts = split(dataset, config)
    assert (len(parts.validation), len(parts.train)) == (5, len(dataset.train) - 5)
    together = {image.tobytes() for part in (parts.train, parts.validation) for image in part.images_NCHW}
    assert together == {image.tobytes() for image in dataset.train.images_NCHW}


@of_every_dataset
def test_images_go_to_an_object_store_without_a_copy(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mapped array of NumPy's own kind would be pickled by value, in the message itself."""
    dataset = data.load(NamedConfig(name=name, options=MAKERS[name](tmp_path / "files", monkeypatch).options))
    buffers: list[pickle.PickleBuffer] = []
    packed = pickle.dumps(dataset, protocol=5, buffer_callback=buffers.append)
    assert len(packed) < 2_000
    restored = pickle.loads(packed, buffers=[buffer.raw().toreadonly() for buffer in buffers])  # noqa: S301
    assert bits(restored) == bits(dataset)


@of_every_dataset
def test_an_unknown_option_is_refused_beside_those_there_are(name: str) -> None:
    allowed = "path, layout" if name == "arrays" else "root"
    with pytest.raises(ValueError, match=rf'dataset "{name}": there is no option rot = "?.*; allowed are {allowed}'):
        data.load(NamedConfig(name=name, options={"rot": "x"}))


@of_every_dataset
def test_where_there_are_no_files_the_full_path_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    option = "path" if name == "arrays" else "root"
    with pytest.raises(ValueError, match=rf"{tmp_path}/nothing"):
        data.load(NamedConfig(name=name, options={option: "nothing"}))


@pytest.mark.parametrize("name", FOUND_BY_DEFAULT)
def test_published_files_are_found_in_the_cache_folder(
    name: str, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MAKERS[name](cache_folder / "datasets", monkeypatch)
    assert data.load(name).name == name


@pytest.mark.parametrize("name", FOUND_BY_DEFAULT)
def test_missing_files_are_told_with_where_they_are_published_and_where_they_belong(
    name: str, cache_folder: Path
) -> None:
    with pytest.raises(ValueError, match=rf"Nothing is downloaded: take them from http.* {cache_folder}/datasets/\S+"):
        data.load(name)


@pytest.mark.parametrize("name", sorted(data.DATASETS.keys() - IN_THE_PACKAGE))
def test_an_option_of_another_kind_is_refused_by_name(name: str) -> None:
    option = "path" if name == "arrays" else "root"
    with pytest.raises(ValueError, match=rf'dataset "{name}": option {option} = 3: input should be a valid string'):
        data.load(NamedConfig(name=name, options={option: 3}))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r'unknown dataset "mnits": allowed are .*mnist'):
        data.load("mnits")


def test_an_entry_that_cannot_be_called_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=f'dataset "{__name__}:NOT_A_FUNCTION" is a int: it must be a function'):
        data.load(f"{__name__}:NOT_A_FUNCTION")


def test_an_entry_that_returns_something_else_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"not_a_dataset\" returned a str: it must return a .*image_arrays\.Dataset"):
        data.load(f"{__name__}:not_a_dataset")


def bits(dataset: Dataset) -> list[bytes]:
    parts = (dataset.train, dataset.test)
    return [array.tobytes() for part in parts for array in (part.images_NCHW, part.labels_N)]
