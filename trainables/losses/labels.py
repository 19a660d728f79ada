"""Learning from labels alone: cross-entropy, with smoothed labels on request (Szegedy et al., CVPR 2016, section 7)."""

# Shapes: N batch, C classes.

from typing import Annotated, final

import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import UNLABELLED, DistillationLoss, DistillationStep, LossContext, Need

Smoothing = Annotated[float, Field(ge=0.0, lt=1.0)]


def label_cross_entropy(student_NC: Tensor, labels_N: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the images that have a label, in nats, computed in float32; 0 where none has."""
    total = F.cross_entropy(
        student_NC.float(), labels_N, label_smoothing=label_smoothing, ignore_index=UNLABELLED, reduction="sum"
    )
    return total / (labels_N != UNLABELLED).sum().clamp(min=1)


@final
class LabelsLoss(DistillationLoss):
    """Cross-entropy to the labels; the control that every method is compared with."""

    def __init__(self, label_smoothing: float) -> None:
        super().__init__()
        self._label_smoothing = label_smoothing

    @property
    def needs(self) -> frozenset[Need]:
        """Labels."""
        return frozenset({Need.LABELS})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean cross-entropy, in nats, computed in float32."""
        return label_cross_entropy(step.student.logits_NC, step.labels_N, label_smoothing=self._label_smoothing)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def labels(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    label_smoothing: Smoothing = 0.0,
) -> DistillationLoss:
    """Build the labels-only loss.

    Args:
        context: unused.
        label_smoothing: share of the label's probability that is spread over all classes, in [0, 1).
    """
    return LabelsLoss(label_smoothing)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def label_smoothing(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    epsilon: Smoothing = 0.1,
) -> DistillationLoss:
    """Build the labels-only loss with smoothed labels: a control, for a soft target needs no teacher to be soft.

    Args:
        context: unused.
        epsilon: share of the label's probability that is spread over all classes, in [0, 1).
    """
    return LabelsLoss(epsilon)
