"""Tiny ImageNet (Stanford CS231n): 200 classes of 500 training images, 64 x 64, from the publisher's unpacked tree.

The publisher's test images have no labels. Its validation images (50 of each class) are our test split; what a study
selects by is cut from the training images, as of every dataset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import validate_call

from trainables.data.array_folder import ArrayFolder
from trainables.data.cache import Source, decoded_once
from trainables.data.image_arrays import Dataset
from trainables.data.image_files import decode_files, joined, labels_of, listed
from trainables.data.roots import located, not_found, root_folder, unreadable

PAGE = "http://cs231n.stanford.edu/tiny-imagenet-200.zip (MD5 90528d7ca1a48142e341f4ef8d21d0de; unpack it)"
FOLDER = "tiny-imagenet-200"
DECODER_VERSION = 1
IMAGE_SHAPE = (3, 64, 64)
STATISTICS = ((0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are of what."""

    classes: int
    train_images_a_class: int
    validation_images: int


PUBLISHED = Counts(classes=200, train_images_a_class=500, validation_images=10_000)


@validate_call
def load(*, root: str | None = None) -> Dataset:
    """Tiny ImageNet; classes are numbered by their WordNet id in ascending order, gray images become RGB.

    Args:
        root: the folder that holds `tiny-imagenet-200`; None: `datasets` in the cache.

    Raises:
        ValueError: a file is missing, is no image, or is of an unknown class; the message names it.
    """
    top = located(root_folder(root), FOLDER)
    if not top.is_dir():
        raise not_found("tiny_imagenet", [top], PAGE)
    classes = _classes(top / "wnids.txt")
    train = [_train_images(top / "train" / name / "images") for name in classes]
    annotations = top / "val" / "val_annotations.txt"
    labels = _labels_by_file(annotations, classes)
    validation = _validation_images(top / "val" / "images", labels, annotations)
    files = [top / "wnids.txt", annotations, *joined(train), *validation]
    source = Source.of("tiny_imagenet", files, options={}, decoder_version=DECODER_VERSION)

    def decode(arrays: ArrayFolder) -> int:
        _decode_split(arrays.add("train", sum(map(len, train)), IMAGE_SHAPE), joined(train), labels_of(train))
        held_out_N = np.array([labels[file.name] for file in validation])
        _decode_split(arrays.add("test", len(validation), IMAGE_SHAPE), validation, held_out_N)
        return len(classes)

    return decoded_once(source, decode, statistics=STATISTICS)


def _decode_split(
    places: tuple[NDArray[np.uint8], NDArray[np.int64]], files: Sequence[Path], labels_N: NDArray[np.int64]
) -> None:
    places[1][:] = labels_N
    decode_files(files, places[0], resize=False)


def _classes(file: Path) -> list[str]:
    names = sorted(_lines(file))
    if len(set(names)) != PUBLISHED.classes or len(names) != PUBLISHED.classes:
        raise ValueError(f"{file}: {len(set(names))} classes in {len(names)} lines where {PUBLISHED.classes} belong")
    return names


def _train_images(folder: Path) -> list[Path]:
    files = listed(folder)
    if len(files) != PUBLISHED.train_images_a_class:
        raise ValueError(
            f"{folder}: {len(files)} images where {PUBLISHED.train_images_a_class} were published: not whole"
        )
    return files


def _labels_by_file(annotations: Path, classes: Sequence[str]) -> dict[str, int]:
    """Class of each file of the validation images: lines of file, WordNet id and a box, with tabs between."""
    numbers = {name: number for number, name in enumerate(classes)}
    labels: dict[str, int] = {}
    for place, line in enumerate(_lines(annotations), start=1):
        file, tab, rest = line.partition("\t")
        name = rest.partition("\t")[0]
        if not tab or name not in numbers:
            raise ValueError(f'{annotations}:{place}: "{name}" of "{file}" is no class of wnids.txt')
        labels[file] = numbers[name]
    return labels


def _validation_images(folder: Path, labels: Mapping[str, int], annotations: Path) -> list[Path]:
    files = listed(folder)
    unlabelled = [file for file in files if file.name not in labels]
    if unlabelled:
        raise ValueError(f"{unlabelled[0]}: has no line in {annotations}")
    missing = sorted(labels.keys() - {file.name for file in files})
    if missing:
        raise ValueError(f"{folder / missing[0]}: no such file, though {annotations.name} names it")
    if len(files) != PUBLISHED.validation_images:
        raise ValueError(f"{folder}: {len(files)} images where {PUBLISHED.validation_images} were published: not whole")
    return files


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8").splitlines()
    except OSError as error:
        raise unreadable(file, error) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: no text: {error}") from error
