"""Knowledge distillation by softened outputs (Hinton, Vinyals & Dean 2015, "Distilling the Knowledge", section 2)."""

# Shapes: N batch, C classes.

from typing import Annotated, final

import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor

from trainables.config import Fraction
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need


def soft_target_kl(student_NC: Tensor, teacher_NC: Tensor, *, temperature: float) -> Tensor:
    """``T^2 KL(softmax(teacher / T) || softmax(student / T))``, its gradient thus of like size at every temperature.

    Args:
        student_NC: student logits, any float dtype; computed in float32.
        teacher_NC: teacher logits, of the same shape.
        temperature: softmax temperature, > 0.

    Returns:
        Scalar, mean over the batch (not over the classes: torch's default would divide by C too), in nats.

    Raises:
        ValueError: the two logit tensors differ in shape.
    """
    if student_NC.shape != teacher_NC.shape:
        raise ValueError(
            f"student logits have shape {tuple(student_NC.shape)}, teacher logits {tuple(teacher_NC.shape)}: "
            "both must be of shape (images, classes) on the same dataset"
        )
    student_log_NC = F.log_softmax(student_NC.float() / temperature, dim=1)
    teacher_log_NC = F.log_softmax(teacher_NC.float() / temperature, dim=1)
    return F.kl_div(student_log_NC, teacher_log_NC, reduction="batchmean", log_target=True) * temperature**2


@final
class HintonKd(DistillationLoss):
    """``(1 - alpha) CE(student, labels) + alpha T^2 KL(teacher, student)``: alpha weighs the soft term."""

    def __init__(self, *, temperature: float, alpha: float) -> None:
        super().__init__()
        self._temperature = temperature
        self._alpha = alpha

    @property
    def needs(self) -> frozenset[Need]:
        """Labels, unless alpha is 1, and the teacher's logits."""
        soft = frozenset({Need.TEACHER_LOGITS})
        return soft if self._alpha == 1.0 else soft | {Need.LABELS}

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over the batch, in nats.

        Raises:
            ValueError: the step has no teacher outputs.
        """
        if step.teacher is None:
            raise ValueError('method "kd" was given no teacher outputs')
        soft = soft_target_kl(step.student.logits_NC, step.teacher.logits_NC, temperature=self._temperature)
        if self._alpha == 1.0:
            return soft
        hard = F.cross_entropy(step.student.logits_NC.float(), step.labels_N)
        return (1.0 - self._alpha) * hard + self._alpha * soft


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def kd(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    temperature: Annotated[float, Field(gt=0.0, le=1000.0)] = 4.0,
    alpha: Fraction = 0.9,
) -> DistillationLoss:
    """Build Hinton's loss.

    Args:
        context: unused.
        temperature: softmax temperature, > 0.
        alpha: weight of the soft term, in [0, 1]; 1 - alpha weighs the labels.
    """
    return HintonKd(temperature=temperature, alpha=alpha)
