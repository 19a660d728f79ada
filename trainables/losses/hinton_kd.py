"""Knowledge distillation by softened outputs (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge", section 2)."""

# Shapes: N batch, C classes.

from typing import final

import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, teacher_logits
from trainables.losses.with_labels import Share, Temperature, TermWeight, WithLabels


def soft_target_kl(student_NC: Tensor, teacher_NC: Tensor, *, temperature: float) -> Tensor:
    """``T^2 KL(softmax(teacher / T) || softmax(student / T))``, its gradient thus of like size at every temperature.

    Args:
        student_NC: student logits, any float dtype; computed in float32.
        teacher_NC: teacher logits, of the same shape.
        temperature: softmax temperature, > 0.

    Returns:
        Scalar, mean over the batch (not over the classes: torch's default would divide by C too), in nats.
    """
    student_log_NC = F.log_softmax(student_NC.float() / temperature, dim=1)
    teacher_log_NC = F.log_softmax(teacher_NC.float() / temperature, dim=1)
    return F.kl_div(student_log_NC, teacher_log_NC, reduction="batchmean", log_target=True) * temperature**2


@final
class SoftTargets(DistillationLoss):
    """The soft term alone."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature

    @property
    def needs(self) -> frozenset[Need]:
        """The teacher's logits."""
        return frozenset({Need.TEACHER_LOGITS})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over the batch, in nats."""
        return soft_target_kl(step.student.logits_NC, teacher_logits(step), temperature=self._temperature)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def kd(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    temperature: Temperature = 4.0,
    alpha: Share = 0.9,
    warm_up: Share = 0.0,
    decay_until: Share = 0.0,
) -> DistillationLoss:
    """Build Hinton's loss, ``(1 - alpha) CE(student, labels) + alpha T^2 KL(teacher, student)``.

    Args:
        context: unused.
        temperature: softmax temperature, > 0.
        alpha: weight of the soft term, in [0, 1]; 1 - alpha weighs the labels.
        warm_up: share of the training in which the soft term's weight rises from 0.
        decay_until: share of the training at whose end that weight has fallen to 0; 0: it stays.
    """
    return WithLabels(SoftTargets(temperature), TermWeight(alpha, warm_up, decay_until), labels_weight=1.0 - alpha)
