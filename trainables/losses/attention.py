"""Attention transfer (Zagoruyko & Komodakis, ICLR 2017): where the layers look, not what they see there."""

# Shapes: N batch, C channels, H height, W width, K = H W places.

from typing import Unpack, final

import torch.nn.functional as F
from pydantic import ConfigDict, validate_call
from torch import Tensor

from trainables.losses.distillation_loss import DistillationLoss, LossContext
from trainables.losses.hint import pooled_alike
from trainables.losses.layer_pairs import LayerPairs
from trainables.losses.layers import LayerNames, paired_layers
from trainables.losses.with_labels import Mixing, NonNegative, with_labels


def attention_map(features_NCHW: Tensor) -> Tensor:
    """The mean of the squares over the channels, each image's map scaled to length 1 (section 3.1, p = 2).

    Returns:
        (N, K), float32; a map of zeros stays zeros.
    """
    features_NCHW = features_NCHW.float()
    # The sum: the mean's 1 / C drops out, and a pass over the features with it. `square` is half as fast backwards.
    return F.normalize((features_NCHW * features_NCHW).sum(dim=1).flatten(1), dim=1)


def attention_loss(student_NCHW: Tensor, teacher_NCHW: Tensor) -> Tensor:
    """Mean squared difference of the attention maps, over batch and places; larger maps are averaged to the smaller.

    The paper has the length of the difference (eq. 2); its published code, and all that compare with it, this.

    Returns:
        Scalar.
    """
    student_NCHW, teacher_NCHW = pooled_alike(student_NCHW, teacher_NCHW)
    return F.mse_loss(attention_map(student_NCHW), attention_map(teacher_NCHW))


@final
class Attention(LayerPairs):
    """Where each pair of layers looks."""

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean over batch and places."""
        return attention_loss(student, teacher)


@validate_call(config=ConfigDict(arbitrary_types_allowed=True))
def attention(
    context: LossContext,
    *,
    weight: NonNegative = 1000.0,
    student_layers: LayerNames = None,
    teacher_layers: LayerNames = None,
    **mixing: Unpack[Mixing],
) -> DistillationLoss:
    """Build attention transfer beside labels.

    Args:
        context: with the features' shapes.
        weight: of the sum over layers.
        student_layers: spatial layers; None: all own modules of the network that are.
        teacher_layers: as many, in the same order.
        mixing: see `Mixing`; labels_weight is 1 by default.

    Raises:
        ValueError: a layer does not exist or is not spatial, or not as many here as there.
    """
    return with_labels(Attention(paired_layers(context, student_layers, teacher_layers, spatial=True)), weight, mixing)
