"""Decoupled knowledge distillation (Zhao et al., CVPR 2022): target and non-target divergence, weighted apart."""

# Shapes: N batch, C classes.

from typing import Unpack, final

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, teacher_logits
from trainables.losses.with_labels import Mixing, NonNegative, Temperature, with_labels


def decoupled_kd(
    student_NC: Tensor, teacher_NC: Tensor, labels_N: Tensor, *, alpha: float, beta: float | Tensor, temperature: float
) -> Tensor:
    """``T^2 (alpha TCKD + beta NCKD)`` (eq. 7).

    TCKD is the divergence between label and not label, NCKD that among the classes that are not the label, given that
    it is one of them. With ``alpha = 1`` and ``beta = 1 - p_teacher(label)`` for each image this is ordinary
    distillation (eq. 6); apart, beta stays large where the teacher is sure of itself.

    Args:
        student_NC: student logits, any float dtype; computed in float32.
        teacher_NC: teacher logits, of the same shape.
        labels_N: the class of each image.
        alpha: weight of TCKD.
        beta: weight of NCKD, one for all or one for each image (N,).
        temperature: softmax temperature, > 0; the loss is scaled by its square.

    Returns:
        Scalar, mean over the batch, in nats.
    """
    student_target_N2, student_rest_NK = _decoupled(student_NC.float() / temperature, labels_N)
    teacher_target_N2, teacher_rest_NK = _decoupled(teacher_NC.float() / temperature, labels_N)
    target_N = _kl(teacher_target_N2, student_target_N2)
    rest_N = _kl(teacher_rest_NK, student_rest_NK)
    return (alpha * target_N + beta * rest_N).mean() * temperature**2


def _decoupled(logits_NC: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of (label, not label), and of each other class where it is not the label."""
    is_label_NC = F.one_hot(labels_N, logits_NC.shape[1]).bool()
    target_N1 = logits_NC[is_label_NC].unsqueeze(1)
    rest_NK = logits_NC[~is_label_NC].view(len(logits_NC), -1)
    both_N2 = torch.cat([target_N1, rest_NK.logsumexp(dim=1, keepdim=True)], dim=1)
    return F.log_softmax(both_N2, dim=1), F.log_softmax(rest_NK, dim=1)


def _kl(teacher_log_NK: Tensor, student_log_NK: Tensor) -> Tensor:
    return F.kl_div(student_log_NK, teacher_log_NK, reduction="none", log_target=True).sum(dim=1)


@final
class DecoupledKd(DistillationLoss):
    """The two divergences."""

    def __init__(self, *, alpha: float, beta: float, temperature: float) -> None:
        super().__init__()
        self._alpha = alpha
        self._beta = beta
        self._temperature = temperature

    @property
    def needs(self) -> frozenset[Need]:
        """The teacher's logits, and the label of every image, which tells target from rest."""
        return frozenset({Need.TEACHER_LOGITS, Need.EVERY_LABEL})

    def forward(self, step: DistillationStep) -> Tensor:
        """Mean over the batch, in nats."""
        return decoupled_kd(
            step.student.logits_NC,
            teacher_logits(step),
            step.labels_N,
            alpha=self._alpha,
            beta=self._beta,
            temperature=self._temperature,
        )


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def dkd(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    alpha: NonNegative = 1.0,
    beta: NonNegative = 8.0,
    temperature: Temperature = 4.0,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss beside labels.

    Args:
        context: unused.
        alpha: weight of the target's divergence.
        beta: weight of the others'.
        temperature: softmax temperature.
        mixing: see `Mixing`; by default labels_weight is 1, and warm_up a twelfth: 20 of the paper's 240 epochs.
    """
    term = DecoupledKd(alpha=alpha, beta=beta, temperature=temperature)
    return with_labels(term, 1.0, mixing, warm_up=1 / 12)
