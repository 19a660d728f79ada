"""The teacher's outputs for a batch, from one interface and two sources: the live network, or what it once said."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables import models
from trainables.config import ModelConfig
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


@dataclass(frozen=True, slots=True)
class TeacherArrays:
    """A teacher as it travels through the object store: weights, and logits (images, classes) on both splits."""

    model: ModelConfig
    weights: dict[str, NDArray[np.float32]]
    train_logits_NC: NDArray[np.float32]
    validation_logits_NC: NDArray[np.float32]

    def stored(self, device: torch.device) -> StoredOutputs:
        """Its stored outputs, moved to the device."""
        logits = {Split.TRAIN: self.train_logits_NC, Split.VALIDATION: self.validation_logits_NC}
        return StoredOutputs({split: _own_tensor(logits_NC).to(device) for split, logits_NC in logits.items()})

    def live(self, device: torch.device, *, input_shape: tuple[int, int, int], num_classes: int) -> LiveTeacher:
        """The network, built from its weights on the device."""
        network = models.build(self.model, input_shape=input_shape, num_classes=num_classes)
        network.load_state_dict({name: _own_tensor(weights) for name, weights in self.weights.items()})
        return LiveTeacher(network.to(device).to(memory_format=torch.channels_last))


def _own_tensor(array: NDArray[np.float32]) -> Tensor:
    """A tensor of its own: arrays from the object store are read-only, which torch does not know."""
    return torch.from_numpy(np.array(array))
