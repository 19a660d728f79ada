"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50,000 and 10,000 colour images, 32 x 32, from the publisher's files.

The binary version is taken where it is there, else the Python version, whose pickles are read without running anything
that they name; each from its unpacked folder, or from the archive as it was downloaded.
"""

# Shapes: N images, C channels, H height, W width.

import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import validate_call

from trainables.data.array_folder import ArrayFolder, SplitName
from trainables.data.array_pickle import load_table
from trainables.data.cache import Source, Statistics, decoded_once
from trainables.data.image_arrays import Dataset
from trainables.data.roots import check_sum, located, not_found, root_folder, unreadable

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
DECODER_VERSION = 1
IMAGE_SHAPE = (3, 32, 32)
IMAGE_BYTES = 3 * 32 * 32
NUM_IMAGES: dict[SplitName, int] = {"train": 50_000, "test": 10_000}

# MD5: of the archives from the publisher's page, of the pickles from torchvision.
PUBLISHED_MD5 = {
    "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
    "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
    "cifar-10-batches-py/data_batch_1": "c99cafc152244af753f735de768cd75f",
    "cifar-10-batches-py/data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "cifar-10-batches-py/data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "cifar-10-batches-py/data_batch_4": "634d18415352ddfa80567beed471001a",
    "cifar-10-batches-py/data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "cifar-10-batches-py/test_batch": "40351d587109b95175f43aff81a1287e",
    "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
    "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    "cifar-100-python/train": "16019d7e3df5f24257cddd939b257f8d",
    "cifar-100-python/test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}


@dataclass(frozen=True, slots=True)
class Version:
    """One of the publisher's archives and the folder that it unpacks to."""

    archive: str
    folder: str
    files: dict[SplitName, tuple[str, ...]]
    is_binary: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """One of the two datasets."""

    name: str
    num_classes: int
    labels_key: bytes  # in a pickle
    num_label_bytes: int  # before each image of a binary file; the last one is the class
    statistics: Statistics
    versions: tuple[Version, ...]


CIFAR10 = Publication(
    name="cifar10",
    num_classes=10,
    labels_key=b"labels",
    num_label_bytes=1,
    statistics=((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    versions=(
        Version(
            archive="cifar-10-binary.tar.gz",
            folder="cifar-10-batches-bin",
            files={
                "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
                "test": ("test_batch.bin",),
            },
            is_binary=True,
        ),
        Version(
            archive="cifar-10-python.tar.gz",
            folder="cifar-10-batches-py",
            files={"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
            is_binary=False,
        ),
    ),
)
CIFAR100 = Publication(
    name="cifar100",
    num_classes=100,
    labels_key=b"fine_labels",
    num_label_bytes=2,
    statistics=((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    versions=(
        Version(
            archive="cifar-100-binary.tar.gz",
            folder="cifar-100-binary",
            files={"train": ("train.bin",), "test": ("test.bin",)},
            is_binary=True,
        ),
        Version(
            archive="cifar-100-python.tar.gz",
            folder="cifar-100-python",
            files={"train": ("train",), "test": ("test",)},
            is_binary=False,
        ),
    ),
)


@validate_call
def cifar10(*, root: str | None = None) -> Dataset:
    """CIFAR-10, of 10 classes.

    Args:
        root: the folder that holds the publisher's archive or its unpacked folder; None: `datasets` in the cache.

    Raises:
        ValueError: a file is missing or is not what was published; the message names it.
    """
    return _load(CIFAR10, root_folder(root))


@validate_call
def cifar100(*, root: str | None = None) -> Dataset:
    """CIFAR-100, of 100 classes, the fine ones; as `cifar10`."""
    return _load(CIFAR100, root_folder(root))


def _load(publication: Publication, root: Path) -> Dataset:
    version, place = _found(publication, root)
    files = [place] if place.is_file() else [place / name for names in version.files.values() for name in names]
    source = Source.of(publication.name, files, options={}, decoder_version=DECODER_VERSION)

    def decode(arrays: ArrayFolder) -> int:
        for file in files:
            check_sum(file, PUBLISHED_MD5)
        contents = _archived(place, version) if place.is_file() else _unpacked(place, version)
        _decode(publication, version, dict(contents), arrays)
        return publication.num_classes

    return decoded_once(source, decode, statistics=publication.statistics)


def _found(publication: Publication, root: Path) -> tuple[Version, Path]:
    """The version to read, and its folder or archive."""
    for version in publication.versions:
        for place in (located(root, version.folder), located(root, version.archive)):
            if place.exists():
                return version, place
    places = [located(root, version.archive) for version in publication.versions]
    raise not_found(publication.name, places, PAGE)


def _unpacked(folder: Path, version: Version) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """Of each file its name, the name for messages, and its content."""
    for name in _names(version):
        try:
            yield name, (str(folder / name), (folder / name).read_bytes())
        except OSError as error:
            raise unreadable(folder / name, error) from error


def _archived(archive: Path, version: Version) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """The same, read from the archive in one pass; nothing is unpacked to the disk."""
    wanted = {f"{version.folder}/{name}": name for name in _names(version)}
    try:
        with tarfile.open(archive, "r|gz") as members:
            for member in members:
                file = members.extractfile(member) if member.isfile() and member.name in wanted else None
                if file is not None:
                    yield wanted.pop(member.name), (f"{archive}: {member.name}", file.read())
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ValueError(f"{archive}: damaged, truncated, or no .tar.gz: {error}") from error
    if wanted:
        raise ValueError(f"{archive}: has no {next(iter(wanted))}")


def _names(version: Version) -> Sequence[str]:
    return [name for names in version.files.values() for name in names]


def _decode(
    publication: Publication, version: Version, contents: dict[str, tuple[str, bytes]], arrays: ArrayFolder
) -> None:
    for split, names in version.files.items():
        read = _binary if version.is_binary else _pickled
        batches = [read(publication, *contents.pop(name)) for name in names]
        num_images = sum(len(labels_N) for _, labels_N in batches)
        if num_images != NUM_IMAGES[split]:
            raise ValueError(
                f"{', '.join(names)} of {version.folder}: {num_images} {split} images where "
                f"{NUM_IMAGES[split]} were published: not whole"
            )
        images_NCHW, labels_N = arrays.add(split, num_images, IMAGE_SHAPE)
        np.concatenate([rows for rows, _ in batches], out=images_NCHW.reshape(num_images, IMAGE_BYTES))
        np.concatenate([labels for _, labels in batches], out=labels_N)


Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


def _binary(publication: Publication, source: str, content: bytes) -> Batch:
    """Records of label bytes and 3,072 bytes of red, green and blue rows."""
    record_bytes = publication.num_label_bytes + IMAGE_BYTES
    if not content or len(content) % record_bytes:
        raise ValueError(f"{source}: truncated, {len(content)} bytes are no whole number of records of {record_bytes}")
    records = np.frombuffer(content, np.uint8).reshape(-1, record_bytes)
    labels_N = records[:, publication.num_label_bytes - 1].astype(np.int64)
    _check_labels(labels_N, publication.num_classes, source)
    return records[:, publication.num_label_bytes :], labels_N


def _pickled(publication: Publication, source: str, content: bytes) -> Batch:
    table = load_table(content, source)
    rows, labels = table.get(b"data"), table.get(publication.labels_key)
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != IMAGE_BYTES:
        raise ValueError(f'{source}: "data" is not an array of rows of {IMAGE_BYTES} bytes')
    if not isinstance(labels, list) or not all(type(label) is int and abs(label) < 2**31 for label in labels):
        raise ValueError(f'{source}: "{publication.labels_key.decode()}" is not a list of whole numbers')
    if len(labels) != len(rows):
        raise ValueError(f"{source}: {len(rows)} images, {len(labels)} labels: each image needs one label")
    labels_N = np.array(labels, dtype=np.int64)
    _check_labels(labels_N, publication.num_classes, source)
    return rows, labels_N


def _check_labels(labels_N: NDArray[np.int64], num_classes: int, source: str) -> None:
    wrong = np.flatnonzero((labels_N < 0) | (labels_N >= num_classes))
    if len(wrong):
        raise ValueError(
            f"{source}: image {wrong[0]} is of class {labels_N[wrong[0]]}: allowed are 0 to {num_classes - 1}"
        )
