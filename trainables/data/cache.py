"""Decoded images, kept for the user: a dataset is decoded once and mapped from the disk ever after."""

# Shapes: N images, C channels, H height, W width.

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from trainables.config import Frozen, OptionValue
from trainables.data.array_folder import ArrayFacts, ArrayFolder, mapped
from trainables.data.channels import channel_statistics
from trainables.data.image_arrays import Dataset, LabelledImages
from trainables.data.roots import datasets_folder, unreadable, unwritable
from trainables.whole_files import read_record, write_record

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LEFTOVER_AGE_S = 24 * 3600.0  # of a folder that a process died over; none decodes for so long

Decode = Callable[[ArrayFolder], int]
Statistics = tuple[tuple[float, ...], tuple[float, ...]]


class Source(Frozen):
    """What images are decoded from: changed files, options or decoders are another source."""

    dataset: str
    decoder_version: int
    options: dict[str, OptionValue]
    num_files: int
    num_bytes: int
    files_sha256: str  # of the paths, sizes and times of change

    @classmethod
    def of(
        cls, dataset: str, files: Sequence[Path], *, options: Mapping[str, OptionValue], decoder_version: int
    ) -> Self:
        """Of the files as they are now.

        Raises:
            ValueError: there is none of that name.
        """
        listing, num_bytes = hashlib.sha256(), 0
        for file in files:
            try:
                facts = file.stat()
            except OSError as error:
                raise unreadable(file, error) from error
            num_bytes += facts.st_size
            listing.update(os.fsencode(f"{file}\0{facts.st_size}\0{facts.st_mtime_ns}\0"))
        return cls(
            dataset=dataset,
            decoder_version=decoder_version,
            options=dict(options),
            num_files=len(files),
            num_bytes=num_bytes,
            files_sha256=listing.hexdigest(),
        )

    @property
    def folder(self) -> Path:
        """Where it is kept, decoded."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return datasets_folder() / f"{self.dataset}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


class Manifest(Frozen):
    """What a folder of decoded images holds; written last."""

    source: Source
    num_classes: int
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    arrays: dict[str, ArrayFacts]


def decoded_once(source: Source, decode: Decode, *, statistics: Statistics | None) -> Dataset:
    """The dataset from the cache, decoded into it where it is not there whole.

    Args:
        source: what it is decoded from.
        decode: writes images and labels into the folder that it is given, and returns the number of classes.
        statistics: mean and standard deviation by channel, as published; None: those of the training images.

    Raises:
        ValueError: the source cannot be decoded, or there is no room for what comes out.
    """
    folder = source.folder
    if folder.exists():
        try:
            return _read(folder, source)
        except ValueError as error:
            logger.warning("%s; it is decoded again", error)
    return _build(folder, source, decode, statistics)


def _read(folder: Path, source: Source) -> Dataset:
    """What the folder holds, mapped.

    Raises:
        ValueError: it is not whole, or of another source.
    """
    manifest = read_record(folder / MANIFEST, Manifest)
    if manifest is None:
        raise ValueError(f"{folder / MANIFEST}: is missing")
    if manifest.source != source:
        raise ValueError(f"{folder / MANIFEST}: is of another source")
    arrays = mapped(folder, manifest.arrays)
    try:
        train, held_out = (
            LabelledImages(arrays[f"{split}_images"], arrays[f"{split}_labels"]) for split in ("train", "test")
        )
    except KeyError as error:
        raise ValueError(f"{folder / MANIFEST}: lists no {error}") from error
    return Dataset(source.dataset, manifest.num_classes, train, held_out, manifest.mean_C, manifest.std_C)


def _build(folder: Path, source: Source, decode: Decode, statistics: Statistics | None) -> Dataset:
    with _written(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        temporary = _empty_sibling(folder)
    try:
        arrays = ArrayFolder(temporary)
        num_classes = decode(arrays)
        with _written(folder):
            facts = arrays.close()
            mean_C, std_C = statistics or channel_statistics(mapped(temporary, facts)["train_images"])
            manifest = Manifest(source=source, num_classes=num_classes, mean_C=mean_C, std_C=std_C, arrays=facts)
            write_record(temporary / MANIFEST, manifest)
        built = _read(temporary, source)
        with _written(folder):
            return _published(temporary, folder, source) or built
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _published(temporary: Path, folder: Path, source: Source) -> Dataset | None:
    """Give the folder its name; where another process was faster, its dataset is returned, and ours is not needed."""
    while True:
        try:
            temporary.rename(folder)
        except OSError as error:  # a folder takes the place of none but an empty one
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            return None
        try:
            return _read(folder, source)
        except ValueError:
            _remove(folder)


def _remove(folder: Path) -> None:
    """Take a torn folder away in one step, however many processes do."""
    aside = _empty_sibling(folder)
    try:
        folder.rename(aside)
    except FileNotFoundError:
        pass
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.parent.glob(f".{folder.name}-*"):
        with suppress(FileNotFoundError):  # another process has removed it
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
                shutil.rmtree(leftover, ignore_errors=True)


def _empty_sibling(folder: Path) -> Path:
    sibling = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    sibling.chmod(0o755)  # mkdtemp lets none but its owner in; a cache may be shared
    return sibling


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(folder, error) from error
