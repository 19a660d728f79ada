"""Images of one's own as NumPy arrays: an .npz archive, or a folder of .npy files."""

# Shapes: N images, C channels, H height, W width.

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import validate_call

from trainables.data.array_folder import ArrayFolder, SplitName
from trainables.data.cache import Source, decoded_once
from trainables.data.image_arrays import Dataset
from trainables.data.npy_stream import NpyStream, npy_stream
from trainables.data.roots import full_path

DECODER_VERSION = 1
NAMES = ("train_images", "train_labels", "test_images", "test_labels")
SPLITS: tuple[SplitName, ...] = ("train", "test")
MANY_CHANNELS = 4  # more are a layout that was mistaken, where the other one makes fewer

Layout = Literal["NCHW", "NHWC", "NHW"]


@validate_call
def load(*, path: str, layout: Layout = "NCHW") -> Dataset:
    """The arrays train_images, train_labels, test_images and test_labels; classes are those of the training labels.

    Args:
        path: an .npz archive, or a folder with a .npy file of each name.
        layout: of the images, which are uint8: channels before rows and columns or after them, or none of them.

    Raises:
        ValueError: an array is missing, of another type or shape, or holds Python objects; the message names it.
    """
    place = full_path(path)
    files = [place / f"{name}.npy" for name in NAMES] if place.is_dir() else [place]
    source = Source.of("arrays", files, options={"layout": layout}, decoder_version=DECODER_VERSION)

    def decode(arrays: ArrayFolder) -> int:
        highest = [_copy_split(place, split, layout, arrays) for split in SPLITS]
        if highest[1] > highest[0]:
            raise ValueError(
                f"{place}: a test label is {highest[1]}: allowed are 0 to {highest[0]}, as in the training labels"
            )
        return highest[0] + 1

    return decoded_once(source, decode, statistics=None)


def _copy_split(place: Path, split: SplitName, layout: Layout, arrays: ArrayFolder) -> int:
    """Copy images and labels; returns the highest label."""
    with npy_stream(place, f"{split}_images") as images, npy_stream(place, f"{split}_labels") as labels:
        num_images, *image_shape = _shape_NCHW(images, layout)
        if labels.dtype.kind not in "iu" or labels.shape != (num_images,):
            raise ValueError(
                f"{labels.source}: is {labels.dtype} of shape {labels.shape}: it must be whole numbers of shape "
                f"({num_images},), one for each image"
            )
        channels, height, width = image_shape
        images_NCHW, labels_N = arrays.add(split, num_images, (channels, height, width))
        for rows, block in images.blocks():
            images_NCHW[rows] = _as_NCHW(block, layout)
        for rows, block in labels.blocks():
            labels_N[rows] = block
    if labels_N.min() < 0:
        raise ValueError(f"{labels.source}: a label is {labels_N.min()}: labels are counted from 0")
    return int(labels_N.max())


def _shape_NCHW(images: NpyStream, layout: Layout) -> tuple[int, ...]:
    if images.dtype != np.uint8 or len(images.shape) != len(layout):
        raise ValueError(
            f"{images.source}: is {images.dtype} of shape {images.shape}: with layout = {layout!r} it must be uint8 of "
            f"{len(layout)} axes; allowed layouts are NCHW, NHWC and NHW (gray)"
        )
    if 0 in images.shape:
        raise ValueError(f"{images.source}: has shape {images.shape}: no axis may be empty")
    sizes = dict(zip(layout, images.shape, strict=True))
    sizes.setdefault("C", 1)
    other = images.shape[3 if layout == "NCHW" else 1]
    if sizes["C"] > MANY_CHANNELS >= other:
        raise ValueError(
            f"{images.source}: has shape {images.shape}, which are {sizes['C']} channels with layout = {layout!r}: "
            f"set dataset.options.layout to {'NHWC' if layout == 'NCHW' else 'NCHW'!r}"
        )
    return tuple(sizes[axis] for axis in "NCHW")


def _as_NCHW(block: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    if layout == "NHW":
        return block[:, np.newaxis]
    return block.transpose(0, 3, 1, 2) if layout == "NHWC" else block
