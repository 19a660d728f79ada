"""Images of one's own as files: root/train/<class>/<image> and root/test/<class>/<image>."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, validate_call

from trainables.config import OptionValue
from trainables.data.array_folder import ArrayFolder, SplitName
from trainables.data.cache import Source, decoded_once
from trainables.data.image_arrays import Dataset
from trainables.data.image_files import decode_files, joined, labels_of, listed, size_of
from trainables.data.roots import full_path

DECODER_VERSION = 1
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")

Pixels = Annotated[int, Field(ge=1, le=4096)]


@validate_call
def load(*, root: str, image_size: tuple[Pixels, Pixels] | None = None, grayscale: bool = False) -> Dataset:
    """The images of a folder; a class is numbered by its place among the names of the folders in `train`.

    Args:
        root: holds `train` and `test`.
        image_size: height and width that every image is brought to; None: all are of one size already.
        grayscale: one channel instead of red, green and blue.

    Raises:
        ValueError: a file is no image, of another size, or nothing that belongs there; the message names it.
    """
    top = full_path(root)
    classes = _classes(top / "train")
    images: dict[SplitName, list[list[Path]]] = {
        "train": [_images(top / "train" / name) for name in classes],
        "test": _held_out(top / "test", classes),
    }
    options: dict[str, OptionValue] = {"image_size": image_size or (), "grayscale": grayscale}
    files = [file for files_by_class in images.values() for file in joined(files_by_class)]
    source = Source.of("image_folder", files, options=options, decoder_version=DECODER_VERSION)

    def decode(arrays: ArrayFolder) -> int:
        shape = (1 if grayscale else 3, *(image_size or size_of(files[0])))
        for split, files_by_class in images.items():
            images_NCHW, labels_N = arrays.add(split, sum(map(len, files_by_class)), shape)
            labels_N[:] = labels_of(files_by_class)
            decode_files(joined(files_by_class), images_NCHW, resize=image_size is not None)
        return len(classes)

    return decoded_once(source, decode, statistics=None)


def _classes(folder: Path) -> list[str]:
    names = [_folder_of_a_class(each) for each in listed(folder)]
    if len(names) < 2:
        raise ValueError(f"{folder}: {len(names)} folders of classes: a classifier needs at least 2")
    return names


def _held_out(folder: Path, classes: Sequence[str]) -> list[list[Path]]:
    """The test images of each class; a class may have none."""
    present = [_folder_of_a_class(each) for each in listed(folder)]
    unknown = [name for name in present if name not in classes]
    if unknown:
        raise ValueError(f"{folder / unknown[0]}: there is no such class in train; there are {', '.join(classes)}")
    held_out = [_images(folder / name) if name in present else [] for name in classes]
    if not any(held_out):
        raise ValueError(f"{folder}: there is no image")
    return held_out


def _folder_of_a_class(path: Path) -> str:
    if not path.is_dir():
        raise ValueError(f"{path}: is no folder: only folders of classes belong there")
    return path.name


def _images(folder: Path) -> list[Path]:
    files = listed(folder)
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise ValueError(f"{file}: is no image file: allowed are {', '.join(SUFFIXES)}")
    if not files:
        raise ValueError(f"{folder}: there is no image")
    return files
