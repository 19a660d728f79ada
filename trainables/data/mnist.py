"""MNIST, handwritten digits (LeCun & Cortes): 60,000 training and 10,000 test images, 28 x 28, in this package."""

import hashlib
from importlib import resources
from importlib.resources.abc import Traversable

import numpy as np
from numpy.typing import NDArray

from trainables.data.idx import decode, decompress, labelled_images
from trainables.data.image_arrays import Dataset

# SHA-256 of the unpacked files: how they were packed does not matter.
SHA256 = {
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load() -> Dataset:
    """MNIST from this package's own files.

    Raises:
        ValueError: a file is missing or is not what was published; the message names it.
    """
    return load_from(resources.files("trainables.data") / "mnist_files")


def load_from(folder: Traversable) -> Dataset:
    """MNIST from the four gzipped IDX files in `folder`.

    Raises:
        ValueError: a file is missing or is not what was published; the message names it.
    """

    def read(name: str, num_axes: int) -> NDArray[np.uint8]:
        return _read(folder / name, num_axes)

    return Dataset(
        name="mnist",
        num_classes=10,
        train=labelled_images("train", read),
        test=labelled_images("t10k", read),
        mean_C=(0.1307,),
        std_C=(0.3081,),
    )


def _read(file: Traversable, num_axes: int) -> NDArray[np.uint8]:
    try:
        packed = file.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{file}: no such file; reinstall the package") from error
    content = decompress(packed, str(file))
    array = decode(content, str(file), num_axes=num_axes)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[file.name]:
        raise ValueError(f"{file}: SHA-256 of its content is {digest}, that of MNIST is {SHA256[file.name]}")
    return array
