"""What a method of teaching is: a loss over one batch that says what it needs, and what it is given."""

# Shapes: N batch, C classes, H height, W width.

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

# The label of an image whose label is withheld; what torch's cross-entropy leaves out.
UNLABELLED = -100


class Need(StrEnum):
    """What a loss cannot do without; a run that cannot give it is refused by name before it starts."""

    LABELS = "labels"  # of some images; the others are UNLABELLED
    EVERY_LABEL = "every_label"  # of every image of the batch
    TEACHER_LOGITS = "teacher_logits"
    FEATURES = "features"  # of the layers that `taps` names
    TEACHER_NETWORK = "teacher_network"  # to be run on other images
    VIEWS = "views"  # augmented images, the teacher's the same as the student's
    INDEX = "index"  # where each image stands among the training images
    WHOLE_BATCH = "whole_batch"  # no mean over the images of what each says alone: not to be had in parts


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a network says about a batch: logits of shape (N, C), and tapped features by layer name.

    A teacher's logits that no loss needs may be left out, of shape (N, 0): the network is then not run to its end.
    """

    logits_NC: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Networks:
    """Both networks as functions of images (N, channels, H, W), to logits (N, C); the teacher's weights are fixed."""

    student: Callable[[Tensor], Tensor]
    teacher: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class DistillationStep:
    """One batch as a loss sees it; what the loss does not need may be None."""

    student: Outputs
    teacher: Outputs | None
    labels_N: Tensor
    indices_N: Tensor | None = None
    images_NCHW: Tensor | None = None
    networks: Networks | None = None
    progress: float = 0.0  # share of the training that is done, in [0, 1)


@dataclass(frozen=True, slots=True)
class Taps:
    """Layers whose outputs a loss reads, by the names that their networks give them."""

    student: tuple[str, ...] = ()
    teacher: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LossContext:
    """What a loss may need to know when it is built.

    `student_features` and `teacher_features`: the shape that each layer gives a single image, without the batch, in the
    order of the network. `train_labels_N`: of all training images, where the run has them; UNLABELLED where one is not
    shown or its label is withheld.
    """

    num_classes: int
    num_train_images: int
    student_features: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    teacher_features: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    train_labels_N: NDArray[np.int64] | None = None


class DistillationLoss(nn.Module, abc.ABC):
    """A scalar to minimise, mean over the batch, in nats where it is a divergence.

    A module, so that parameters of its own reach the optimiser, the checkpoint and the parameter count.
    """

    @property
    @abc.abstractmethod
    def needs(self) -> frozenset[Need]:
        """What must be given; a wrapper passes on what the loss within it needs."""

    @property
    def taps(self) -> Taps:
        """Layers whose features it reads, where it needs features."""
        return Taps()

    @abc.abstractmethod
    def forward(self, step: DistillationStep) -> Tensor:
        """The loss of one batch, a scalar."""


def teacher_outputs(step: DistillationStep) -> Outputs:
    """What the teacher says about the batch; no gradient goes back to it, wherever it comes from.

    Raises:
        ValueError: the step has none.
    """
    if step.teacher is None:
        raise ValueError("the loss was given no teacher outputs")
    features = {name: each.detach() for name, each in step.teacher.features.items()}
    return Outputs(step.teacher.logits_NC.detach(), features)


def teacher_logits(step: DistillationStep) -> Tensor:
    """The teacher's logits (N, C), as float32, of the student's classes.

    Raises:
        ValueError: the step has no teacher outputs, or they are of other classes or images than the student's.
    """
    student_NC, teacher_NC = step.student.logits_NC, teacher_outputs(step).logits_NC
    if student_NC.shape != teacher_NC.shape:
        raise ValueError(
            f"student logits have shape {tuple(student_NC.shape)}, teacher logits {tuple(teacher_NC.shape)}: "
            "both must be of shape (images, classes) on the same dataset"
        )
    return teacher_NC.float()
