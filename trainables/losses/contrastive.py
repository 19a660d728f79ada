"""Contrastive representation distillation (Tian et al., ICLR 2020) with its memory bank."""

# Shapes: N batch, D embedding, K negatives, M training images.

import math
from typing import Annotated, Unpack, final

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor, nn

from trainables.losses.distillation_loss import (
    UNLABELLED,
    DistillationLoss,
    DistillationStep,
    LossContext,
    Need,
    Taps,
    teacher_outputs,
)
from trainables.losses.layers import LayerName, last_layers
from trainables.losses.with_labels import Mixing, NonNegative, with_labels


def noise_contrastive_loss(positive_N: Tensor, negative_NK: Tensor) -> Tensor:
    """Telling an image's own partner from negatives drawn evenly (eqs. 17 and 18; Gutmann & Hyvärinen 2010).

    Args:
        positive_N: log odds that the partner is no noise: ``s / tau - log(Z noise)``, s the similarity, `noise` the
            number of negatives over the number of images that they are drawn of.
        negative_NK: the same of each negative; ``-inf`` where it does not count.

    Returns:
        Scalar, mean over the batch, in nats.
    """
    # As log(1 + exp(x)): `softplus` takes three times as long.
    return ((1.0 + (-positive_N).exp()).log() + (1.0 + negative_NK.exp()).log().sum(dim=1)).mean()


def channel_means(features: Tensor) -> Tensor:
    """What is embedded, (N, channels), float32: channels averaged over their places, as before the paper's classifiers.

    Args:
        features: (N, channels, H, W), or flat (N, channels) as they are.
    """
    return features.float().flatten(2).mean(dim=2) if features.ndim > 2 else features.float()


@final
class ContrastiveTerm(DistillationLoss):
    """Both directions: the student among the teacher's memories, and the teacher's embedding among the student's.

    The published code draws negatives for each image; here a batch shares one draw, and each image leaves out those of
    its own class, which makes a matrix product of it. Z is set from the first batch, as there. Only images that are
    shown are drawn: the memories of others are never more than noise.
    """

    memory_student: Tensor
    memory_teacher: Tensor
    labels_M: Tensor
    shown_indices: Tensor
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
        self.register_buffer("shown_indices", (labels_M != UNLABELLED).nonzero().squeeze(1), persistent=False)
        self.register_buffer("normalizers", torch.zeros(2))

    @property
    def needs(self) -> frozenset[Need]:
        """Features, which images these are, their labels, and the batch: it shares negatives, of other classes."""
        return frozenset({Need.FEATURES, Need.INDEX, Need.EVERY_LABEL, Need.WHOLE_BATCH})

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
        student_ND = F.normalize(self.embed_student(channel_means(student)), dim=1)
        teacher_ND = F.normalize(self.embed_teacher(channel_means(teacher)), dim=1)
        num_shown = len(self.shown_indices)
        drawn_K = self.shown_indices[torch.randint(num_shown, (self._num_negatives,), device=step.labels_N.device)]
        is_negative_NK = self.labels_M[drawn_K].unsqueeze(0) != step.labels_N.unsqueeze(1)
        noise_N1 = is_negative_NK.float().mean(dim=1, keepdim=True) * (self._num_negatives / num_shown)
        levels_N1 = noise_N1.log()
        levels = levels_N1.squeeze(1), torch.where(is_negative_NK, levels_N1, torch.inf)
        of_student = self._loss(0, student_ND, self.memory_teacher, step.indices_N, drawn_K, levels)
        of_teacher = self._loss(1, teacher_ND, self.memory_student, step.indices_N, drawn_K, levels)
        if self.training:
            self._remember(self.memory_student, step.indices_N, student_ND.detach())
            self._remember(self.memory_teacher, step.indices_N, teacher_ND.detach())
        return of_student + of_teacher

    def _loss(
        self,
        side: int,
        anchors_ND: Tensor,
        memory_MD: Tensor,
        indices_N: Tensor,
        drawn_K: Tensor,
        levels: tuple[Tensor, Tensor],
    ) -> Tensor:
        """One direction; `levels`: logarithm of the noise, for partner and negatives; infinite: it does not count."""
        level_N, levels_NK = levels
        anchors_ND, others = anchors_ND / self._tau, memory_MD.index_select(0, drawn_K)
        positive_N = (anchors_ND * memory_MD.index_select(0, indices_N)).sum(dim=1)
        if self.normalizers[side] == 0.0:
            negative_NK = (anchors_ND @ others.T).detach()
            every = torch.cat([positive_N.detach(), negative_NK[levels_NK.isfinite()]]).exp()
            self.normalizers[side] = every.mean() * len(self.shown_indices)
        log_normalizer = self.normalizers[side].log()
        positive_N = positive_N - level_N - log_normalizer
        return noise_contrastive_loss(positive_N, torch.addmm(-log_normalizer - levels_NK, anchors_ND, others.T))

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
    tau: Annotated[float, Field(ge=0.02)] = 0.07,
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
        tau: temperature of the similarities; below 0.02 their exponentials leave float32.
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
        context.student_features[taps.student[0]][0],
        context.teacher_features[taps.teacher[0]][0],
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
