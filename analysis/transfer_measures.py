"""How alike two classifiers answer, and how likely the labels are: pure functions of logits."""

# Shapes: N images, C classes. Everything is computed in float64.

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import rankdata

Logits = NDArray[np.floating[Any]]
Labels = NDArray[np.int64]


def agreement(student_NC: Logits, teacher_NC: Logits) -> NDArray[np.bool_]:
    """Which images both put into the same class (fidelity, Stanton et al., NeurIPS 2021, eq. 2): shape (N,)."""
    _check_shapes(student_NC, teacher_NC)
    same_N: NDArray[np.bool_] = student_NC.argmax(axis=1) == teacher_NC.argmax(axis=1)
    return same_N


def kl_divergence(student_NC: Logits, teacher_NC: Logits, *, temperature: float) -> float:
    """Mean over the images of KL(softmax(teacher / T) || softmax(student / T)), in nats, without the factor T^2.

    Raises:
        ValueError: the shapes differ, or the temperature is not above 0.
    """
    _check_shapes(student_NC, teacher_NC)
    if temperature <= 0.0:
        raise ValueError(f"temperature = {temperature}: must be above 0")
    student_log_NC = log_softmax(student_NC.astype(np.float64) / temperature, axis=1)
    teacher_log_NC = log_softmax(teacher_NC.astype(np.float64) / temperature, axis=1)
    return float((np.exp(teacher_log_NC) * (teacher_log_NC - student_log_NC)).sum(axis=1).mean())


def nontarget_rank_correlation(student_NC: Logits, teacher_NC: Logits, labels_N: Labels) -> float | None:
    """Spearman's rank correlation of the logits of all classes but the true one, mean over the images.

    What a teacher knows beyond the label, the order of the wrong classes ("dark knowledge", Hinton et al. 2015), as
    ranks: no monotone change of the logits moves it. Equal logits share their mean rank. Images where one side ranks
    nothing (all its non-target logits are equal) are left out.

    Returns:
        Between -1 and 1; None with fewer than three classes, or where no image is left.
    """
    _check_shapes(student_NC, teacher_NC)
    num_images, num_classes = teacher_NC.shape
    if num_classes < 3:
        return None
    others_NC = np.arange(num_classes) != labels_N[:, np.newaxis]
    ranks = [
        rankdata(logits_NC[others_NC].reshape(num_images, num_classes - 1), axis=1)
        for logits_NC in (student_NC, teacher_NC)
    ]
    first, second = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    scale_N = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    known_N = scale_N > 0.0
    if not known_N.any():
        return None
    return float(((first * second).sum(axis=1)[known_N] / scale_N[known_N]).mean())


def negative_log_likelihood(logits_NC: Logits, labels_N: Labels) -> float:
    """Mean over the images of -log softmax(logits) at the label, in nats."""
    log_NC = log_softmax(logits_NC.astype(np.float64), axis=1)
    return float(-np.take_along_axis(log_NC, labels_N[:, np.newaxis], axis=1).mean())


def _check_shapes(student_NC: Logits, teacher_NC: Logits) -> None:
    if student_NC.shape != teacher_NC.shape:
        raise ValueError(
            f"student logits are {student_NC.shape}, teacher logits {teacher_NC.shape}: both must be (images, classes) "
            "of the same images and classes"
        )
