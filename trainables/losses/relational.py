"""Relational knowledge distillation (Park et al., CVPR 2019): distances and angles among the images of a batch."""

# Shapes: N batch, D features.

from typing import Unpack, final

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, LossContext, Need, Taps
from trainables.losses.layer_pairs import LayerPairs
from trainables.losses.layers import LayerName, last_layers
from trainables.losses.similarity import flattened
from trainables.losses.with_labels import Mixing, NonNegative, with_labels

_EPSILON = 1e-12
# Share of two images' squared lengths together, some ten times what rounding in float32 makes of it.
_INDISTINCT = 1e-5


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss of the distances of all pairs, each network's own divided by their mean (eqs. 5 to 7).

    Args:
        student: features (N, ...), flattened; computed in float32.
        teacher: the same of the teacher, of any other size.

    Returns:
        Scalar, mean over ordered pairs, an image with itself among them.
    """
    return F.smooth_l1_loss(_scaled_distances(student), _scaled_distances(teacher))


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Huber loss of the cosines of all angles that two images make at a third (eqs. 8 and 9).

    Args:
        student: features (N, ...), flattened; computed in float32.
        teacher: the same of the teacher, of any other size.

    Returns:
        Scalar, mean over ordered triples, those with an image twice among them: their cosine is 0 or 1 in both.
    """
    return F.smooth_l1_loss(_cosines(student), _cosines(teacher))


def _gram(features: Tensor) -> Tensor:
    """Inner products of the features, from their mean: differences are the same, and less is lost in float32."""
    flat_ND = flattened(features)
    flat_ND = flat_ND - flat_ND.mean(dim=0)
    return flat_ND @ flat_ND.T


def _squared_distances(gram_NN: Tensor) -> Tensor:
    """0 where two images cannot be told apart: what float32 leaves of the subtraction there is no distance."""
    norms_N = gram_NN.diagonal()
    sums_NN = norms_N.unsqueeze(1) + norms_N.unsqueeze(0)
    squares_NN = sums_NN - 2.0 * gram_NN
    return torch.where(squares_NN > _INDISTINCT * sums_NN, squares_NN, torch.zeros_like(squares_NN))


def _scaled_distances(features: Tensor) -> Tensor:
    squares_NN = _squared_distances(_gram(features))
    num_pairs = max(1, len(squares_NN) * (len(squares_NN) - 1))
    distances_NN = squares_NN * _inverse_lengths(squares_NN)
    return distances_NN / (distances_NN.sum() / num_pairs).clamp(min=_EPSILON)


def _inverse_lengths(squares_NN: Tensor) -> Tensor:
    """One over the roots; 0 for 0, and without a slope there."""
    is_apart_NN = squares_NN > 0.0
    return torch.where(is_apart_NN, squares_NN, torch.ones_like(squares_NN)).rsqrt() * is_apart_NN


def _cosines(features: Tensor) -> Tensor:
    """At image i, between those to j and to k: (N, N, N), by inner products, without the differences themselves."""
    gram_NN = _gram(features)
    inverse_NN = _inverse_lengths(_squared_distances(gram_NN))
    inner = gram_NN.unsqueeze(0) - gram_NN.unsqueeze(1) - gram_NN.unsqueeze(2) + gram_NN.diagonal().view(-1, 1, 1)
    return inner * inverse_NN.unsqueeze(2) * inverse_NN.unsqueeze(1)


@final
class Relations(LayerPairs):
    """Both kinds of relation, weighted."""

    def __init__(self, taps: Taps, *, distance: float, angle: float) -> None:
        super().__init__(taps)
        self._distance = distance
        self._angle = angle

    @property
    def needs(self) -> frozenset[Need]:
        """Features, and the images that each is held against."""
        return super().needs | {Need.WHOLE_BATCH}

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The weighted sum."""
        return self._distance * distance_loss(student, teacher) + self._angle * angle_loss(student, teacher)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def relational(
    context: LossContext,
    *,
    weight: NonNegative = 1.0,
    distance: NonNegative = 25.0,
    angle: NonNegative = 50.0,
    student_layer: LayerName = None,
    teacher_layer: LayerName = None,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build the loss beside labels.

    Args:
        context: with the features' shapes.
        weight: of both kinds of relation together.
        distance: weight of the distances.
        angle: weight of the angles.
        student_layer: None: the last before the classifier.
        teacher_layer: None: the last before the classifier.
        mixing: see `Mixing`; labels_weight is 1 by default.

    Raises:
        ValueError: a layer does not exist.
    """
    taps = last_layers(context, student_layer, teacher_layer)
    return with_labels(Relations(taps, distance=distance, angle=angle), weight, mixing)
