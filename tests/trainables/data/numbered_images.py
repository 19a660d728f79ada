"""Datasets whose images carry their own number, so that a test sees which image it was given."""

from collections.abc import Sequence

import numpy as np

from trainables.data.image_arrays import Dataset, LabelledImages

FIRST_TEST_NUMBER = 10_000


def numbered_dataset(train_labels: Sequence[int], num_classes: int, num_test: int = 3) -> Dataset:
    return Dataset(
        name="numbered",
        num_classes=num_classes,
        train=numbered(0, train_labels),
        test=numbered(FIRST_TEST_NUMBER, [0] * num_test),
        mean_C=(0.5,),
        std_C=(0.25,),
    )


def numbered(first: int, labels: Sequence[int]) -> LabelledImages:
    numbers = np.arange(first, first + len(labels), dtype="<u4")
    return LabelledImages(numbers.view(np.uint8).reshape(-1, 1, 2, 2), np.array(labels, dtype=np.int64))


def numbers_of(images: LabelledImages) -> list[int]:
    return [int(number) for number in np.ascontiguousarray(images.images_NCHW).reshape(-1, 4).view("<u4").ravel()]
