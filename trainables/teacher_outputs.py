"""The teacher's outputs for a batch, from one interface and two sources: the live network, or what it once said."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, final

import torch
from torch import Tensor, nn

from trainables.losses.distillation_loss import Outputs


class Split(StrEnum):
    """Which images. There is no name for the test images here: nothing that trains or selects can ask for them."""

    TRAIN = "train"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class Batch:
    """Images as the student sees them, (N, C, H, W) normalised float, and where they stand in their split."""

    split: Split
    indices_N: Tensor
    images_NCHW: Tensor
    labels_N: Tensor


class TeacherSource(Protocol):
    """Says what the teacher makes of a batch, without gradient."""

    @property
    def serves_views(self) -> bool:
        """Whether it sees the student's own augmented view rather than the image behind it."""

    def outputs(self, batch: Batch) -> Outputs:
        """Logits of shape (N, C), and the features that were asked for."""


@final
class StoredOutputs:
    """Logits computed once on un-augmented images: a table look-up a batch. No features."""

    def __init__(self, logits_NC: Mapping[Split, Tensor]) -> None:
        self._logits_NC = dict(logits_NC)

    @property
    def serves_views(self) -> bool:
        """Never: an augmented image has no stored output."""
        return False

    def outputs(self, batch: Batch) -> Outputs:
        """Rows of the table."""
        return Outputs(self._logits_NC[batch.split].index_select(0, batch.indices_N))


@final
class LiveTeacher:
    """The network itself, in evaluation mode and without gradient, on the very view that the student sees."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(False)

    @property
    def serves_views(self) -> bool:
        """Always."""
        return True

    def outputs(self, batch: Batch) -> Outputs:
        """A forward pass."""
        with torch.no_grad():
            return Outputs(self._network(batch.images_NCHW))
