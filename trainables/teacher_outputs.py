"""The teacher's outputs for a batch, from one interface: the live network, or what it once said of the images."""

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
from trainables.config import AugmentationConfig, ModelConfig, Precision
from trainables.hardware.device import autocast
from trainables.losses.distillation_loss import Outputs
from trainables.models.features import FeatureReader, FeatureTap, feature_shapes
from trainables.models.folding import fold
from trainables.streams import seeded


class Split(StrEnum):
    """Which images. There is no name for the test images here: nothing that trains or selects can ask for them."""

    TRAIN = "train"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class Batch:
    """Images as the student sees them, (N, C, H, W) normalised float, and where they stand in their split.

    `view`: which of the training's views they are; None: they are shown as they are.
    """

    split: Split
    indices_N: Tensor
    images_NCHW: Tensor
    labels_N: Tensor
    view: int | None = None


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

    Where its logits are not wanted, the network is run no further than to the last of the layers.

    Args:
        network: its weights are fixed from here on.
        taps: layers whose features are wanted of the training images.
        validation: what answers for the validation images, which have no views; None: the network too.
        with_logits: whether its logits are wanted of the training images; else they are of shape (N, 0).
        precision: to compute in.
    """

    def __init__(
        self,
        network: nn.Module,
        taps: Sequence[str] = (),
        validation: StoredOutputs | None = None,
        *,
        with_logits: bool = True,
        precision: Precision = "float32",
    ) -> None:
        self._network = network.eval().requires_grad_(False)
        self._taps = tuple(taps)
        self._validation = validation
        self._reader = None if with_logits else FeatureReader(self._network, self._taps)
        self._precision = precision

    @property
    def network(self) -> Callable[[Tensor], Tensor]:
        """Images (N, channels, H, W) to logits (N, C)."""
        return self._forward

    def outputs(self, batch: Batch) -> Outputs:
        """A forward pass, or a table look-up of a validation image."""
        if batch.split is Split.VALIDATION and self._validation is not None:
            return self._validation.outputs(batch)
        images_NCHW = batch.images_NCHW
        with torch.no_grad():
            if self._reader is not None and batch.split is Split.TRAIN:
                with autocast(images_NCHW.device, self._precision):
                    return Outputs(images_NCHW.new_empty(len(images_NCHW), 0), self._reader.read(images_NCHW))
            with FeatureTap(self._network, self._taps) as tap:
                return Outputs(self._forward(images_NCHW), tap.take())

    def _forward(self, images_NCHW: Tensor) -> Tensor:
        with autocast(images_NCHW.device, self._precision):
            logits_NC: Tensor = self._network(images_NCHW)
        return logits_NC


@dataclass(frozen=True, slots=True, eq=False)
class ViewTable:
    """A teacher's logits on views of all training images: those that trainings of one seed show, view by view."""

    seed: int
    augmentation: AugmentationConfig  # `each_view`: how many of them a training shows is its own
    logits_NC: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class TeacherArrays:
    """A teacher as it travels through the object store: weights, and logits (images, classes) on both splits."""

    model: ModelConfig
    weights: dict[str, NDArray[np.float32] | NDArray[np.int64]]  # whole numbers: how many batches a norm has seen
    train_logits_NC: NDArray[np.float32]
    validation_logits_NC: NDArray[np.float32]
    stored_only: bool = False  # the network is not to be run
    view_tables: tuple[ViewTable, ...] = ()


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
        self.view_tables = arrays.view_tables
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
        return feature_shapes(self._folded[0], self._input_shape)

    def live(self, taps: Sequence[str], *, with_logits: bool = True, precision: Precision = "float32") -> LiveTeacher:
        """The network, its features of these layers read; validation images are answered from the table.

        Args:
            taps: layers whose features are wanted of the training images.
            with_logits: whether its logits are.
            precision: to compute in.
        """
        network, changed = self._folded
        network = self._network() if changed & set(taps) else network
        return LiveTeacher(network, taps, self.stored, with_logits=with_logits, precision=precision)

    @cached_property
    def _folded(self) -> tuple[nn.Module, frozenset[str]]:
        """The network in its cheapest form, and names of the layers whose features are none of its own there."""
        network = self._network()
        return network, fold(network)

    def _network(self) -> nn.Module:
        with seeded(0, torch.device("cpu")):  # its initial weights, which are not kept, are of nobody else's stream
            network = models.build(
                self._arrays.model.without_weights, input_shape=self._input_shape, num_classes=self._num_classes
            )
        network.load_state_dict({name: _own_tensor(weights) for name, weights in self._arrays.weights.items()})
        return network.to(self._device).to(memory_format=torch.channels_last).eval()


def _own_tensor(array: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
    """A tensor of its own: arrays from the object store are read-only, which torch does not know."""
    return torch.from_numpy(np.array(array))
