"""Distillation without a teacher (Yuan et al., CVPR 2020, "Revisiting KD via Label Smoothing Regularization").

A control: what a hand-made soft target gives is owed to no teacher.
"""

# Shapes: N batch, C classes.

from typing import Annotated, Unpack, final

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need
from trainables.losses.hinton_kd import soft_target_kl
from trainables.losses.with_labels import Mixing, NonNegative, Temperature, with_labels


def virtual_teacher_kl(student_NC: Tensor, labels_N: Tensor, *, correct: float, temperature: float) -> Tensor:
    """``T^2 KL`` to a teacher that gives the label a probability of `correct` and the rest in equal parts (eq. 10).

    Args:
        student_NC: student logits, any float dtype; computed in float32.
        labels_N: the class of each image.
        correct: probability of the label before it is softened, in (1 / C, 1).
        temperature: softens both, > 0.

    Returns:
        Scalar, mean over the batch, in nats.
    """
    num_classes = student_NC.shape[1]
    wrong = torch.tensor((1.0 - correct) / (num_classes - 1), device=student_NC.device)
    logits_NC = F.one_hot(labels_N, num_classes) * (torch.log(torch.tensor(correct)) - wrong.log()) + wrong.log()
    return soft_target_kl(student_NC, logits_NC, temperature=temperature)


@final
class VirtualTeacher(DistillationLoss):
    """The divergence alone."""

    def __init__(self, correct: float, temperature: float) -> None:
        super().__init__()
        self._correct = correct
        self._temperature = temperature

    @property
    def needs(self) -> frozenset[Need]:
        """The label of every image: the teacher is made of it."""
        return frozenset({Need.EVERY_LABEL})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over the batch, in nats."""
        return virtual_teacher_kl(
            step.student.logits_NC, step.labels_N, correct=self._correct, temperature=self._temperature
        )


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def teacher_free_kd(
    context: LossContext,
    *,
    weight: NonNegative = 0.1,
    correct: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.99,
    temperature: Temperature = 20.0,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss.

    Args:
        context: for the number of classes.
        weight: of the divergence to the hand-made teacher.
        correct: the probability that it gives the label before it is softened, above 1 / classes.
        temperature: softens both.
        mixing: see `Mixing`; labels_weight is 0.9 by default.

    Raises:
        ValueError: the hand-made teacher would not prefer the label.
    """
    if correct * context.num_classes <= 1.0:
        raise ValueError(f"correct = {correct}: must be above 1 / {context.num_classes}, one in as many as the classes")
    return with_labels(VirtualTeacher(correct, temperature), weight, mixing, labels_weight=0.9)
