"""Training and validation images cut from a dataset's training split: by class, by seed; its test split is not read."""

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.config import DatasetConfig
from trainables.data.image_arrays import Dataset, TrainingData
from trainables.randomness import generator


def split(dataset: Dataset, config: DatasetConfig) -> TrainingData:
    """Cut `config.num_validation_images` from the training split; the rest, or a part of it, is to learn from.

    Both cuts are stratified: each class gives its share, rounded up or down so that the total is exact. The validation
    images do not depend on `config.max_train_images`.

    Raises:
        ValueError: there are not as many images as asked for.
    """
    labels_N = dataset.train.labels_N
    if config.num_validation_images >= len(labels_N):
        raise ValueError(
            f"num_validation_images = {config.num_validation_images}: allowed are 1 to {len(labels_N) - 1}, "
            f'dataset "{dataset.name}" has {len(labels_N)} training images and one at least must remain'
        )
    num_remaining = len(labels_N) - config.num_validation_images
    num_train = num_remaining if config.max_train_images is None else config.max_train_images
    if num_train > num_remaining:
        raise ValueError(
            f"max_train_images = {num_train}: allowed are 1 to {num_remaining}, what num_validation_images = "
            f'{config.num_validation_images} leaves of the {len(labels_N)} training images of dataset "{dataset.name}"'
        )
    members = [
        _shuffled(np.flatnonzero(labels_N == label), config.split_seed, label) for label in range(dataset.num_classes)
    ]
    validation, remaining = _cut(members, config.num_validation_images)
    train, _ = _cut(remaining, num_train)
    return TrainingData(
        num_classes=dataset.num_classes,
        mean_C=dataset.mean_C,
        std_C=dataset.std_C,
        train=dataset.train.select(np.sort(np.concatenate(train))),
        validation=dataset.train.select(np.sort(np.concatenate(validation))),
    )


def apportion(sizes: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Divide `total` in proportion to `sizes` by largest remainder; equal remainders go to the first.

    Args:
        sizes: size of each group, int64 (groups,).
        total: at most the sum of the sizes, which is not 0.

    Returns:
        One count a group: its share rounded up or down, never more than its size.
    """
    numerators = sizes * total
    counts: NDArray[np.int64] = numerators // sizes.sum()
    remainders = numerators % sizes.sum()
    counts[np.argsort(-remainders, kind="stable")[: total - counts.sum()]] += 1
    return counts


def _shuffled(indices: NDArray[np.int64], seed: int, label: int) -> NDArray[np.int64]:
    order = torch.randperm(len(indices), generator=generator(seed, "split", label))
    shuffled: NDArray[np.int64] = indices[order.numpy()]
    return shuffled


def _cut(members: list[NDArray[np.int64]], total: int) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    counts = apportion(np.array([len(indices) for indices in members]), total)
    pairs = list(zip(members, counts, strict=True))
    return [indices[:count] for indices, count in pairs], [indices[count:] for indices, count in pairs]
