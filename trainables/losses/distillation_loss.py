"""What a method of teaching is: a loss over one batch that says what it needs, and what it is given."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from torch import Tensor, nn


class Need(StrEnum):
    """What a loss cannot do without; a run that cannot give it is refused by name before it starts."""

    LABELS = "labels"
    TEACHER_LOGITS = "teacher_logits"
    FEATURES = "features"
    TEACHER_NETWORK = "teacher_network"
    VIEWS = "views"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a network says about a batch: logits of shape (N, C), and tapped features by layer name."""

    logits_NC: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DistillationStep:
    """One batch as a loss sees it. `teacher` is None where the loss does not ask for it."""

    student: Outputs
    teacher: Outputs | None
    labels_N: Tensor


@dataclass(frozen=True, slots=True)
class LossContext:
    """What a loss may need to know when it is built."""

    num_classes: int
    num_train_images: int
    student_features: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    teacher_features: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class DistillationLoss(nn.Module, abc.ABC):
    """A scalar to minimise, mean over the batch, in nats where it is a divergence.

    A module, so that parameters of its own reach the optimiser, the checkpoint and the parameter count.
    """

    @property
    @abc.abstractmethod
    def needs(self) -> frozenset[Need]:
        """What must be given; a wrapper passes on what the loss within it needs."""

    @abc.abstractmethod
    def forward(self, step: DistillationStep) -> Tensor:
        """The loss of one batch, a scalar."""
