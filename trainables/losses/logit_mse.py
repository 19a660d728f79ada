"""Matching logits by squared error (Ba & Caruana 2014, "Do Deep Nets Really Need to be Deep?")."""

# Shapes: N batch, C classes.

from typing import Unpack, final

import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, teacher_logits
from trainables.losses.with_labels import Mixing, NonNegative, with_labels


def zero_mean_mse(student_NC: Tensor, teacher_NC: Tensor) -> Tensor:
    """Mean squared difference of logits, each row shifted to mean 0: what a softmax does not see is left out.

    Half of it is the limit of ``T^2 KL`` as the temperature grows (Hinton et al. 2015, section 2.1).

    Args:
        student_NC: student logits, any float dtype; computed in float32.
        teacher_NC: teacher logits, of the same shape.

    Returns:
        Scalar, mean over batch and classes.
    """
    student_NC, teacher_NC = student_NC.float(), teacher_NC.float()
    return F.mse_loss(
        student_NC - student_NC.mean(dim=1, keepdim=True), teacher_NC - teacher_NC.mean(dim=1, keepdim=True)
    )


@final
class LogitMse(DistillationLoss):
    """The squared error alone."""

    @property
    def needs(self) -> frozenset[Need]:
        """The teacher's logits."""
        return frozenset({Need.TEACHER_LOGITS})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over batch and classes."""
        return zero_mean_mse(step.student.logits_NC, teacher_logits(step))


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def logit_mse(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    weight: NonNegative = 1.0,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss; without labels unless they are given a weight, as in the paper.

    Args:
        context: unused.
        weight: of the squared error.
        mixing: see `Mixing`; labels_weight is 0 by default.
    """
    return with_labels(LogitMse(), weight, mixing, labels_weight=0.0)
