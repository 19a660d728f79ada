"""Similarity-preserving distillation (Tung & Mori, ICCV 2019): which images of a batch are alike to the network."""

# Shapes: N batch, D features.

from typing import Unpack, final

import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, LossContext, Need
from trainables.losses.layer_pairs import LayerPairs
from trainables.losses.layers import LayerNames, last_layers, paired_layers
from trainables.losses.with_labels import Mixing, NonNegative, with_labels


def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """``(1 / N^2) ||G_s - G_t||_F^2``, G the Gram matrices with their rows scaled to length 1 (eqs. 1 to 4).

    It does not change under orthogonal maps of either network's features.

    Args:
        student: features (N, ...), flattened; computed in float32.
        teacher: the same of the teacher, of any other size.

    Returns:
        Scalar, mean over pairs of images.
    """
    return (_similarities(student) - _similarities(teacher)).square().mean()


def flattened(features: Tensor) -> Tensor:
    """(N, D), float32, in some order: that in which channels-last maps lie, so that nothing is copied."""
    is_spatial = features.ndim == 4
    return (features.permute(0, 2, 3, 1) if is_spatial else features).flatten(1).float()


def _similarities(features: Tensor) -> Tensor:
    flat_ND = flattened(features)
    return F.normalize(flat_ND @ flat_ND.T, dim=1)


@final
class Similarity(LayerPairs):
    """Which images are alike to each pair of layers."""

    @property
    def needs(self) -> frozenset[Need]:
        """Features, and the images that each is held against."""
        return super().needs | {Need.WHOLE_BATCH}

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean over pairs of images."""
        return similarity_loss(student, teacher)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def similarity(
    context: LossContext,
    *,
    weight: NonNegative = 3000.0,
    student_layers: LayerNames = None,
    teacher_layers: LayerNames = None,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss beside labels.

    Args:
        context: with the features' shapes.
        weight: of the sum over layers.
        student_layers: None: the last before the classifier.
        teacher_layers: as many, in the same order.
        mixing: see `Mixing`; labels_weight is 1 by default.

    Raises:
        ValueError: a layer does not exist, or not as many here as there.
    """
    if student_layers is None and teacher_layers is None:
        taps = last_layers(context, None, None)
    else:
        taps = paired_layers(context, student_layers, teacher_layers)
    return with_labels(Similarity(taps), weight, mixing)
