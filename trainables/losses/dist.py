"""DIST (Huang et al., NeurIPS 2022, "Knowledge Distillation from a Stronger Teacher"): correlations, not values."""

# Shapes: N batch, C classes.

from typing import Unpack, final

import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, teacher_logits
from trainables.losses.with_labels import Mixing, NonNegative, Temperature, with_labels

_EPSILON = 1e-8


def correlation_loss(
    student_NC: Tensor, teacher_NC: Tensor, *, inter: float, intra: float, temperature: float
) -> Tensor:
    """``T^2 (inter (1 - row correlation) + intra (1 - column correlation))`` of the softmaxes (eqs. 7 to 9).

    Rows are images: how the classes stand to each other. Columns are classes: how the batch's images stand to each
    other. Pearson's correlation does not change under positive affine maps of the probabilities.

    Args:
        student_NC: student logits, any float dtype; computed in float32.
        teacher_NC: teacher logits, of the same shape.
        inter: weight of the rows' part.
        intra: weight of the columns' part.
        temperature: softmax temperature, > 0.

    Returns:
        Scalar; a row or column that does not vary has correlation 0.
    """
    student_NC = F.softmax(student_NC.float() / temperature, dim=1)
    teacher_NC = F.softmax(teacher_NC.float() / temperature, dim=1)
    rows = 1.0 - _pearson(student_NC, teacher_NC).mean()
    columns = 1.0 - _pearson(student_NC.T, teacher_NC.T).mean()
    return temperature**2 * (inter * rows + intra * columns)


def _pearson(first_NK: Tensor, second_NK: Tensor) -> Tensor:
    """The correlation of each pair of rows."""
    first_NK = first_NK - first_NK.mean(dim=1, keepdim=True)
    second_NK = second_NK - second_NK.mean(dim=1, keepdim=True)
    return F.cosine_similarity(first_NK, second_NK, dim=1, eps=_EPSILON)


@final
class Correlations(DistillationLoss):
    """Both correlations."""

    def __init__(self, *, inter: float, intra: float, temperature: float) -> None:
        super().__init__()
        self._inter = inter
        self._intra = intra
        self._temperature = temperature

    @property
    def needs(self) -> frozenset[Need]:
        """The teacher's logits, and the batch that classes are correlated over."""
        return frozenset({Need.TEACHER_LOGITS, Need.WHOLE_BATCH})

    def forward(self, step: DistillationStep) -> Tensor:
        """Of the batch."""
        return correlation_loss(
            step.student.logits_NC,
            teacher_logits(step),
            inter=self._inter,
            intra=self._intra,
            temperature=self._temperature,
        )


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def dist(
    context: LossContext,  # noqa: ARG001 - every builder takes it
    *,
    weight: NonNegative = 2.0,
    inter: NonNegative = 1.0,
    intra: NonNegative = 1.0,
    temperature: Temperature = 4.0,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss beside labels.

    Args:
        context: unused.
        weight: of both correlations together.
        inter: weight of the correlation over the classes of an image.
        intra: weight of the correlation over the images of a class.
        temperature: softmax temperature; the paper has 4 on CIFAR-100 and 1 on ImageNet.
        mixing: see `Mixing`; labels_weight is 1 by default.
    """
    return with_labels(Correlations(inter=inter, intra=intra, temperature=temperature), weight, mixing)
