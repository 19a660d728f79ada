"""Folders of images of one's own: what a class is, what an image is, and what is neither."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.published_files import make_image_folder
from trainables.data import folder as image_folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    make_image_folder(tmp_path / "images", monkeypatch)
    return tmp_path / "images"


def test_statistics_are_those_of_the_training_images(root: Path) -> None:
    dataset = image_folder.load(root=str(root))
    pixels = dataset.train.images_NCHW / 255
    np.testing.assert_allclose(dataset.mean_C, pixels.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(dataset.std_C, pixels.std((0, 2, 3)), rtol=1e-9)


def test_gray_is_the_luma_of_the_colours(root: Path) -> None:
    """ITU-R 601: 0.299 red, 0.587 green, 0.114 blue."""
    coloured, gray = image_folder.load(root=str(root)), image_folder.load(root=str(root), grayscale=True)
    luma = np.einsum("nchw,c->nhw", coloured.train.images_NCHW.astype(float), [0.299, 0.587, 0.114])
    assert gray.train.image_shape == (1, 6, 5)
    np.testing.assert_allclose(gray.train.images_NCHW[:, 0], luma, atol=1)
    assert len(gray.mean_C) == 1


def test_images_are_brought_to_the_size_that_is_asked_for(root: Path) -> None:
    """Height comes first, and an image of one colour stays of it."""
    Image.new("RGB", (40, 30), (10, 200, 30)).save(root / "train" / "class-a" / "000.png")
    dataset = image_folder.load(root=str(root), image_size=(4, 7))
    assert dataset.train.image_shape == dataset.test.image_shape == (3, 4, 7)
    place = sorted(file.name for file in (root / "train" / "class-a").iterdir()).index("000.png")
    assert (dataset.train.images_NCHW[place] == np.array([10, 200, 30]).reshape(3, 1, 1)).all()


def test_class_without_test_images_keeps_its_number(root: Path) -> None:
    for file in (root / "test" / "class-b").iterdir():
        file.unlink()
    (root / "test" / "class-b").rmdir()
    dataset = image_folder.load(root=str(root))
    assert dataset.num_classes == 3
    assert set(dataset.test.labels_N.tolist()) == {0, 2}


def test_hidden_files_do_not_count(root: Path) -> None:
    num_images = len(image_folder.load(root=str(root)).train)
    (root / "train" / ".DS_Store").write_bytes(b"")
    (root / "train" / "class-a" / ".DS_Store").write_bytes(b"")
    assert len(image_folder.load(root=str(root)).train) == num_images


def file_at(path: str, content: bytes = b"text") -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)

    return change


def image_at(path: str, mode: str = "RGB", size: tuple[int, int] = (5, 6)) -> Callable[[Path], None]:
    return lambda root: Image.new(mode, size).save(root / path)


def moved(source: str, target: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / source).rename(root / target)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (file_at("train/class-a/zz.png"), r"/train/class-a/zz\.png: no image that can be used: cannot be identified"),
        (file_at("test/class-a/notes.txt"), r"/test/class-a/notes\.txt: is no image file: allowed are \.bmp, \.jpeg"),
        (file_at("train/class-a/more/1.png"), "/train/class-a/more: is no image file"),
        (file_at("train/labels.csv"), r"/train/labels\.csv: is no folder: only folders of classes belong there"),
        (file_at("test/class-x/1.png"), "/test/class-x: there is no such class in train; there are class-a, class-b"),
        (image_at("train/class-a/zz.png", size=(6, 5)), r"/train/class-a/zz\.png: .* it is 5 x 6, not 6 x 5"),
        (image_at("test/class-a/zz.png", "I;16"), r"/test/class-a/zz\.png: .* its pixels are I;16, allowed are 8 bits"),
        (moved("test", "held-out"), "/test: cannot be read: No such file"),
        (moved("train", "learn"), "/train: cannot be read: No such file"),
        (lambda root: (root / "train" / "class-d").mkdir(), "/train/class-d: there is no image"),
    ],
)
def test_what_does_not_belong_there_is_named(root: Path, change: Callable[[Path], None], message: str) -> None:
    change(root)
    with pytest.raises(ValueError, match=f"{root}{message}"):
        image_folder.load(root=str(root))


def test_one_class_is_none_to_tell_apart(tmp_path: Path) -> None:
    (tmp_path / "train" / "only").mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"{tmp_path}/train: 1 folders of classes: a classifier needs at least 2"):
        image_folder.load(root=str(tmp_path))


def test_of_many_bad_files_the_first_is_named_whatever_the_threads_do(root: Path) -> None:
    for number in range(600):
        (root / "train" / "class-b" / f"x{number:03}.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"class-b/x000\.png"):
        image_folder.load(root=str(root))
