"""The transfer set: which training images a student is shown, and which of them with their labels."""

# Shapes: M training images, K of them shown.

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainables.config import TransferConfig
from trainables.losses.distillation_loss import UNLABELLED
from trainables.randomness import derive_seed


@dataclass(frozen=True, slots=True, eq=False)
class TransferSet:
    """Places of the shown images, ascending, and the label of every training image, UNLABELLED where it is withheld."""

    members_K: NDArray[np.int64]
    labels_M: NDArray[np.int64]


def transfer_set(labels_M: NDArray[np.int64], config: TransferConfig) -> TransferSet:
    """Draw it, evenly over the classes: a smaller share of the same seed lies within a larger one.

    Each class gives its share rounded up, so that none is lost to a small share; labels are withheld in the same way,
    but for rounding down where the share of labels is 0.

    Raises:
        ValueError: an omitted class does not exist, or no image is left.
    """
    classes = set(np.unique(labels_M).tolist())
    unknown = sorted(set(config.omitted_classes) - classes)
    if unknown:
        raise ValueError(f"transfer.omitted_classes: there is no class {unknown[0]}; there are {sorted(classes)}")
    kept = sorted(classes - set(config.omitted_classes))
    if not kept:
        raise ValueError(
            f"transfer.omitted_classes = {list(config.omitted_classes)} leaves no image to learn from: "
            "at least one class must stay"
        )
    shown, labelled = [], []
    for label in kept:
        own_K = np.flatnonzero(labels_M == label)
        drawn_K = np.random.default_rng(derive_seed(config.seed, "transfer", label)).permutation(own_K)
        drawn_K = drawn_K[: _rounded_up(config.share * len(own_K))]
        shown.append(drawn_K)
        labelled.append(drawn_K[: _rounded_up(config.label_share * len(drawn_K))])
    labels = np.full_like(labels_M, UNLABELLED)
    with_label = np.concatenate(labelled)
    labels[with_label] = labels_M[with_label]
    return TransferSet(np.sort(np.concatenate(shown)), labels)


def _rounded_up(count: float) -> int:
    """The next whole number; 0.07 x 100 is 7, though a hair above it as floats go."""
    return math.ceil(count * (1.0 - 1e-12))
