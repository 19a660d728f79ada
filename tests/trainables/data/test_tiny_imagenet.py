"""Tiny ImageNet from the publisher's tree: every file of it is where it belongs, or named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.published_files import make_tiny_imagenet
from trainables.data import tiny_imagenet

ANNOTATIONS = "val/val_annotations.txt"
FIRST_CLASS = "n01443537"


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KD_STUDY_CACHE", str(tmp_path / "cache"))
    make_tiny_imagenet(tmp_path, monkeypatch)
    return tmp_path / "tiny-imagenet-200"


def test_root_may_be_the_unpacked_folder_itself(top: Path) -> None:
    assert tiny_imagenet.load(root=str(top)).train.labels_N.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_images_that_are_neither_gray_nor_of_one_colour_are_as_pillow_reads_them(top: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = top / "train" / FIRST_CLASS / "images" / f"{FIRST_CLASS}_2.JPEG"
    Image.fromarray(pixels).save(file, "JPEG")
    with Image.open(file) as image:
        expected = np.asarray(image).transpose(2, 0, 1)
    np.testing.assert_array_equal(tiny_imagenet.load(root=str(top)).train.images_NCHW[2], expected)


def appended(file: str, line: str) -> Callable[[Path], None]:
    def change(top: Path) -> None:
        with (top / file).open("a", encoding="utf-8") as lines:
            lines.write(line)

    return change


def removed(file: str) -> Callable[[Path], None]:
    return lambda top: (top / file).unlink()


def written(file: str, content: bytes) -> Callable[[Path], None]:
    def change(top: Path) -> None:
        (top / file).write_bytes(content)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (removed(ANNOTATIONS), rf"/{ANNOTATIONS}: cannot be read: No such file"),
        (removed("wnids.txt"), r"/wnids\.txt: cannot be read: No such file"),
        (
            appended(ANNOTATIONS, "val_9.JPEG\tn99\t0\t0\t1\t1\n"),
            rf'/{ANNOTATIONS}:6: "n99" of "val_9.JPEG" is no class',
        ),
        (appended(ANNOTATIONS, "words\n"), rf'/{ANNOTATIONS}:6: "" of "words" is no class of wnids'),
        (
            appended(ANNOTATIONS, f"val_9.JPEG\t{FIRST_CLASS}\t0\t0\t1\t1\n"),
            r"/val/images/val_9\.JPEG: no such file, though val_annotations\.txt names it",
        ),
        (written("val/images/val_9.JPEG", b""), r"/val/images/val_9\.JPEG: has no line in .*val_annotations\.txt"),
        (appended("wnids.txt", "n99\n"), r"/wnids\.txt: 4 classes in 4 lines where 3 belong"),
        (appended("wnids.txt", f"{FIRST_CLASS}\n"), r"/wnids\.txt: 3 classes in 4 lines where 3 belong"),
        (written("wnids.txt", b"\xff\xfe"), r"/wnids\.txt: no text"),
        (
            removed(f"train/{FIRST_CLASS}/images/{FIRST_CLASS}_1.JPEG"),
            rf"/train/{FIRST_CLASS}/images: 3 images where 4 were published: not whole",
        ),
        (
            written("val/images/val_2.JPEG", b"<html>"),
            r"/val/images/val_2\.JPEG: no image that can be used: cannot be identified",
        ),
    ],
)
def test_what_is_not_as_published_is_named(top: Path, change: Callable[[Path], None], message: str) -> None:
    change(top)
    with pytest.raises(ValueError, match=f"{top}{message}"):
        tiny_imagenet.load(root=str(top))


def test_truncated_image_is_named(top: Path) -> None:
    file = top / "train" / FIRST_CLASS / "images" / f"{FIRST_CLASS}_3.JPEG"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(ValueError, match=rf"{file}: no image that can be used: .*truncated"):
        tiny_imagenet.load(root=str(top))


def test_image_of_another_size_is_named(top: Path) -> None:
    file = top / "val" / "images" / "val_0.JPEG"
    Image.new("RGB", (64, 32)).save(file, "JPEG")
    with pytest.raises(ValueError, match=rf"{file}: no image that can be used: it is 32 x 64, not 64 x 64"):
        tiny_imagenet.load(root=str(top))
