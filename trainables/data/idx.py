"""Gzipped IDX, the format of MNIST and its relatives: a magic number, one size per axis, then unsigned bytes."""

import gzip
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trainables.data.image_arrays import LabelledImages

_UNSIGNED_BYTE = 0x08


def labelled_images(prefix: str, read: Callable[[str, int], NDArray[np.uint8]]) -> LabelledImages:
    """The images and labels of a split, from the two files that the MNIST family keeps them in.

    Args:
        prefix: of the split's files, "train" or "t10k".
        read: from a file's name and its number of axes, the array in it.
    """
    images_NHW = read(f"{prefix}-images-idx3-ubyte.gz", 3)
    labels_N = read(f"{prefix}-labels-idx1-ubyte.gz", 1)
    return LabelledImages(images_NHW[:, np.newaxis], labels_N.astype(np.int64))


def decompress(content: bytes, source: str) -> bytes:
    """Unpack a gzip file.

    Args:
        content: the whole file.
        source: its name, for the error message.

    Raises:
        ValueError: the file is cut short, damaged, or no gzip file.
    """
    try:
        return gzip.decompress(content)
    except EOFError as error:
        raise ValueError(f"{source}: truncated, its gzip stream ends early after {len(content)} bytes") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{source}: damaged, or no gzip file ({error})") from error


def decode(content: bytes, source: str, *, num_axes: int) -> NDArray[np.uint8]:
    """Read an IDX array of unsigned bytes without copying it.

    Args:
        content: the unpacked file.
        source: its name, for the error message.
        num_axes: how many axes the array must have.

    Returns:
        A read-only view of `content`, with `num_axes` axes.

    Raises:
        ValueError: the magic number or the size is wrong.
    """
    header_size = 4 + 4 * num_axes
    if len(content) < header_size:
        raise ValueError(f"{source}: truncated, {len(content)} bytes where the header alone has {header_size}")
    magic = content[:4]
    expected = bytes((0, 0, _UNSIGNED_BYTE, num_axes))
    if magic != expected:
        raise ValueError(
            f"{source}: magic number 0x{magic.hex()}, not 0x{expected.hex()} (IDX, unsigned bytes, {num_axes} axes)"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", num_axes, offset=4))
    values = np.frombuffer(content, np.uint8, offset=header_size)
    if values.size != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"{source}: {values.size} bytes of data where shape {shape} has {np.prod(shape, dtype=np.int64)}"
        )
    return values.reshape(shape)
