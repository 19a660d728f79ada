"""A folder of images and labels as .npy files: written in place while they are decoded, then mapped read-only."""

# Shapes: N images, C channels, H height, W width.

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from trainables.config import Frozen
from trainables.data.roots import unreadable, unwritable

SplitName = Literal["train", "test"]


class ArrayFacts(Frozen):
    """What a file must be to be whole."""

    shape: tuple[int, ...]
    dtype: str
    num_bytes: int  # of the file


@final
class ArrayFolder:
    """Hands out arrays on the disk, to be filled by a decoder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrays: dict[str, np.memmap[Any, np.dtype[Any]]] = {}

    def add(
        self, split: SplitName, num_images: int, image_shape: tuple[int, int, int]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Room for a split's images (N, C, H, W) and labels (N,), all zero.

        Raises:
            ValueError: there are no images, or no room on the disk.
        """
        if num_images == 0:
            raise ValueError(f"there is no {split} image: each split needs one at least")
        images_NCHW = self._open(f"{split}_images", np.uint8, (num_images, *image_shape))
        labels_N = self._open(f"{split}_labels", np.int64, (num_images,))
        return images_NCHW, labels_N

    def close(self) -> dict[str, ArrayFacts]:
        """Bring all to the disk."""
        facts = {}
        for name, array in self._arrays.items():
            array.flush()
            num_bytes = self._path(name).stat().st_size
            facts[name] = ArrayFacts(shape=array.shape, dtype=array.dtype.str, num_bytes=num_bytes)
        self._arrays.clear()
        return facts

    def _open(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[Any]]:
        path = self._path(name)
        try:
            array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
            if sys.platform == "linux":  # to write to a mapped hole when the disk is full would kill the process
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise unwritable(path, error) from error
        self._arrays[name] = array
        return array

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.npy"


def mapped(folder: Path, arrays: Mapping[str, ArrayFacts]) -> dict[str, NDArray[Any]]:
    """The arrays as they lie on the disk, read-only.

    They are views of plain NumPy type: a memmap itself would be pickled by value.

    Raises:
        ValueError: one is missing or not what it should be; the message names it.
    """
    found: dict[str, NDArray[Any]] = {}
    for name, facts in arrays.items():
        path = folder / f"{name}.npy"
        try:
            num_bytes, array = path.stat().st_size, np.load(path, mmap_mode="r")
        except OSError as error:
            raise unreadable(path, error) from error
        except ValueError as error:
            raise ValueError(f"{path}: no array, or a part of one: {error}") from error
        if (array.shape, array.dtype.str, num_bytes) != (facts.shape, facts.dtype, facts.num_bytes):
            raise ValueError(
                f"{path}: {num_bytes} bytes, {array.dtype.str} of shape {array.shape}, where {facts.num_bytes} bytes, "
                f"{facts.dtype} of shape {facts.shape} were written"
            )
        found[name] = np.asarray(array)
    return found
