"""Image files, decoded by a pool of threads, each straight into its place in one array."""

# Shapes: N images, C channels, H height, W width.

import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainables.data.roots import unreadable

_BLOCK_IMAGES = 256  # to a thread at a time
_MAX_THREADS = 16
# Of 8 bits a channel. Wider ones would be cut to 8 in a way that nobody chose.
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises over damaged files


def decode_files(files: Sequence[Path], images_NCHW: NDArray[np.uint8], *, resize: bool) -> None:
    """Decode file i into image i: gray where there is one channel, else red, green and blue; transparency is dropped.

    Args:
        files: as many as images.
        images_NCHW: filled here; its shape says what size and how many channels.
        resize: whether images of another size are brought to it (bilinear, the shape not kept); else they are refused.

    Raises:
        ValueError: a file is no image, damaged, or of another size; the message names the first such.
    """
    starts = range(0, len(files), _BLOCK_IMAGES)

    def decode_block(start: int) -> None:
        for index in range(start, min(start + _BLOCK_IMAGES, len(files))):
            images_NCHW[index] = _pixels(files[index], images_NCHW.shape[1:], resize=resize)

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(decode_block, starts):
            pass


def size_of(file: Path) -> tuple[int, int]:
    """Height and width of an image; its pixels are not decoded.

    Raises:
        ValueError: it is no image.
    """
    try:
        with Image.open(file) as image:
            return image.height, image.width
    except _ERRORS as error:
        raise _not_an_image(file, error) from error


def listed(folder: Path) -> list[Path]:
    """What lies in the folder, by name; hidden files do not count.

    Raises:
        ValueError: there is no such folder.
    """
    try:
        found = [each for each in folder.iterdir() if not each.name.startswith(".")]
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(found, key=attrgetter("name"))  # a path compares itself part by part: slow for 100,000


def labels_of(files_by_class: Sequence[Sequence[Path]]) -> NDArray[np.int64]:
    """The class of each file, the files of the first class first."""
    counts = [len(files) for files in files_by_class]
    return np.repeat(np.arange(len(counts), dtype=np.int64), counts)


def joined(files_by_class: Sequence[Sequence[Path]]) -> list[Path]:
    """The files, those of the first class first."""
    return list(itertools.chain.from_iterable(files_by_class))


def _pixels(file: Path, shape: tuple[int, ...], *, resize: bool) -> NDArray[np.uint8]:
    """One image (C, H, W)."""
    num_channels, height, width = shape
    try:
        with Image.open(file) as image:
            if image.mode not in _MODES:
                raise ValueError(f"its pixels are {image.mode}, allowed are 8 bits a channel")
            if image.size != (width, height) and not resize:
                raise ValueError(f"it is {image.height} x {image.width}, not {height} x {width} as the others")
            converted = image.convert("L" if num_channels == 1 else "RGB")
    except _ERRORS as error:
        raise _not_an_image(file, error) from error
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8).reshape(height, width, num_channels).transpose(2, 0, 1)


def _not_an_image(file: Path, error: Exception) -> ValueError:
    what = "cannot be identified as an image" if "cannot identify" in str(error) else str(error)
    return ValueError(f"{file}: no image that can be used: {what}")
