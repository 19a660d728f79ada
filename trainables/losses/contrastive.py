"""Contrastive representation distillation (Tian et al., ICLR 2020) with its memory bank."""

# Shapes: N batch, D embedding, K negatives, M training images.

import math
from typing import Annotated, Unpack, final

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor, nn

from trainables.losses.distillation_loss import (
    DistillationLoss,
    DistillationStep,
    LossContext,
    Need,
    Taps,
    teacher_outputs,
)
from trainables.losses.layers import LayerName, last_layers
from trainables.losses.with_labels import Mixing, NonNegative, with_labels

_EPSILON = 1e-7


def noise_contrastive_loss(
    positive_N: Tensor, negative_NK: Tensor, is_negative_NK: Tensor, *, num_train_images: int
) -> Tensor:
    """Telling an image's own partner from negatives drawn evenly (eqs. 17 and 18; Gutmann & Hyvärinen 2010).

    Args:
        positive_N: ``exp(similarity / tau) / Z`` of each image and its partner.
        negative_NK: the same of each image and each negative.
        is_negative_NK: which of them count: those of another class.
        num_train_images: M, of which the negatives are drawn.

    Returns:
        Scalar, mean over the batch, in nats.
    """
    noise_N1 = is_negative_NK.sum(dim=1, keepdim=True) / num_train_images
    found_N = positive_N / (positive_N + noise_N1.squeeze(1) + _EPSILON)
    refused_NK = noise_N1 / (negative_NK + noise_N1 + _EPSILON)
    refusals_N = torch.where(is_negative_NK, refused_NK, torch.ones_like(refused_NK)).log().sum(dim=1)
    return -(found_N.log() + refusals_N).mean()


@final
class ContrastiveTerm(DistillationLoss):
    """Both directions: the student among the teacher's memories, and the teacher's embedding among the student's.

    The published code draws negatives for each image; here a batch shares one draw, and each image leaves out those of
    its own class, which makes a matrix product of it. Z is set from the first batch, as there.
    """

    memory_student: Tensor
    memory_teacher: Tensor
    labels_M: Tensor
    normalizers: Tensor

    def __init__(
        self,
        taps: Taps,
        sizes: tuple[int, int],
        labels_M: Tensor,
        *,
        dimension: int,
        num_negatives: int,
        tau: float,
        momentum: float,
    ) -> None:
        super().__init__()
        self._taps = taps
        self._num_negatives = num_negatives
        self._tau = tau
        self._momentum = momentum
        self.embed_student = nn.Linear(sizes[0], dimension)
        self.embed_teacher = nn.Linear(sizes[1], dimension)
        bound = 1.0 / math.sqrt(dimension / 3)
        for name in ("memory_student", "memory_teacher"):
            self.register_buffer(name, torch.empty(len(labels_M), dimension).uniform_(-bound, bound))
        self.register_buffer("labels_M", labels_M, persistent=False)
        self.register_buffer("normalizers", torch.zeros(2))

    @property
    def needs(self) -> frozenset[Need]:
        """Features, which training images these are, and their labels: negatives are of other classes."""
        return frozenset({Need.FEATURES, Need.INDEX, Need.EVERY_LABEL})

    @property
    def taps(self) -> Taps:
        """One layer of each network."""
        return self._taps

    def forward(self, step: DistillationStep) -> Tensor:
        """Both losses, mean over the batch; then the memories of these images are moved to where they are now.

        Raises:
            ValueError: the step does not say which images they are.
        """
        if step.indices_N is None:
            raise ValueError("the loss was given no indices of the images")
        student = step.student.features[self._taps.student[0]]
        teacher = teacher_outputs(step).features[self._taps.teacher[0]]
        student_ND = F.normalize(self.embed_student(student.float().flatten(1)), dim=1)
        teacher_ND = F.normalize(self.embed_teacher(teacher.float().flatten(1)), dim=1)
        drawn_K = torch.randint(len(self.labels_M), (self._num_negatives,), device=step.labels_N.device)
        is_negative_NK = self.labels_M[drawn_K].unsqueeze(0) != step.labels_N.unsqueeze(1)
        of_student = self._loss(0, student_ND, self.memory_teacher, step.indices_N, drawn_K, is_negative_NK)
        of_teacher = self._loss(1, teacher_ND, self.memory_student, step.indices_N, drawn_K, is_negative_NK)
        if self.training:
            self._remember(self.memory_student, step.indices_N, student_ND.detach())
            self._remember(self.memory_teacher, step.indices_N, teacher_ND.detach())
        return of_student + of_teacher

    def _loss(
        self, side: int, anchors_ND: Tensor, memory_MD: Tensor, indices_N: Tensor, drawn_K: Tensor, is_negative: Tensor
    ) -> Tensor:
        partners_ND = memory_MD.index_select(0, indices_N)
        positive_N = ((anchors_ND * partners_ND).sum(dim=1) / self._tau).exp()
        negative_NK = (anchors_ND @ memory_MD.index_select(0, drawn_K).T / self._tau).exp()
        num_train_images = len(memory_MD)
        if self.normalizers[side] == 0.0:
            every = torch.cat([positive_N.detach(), negative_NK.detach()[is_negative]])
            self.normalizers[side] = every.mean() * num_train_images
        scale = 1.0 / self.normalizers[side].clone()
        return noise_contrastive_loss(
            positive_N * scale, negative_NK * scale, is_negative, num_train_images=num_train_images
        )

    @torch.no_grad()
    def _remember(self, memory_MD: Tensor, indices_N: Tensor, now_ND: Tensor) -> None:
        old_ND = memory_MD.index_select(0, indices_N)
        memory_MD[indices_N] = F.normalize(self._momentum * old_ND + (1.0 - self._momentum) * now_ND, dim=1)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def contrastive(
    context: LossContext,
    *,
    weight: NonNegative = 0.8,
    dimension: Annotated[int, Field(ge=2, le=4096)] = 128,
    num_negatives: Annotated[int, Field(ge=1)] = 16_384,
    tau: Annotated[float, Field(gt=0.0)] = 0.07,
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5,
    student_layer: LayerName = None,
    teacher_layer: LayerName = None,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss beside labels. Its memories, two rows of `dimension` an image, are part of each checkpoint.

    Args:
        context: with the features' shapes and the labels of all training images.
        weight: of both directions together.
        dimension: of the embedding.
        num_negatives: drawn for each batch.
        tau: temperature of the similarities.
        momentum: how much of a memory stays when its image comes again.
        student_layer: None: the last before the classifier.
        teacher_layer: None: the last before the classifier.
        mixing: see `Mixing`; labels_weight is 1 by default.

    Raises:
        ValueError: a layer does not exist, or the run has no labels.
    """
    if context.train_labels_N is None:
        raise ValueError("the labels of all training images are needed: negatives are of other classes")
    taps = last_layers(context, student_layer, teacher_layer)
    sizes = (
        math.prod(context.student_features[taps.student[0]]),
        math.prod(context.teacher_features[taps.teacher[0]]),
    )
    term = ContrastiveTerm(
        taps,
        sizes,
        torch.as_tensor(context.train_labels_N),
        dimension=dimension,
        num_negatives=num_negatives,
        tau=tau,
        momentum=momentum,
    )
    return with_labels(term, weight, mixing)
