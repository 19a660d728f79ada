"""Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images of clothes, 28 x 28, publisher's files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import validate_call

from trainables.data.idx import decode, decompress, labelled_images
from trainables.data.image_arrays import Dataset
from trainables.data.roots import check_sum, located, not_found, root_folder, unreadable

PAGE = "https://github.com/zalandoresearch/fashion-mnist"
FOLDER = "fashion-mnist"  # of its own: the files are named as MNIST's

# Of the packed files, from the publisher's page.
PUBLISHED_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


@validate_call
def load(*, root: str | None = None) -> Dataset:
    """Fashion-MNIST, of 10 classes, from four gzipped IDX files. They are small: nothing is kept in the cache.

    Args:
        root: the folder that holds the files, or `fashion-mnist`, or torchvision's `FashionMNIST`, with them in it;
            None: `datasets` in the cache.

    Raises:
        ValueError: a file is missing or is not what was published; the message names it.
    """
    folder = _folder(root_folder(root))

    def read(name: str, num_axes: int) -> NDArray[np.uint8]:
        return _read(folder / name, num_axes)

    return Dataset(
        name="fashion_mnist",
        num_classes=10,
        train=labelled_images("train", read),
        test=labelled_images("t10k", read),
        mean_C=(0.2860,),
        std_C=(0.3530,),
    )


def _folder(root: Path) -> Path:
    own = located(root, FOLDER)
    for folder in (own, root / "FashionMNIST" / "raw", root):
        if any((folder / name).is_file() for name in PUBLISHED_MD5):
            return folder
    raise not_found("fashion_mnist", [own / f"{{{','.join(PUBLISHED_MD5)}}}"], PAGE)


def _read(file: Path, num_axes: int) -> NDArray[np.uint8]:
    check_sum(file, PUBLISHED_MD5)
    try:
        packed = file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error
    return decode(decompress(packed, str(file)), str(file), num_axes=num_axes)
