"""The teacher's outputs for a batch, from one interface and two sources: the live network, or what it once said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables import models
from trainables.config import ModelConfig
from trainables.losses.distillation_loss import Outputs
from trainables.models.features import FeatureTap, feature_shapes
from trainables.streams import seeded


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
    def network(self) -> Callable[[Tensor], Tensor] | None:
        """The teacher itself, which sees the student's own augmented views; None where there are its outputs alone."""

    def outputs(self, batch: Batch) -> Outputs:
        """Logits of shape (N, C), and the features that were asked for."""


@final
class StoredOutputs:
    """Logits computed once on un-augmented images: a table look-up a batch. No features."""

    def __init__(self, logits_NC: Mapping[Split, Tensor]) -> None:
        self._logits_NC = dict(logits_NC)

    @property
    def network(self) -> None:
        """There is none: neither an augmented image nor a feature has a stored output."""
        return None

    def outputs(self, batch: Batch) -> Outputs:
        """Rows of the table."""
        return Outputs(self._logits_NC[batch.split].index_select(0, batch.indices_N))


@final
class LiveTeacher:
    """The network itself, in evaluation mode and without gradient, on the very view that the student sees.

    Args:
        network: its weights are fixed from here on.
        taps: layers whose features are wanted of the training images.
        validation: what answers for the validation images, which have no views; None: the network too.
    """

    def __init__(self, network: nn.Module, taps: Sequence[str] = (), validation: StoredOutputs | None = None) -> None:
        self._network = network.eval().requires_grad_(False)
        self._taps = tuple(taps)
        self._validation = validation

    @property
    def network(self) -> Callable[[Tensor], Tensor]:
        """Images (N, channels, H, W) to logits (N, C)."""
        return self._network

    def outputs(self, batch: Batch) -> Outputs:
        """A forward pass, or a table look-up of a validation image."""
        if batch.split is Split.VALIDATION and self._validation is not None:
            return self._validation.outputs(batch)
        with torch.no_grad(), FeatureTap(self._network, self._taps) as tap:
            return Outputs(self._network(batch.images_NCHW), tap.take())


@dataclass(frozen=True, slots=True)
class TeacherArrays:
    """A teacher as it travels through the object store: weights, and logits (images, classes) on both splits."""

    model: ModelConfig
    weights: dict[str, NDArray[np.float32] | NDArray[np.int64]]  # whole numbers: how many batches a norm has seen
    train_logits_NC: NDArray[np.float32]
    validation_logits_NC: NDArray[np.float32]
    stored_only: bool = False  # the network is not to be run


class Teacher:
    """A teacher on a device: what it once said is there at once, its network when it is first asked for.

    Args:
        arrays: as they came.
        device: where the students are trained.
        input_shape: (channels, height, width) of an image.
        num_classes: number of logits.
    """

    def __init__(
        self,
        arrays: TeacherArrays,
        device: torch.device,
        *,
        input_shape: tuple[int, int, int],
        num_classes: int,
    ) -> None:
        self.stored_only = arrays.stored_only
        self._arrays = arrays
        self._device = device
        self._input_shape = input_shape
        self._num_classes = num_classes

    @cached_property
    def stored(self) -> StoredOutputs:
        """Its logits on the un-augmented images of both splits."""
        logits = {Split.TRAIN: self._arrays.train_logits_NC, Split.VALIDATION: self._arrays.validation_logits_NC}
        return StoredOutputs({split: _own_tensor(each).to(self._device) for split, each in logits.items()})

    @cached_property
    def feature_shapes(self) -> dict[str, tuple[int, ...]]:
        """What each layer gives a single image."""
        return feature_shapes(self._network, self._input_shape)

    def live(self, taps: Sequence[str]) -> LiveTeacher:
        """The network, its features of these layers read; validation images are answered from the table."""
        return LiveTeacher(self._network, taps, self.stored)

    @cached_property
    def _network(self) -> nn.Module:
        with seeded(0, torch.device("cpu")):  # its initial weights, which are not kept, are of nobody else's stream
            network = models.build(
                self._arrays.model.without_weights, input_shape=self._input_shape, num_classes=self._num_classes
            )
        network.load_state_dict({name: _own_tensor(weights) for name, weights in self._arrays.weights.items()})
        return network.to(self._device).to(memory_format=torch.channels_last)


def _own_tensor(array: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
    """A tensor of its own: arrays from the object store are read-only, which torch does not know."""
    return torch.from_numpy(np.array(array))
