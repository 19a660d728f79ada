"""One run of Hinton et al. 2015, section 3: trained, its biases moved, its errors counted; no files."""

# Shapes: N images, C classes.

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from trainables import data as datasets
from trainables.config import DatasetConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split
from trainables.data.transfer_set import transfer_set
from trainables.data.views import DeviceImages
from trainables.hinton2015 import Experiment, Pixels
from trainables.hinton2015_results import ErrorCount, ShiftedErrors
from trainables.run_start import student_run
from trainables.teacher_outputs import Split, StoredOutputs
from trainables.training import DeviceData, DistillationRun, TrainingDivergedError
from trainables.verification import load_test_split

# Biases are moved by multiples of a tenth, as the paper's 3.5 and 7.6, and by at most this much.
LARGEST_SHIFT = 40
SHIFTS = tuple(round(number / 10, 1) for number in range(-10 * LARGEST_SHIFT, 10 * LARGEST_SHIFT + 1))

DEVICE = torch.device("cpu")


@final
class Images:
    """The training images: all of them, and those that are left beside the validation images, for the twins."""

    def __init__(self, dataset: DatasetConfig, pixels: Pixels) -> None:
        twin = split(datasets.load(dataset), dataset)
        twin = replace(twin, mean_C=(pixels.mean,), std_C=(pixels.deviation,))
        self._dataset = dataset
        self._pixels = pixels
        self._data = {True: twin, False: _whole(twin)}
        self._on_device = {is_twin: DeviceData(each, DEVICE) for is_twin, each in self._data.items()}

    def for_training(self, experiment: Experiment) -> DeviceData:
        """What the run is given; the validation images of any but a twin are among those it learns from."""
        return self._on_device[experiment.is_twin]

    def num_shown(self, experiment: Experiment) -> int:
        """How many images it learns from.

        Raises:
            ValueError: an omitted class does not exist, or no image is left.
        """
        labels_N = self._data[experiment.is_twin].train.labels_N
        return len(transfer_set(labels_N, experiment.student.transfer).members_K)

    def test_images(self) -> DeviceImages:
        """The test images, for a finished run."""
        images = load_test_split(self._dataset)
        return DeviceImages(images, mean_C=(self._pixels.mean,), std_C=(self._pixels.deviation,), device=DEVICE)


def _whole(twin: TrainingData) -> TrainingData:
    """All training images in one; the twin's validation images are among them."""
    images = [twin.train, twin.validation]
    joined = replace(
        twin.train,
        images_NCHW=np.concatenate([each.images_NCHW for each in images]),
        labels_N=np.concatenate([each.labels_N for each in images]),
    )
    return replace(twin, train=joined)


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """A finished network's logits (images, C) on the un-jittered training and "validation" images."""

    train_NC: Tensor
    validation_NC: Tensor

    def as_source(self) -> StoredOutputs:
        """As a student looks them up."""
        return StoredOutputs({Split.TRAIN: self.train_NC, Split.VALIDATION: self.validation_NC})


def start(experiment: Experiment, images: Images, teacher: SoftTargets | None) -> DistillationRun:
    """The run at its start.

    Raises:
        ValueError: something in it is not allowed.
    """
    source = None if teacher is None else teacher.as_source()
    return student_run(experiment.student, images.for_training(experiment), source)


def soft_targets(run: DistillationRun) -> SoftTargets:
    """What a finished network says of the images as they are, without dropout."""
    return SoftTargets(run.all_logits(Split.TRAIN), run.all_logits(Split.VALIDATION))


def count_errors(logits_NC: Tensor, labels_N: Tensor) -> ErrorCount:
    """How many images have another class's logit above their own class's; every error in the table is counted here.

    Raises:
        TrainingDivergedError: a logit is not finite.
    """
    if not torch.isfinite(logits_NC).all():
        raise TrainingDivergedError("an output of the finished network is not finite")
    num_classes = logits_NC.shape[1]
    wrong_N = labels_N[logits_NC.argmax(dim=1) != labels_N]
    return ErrorCount(
        num_wrong_by_class=tuple(torch.bincount(wrong_N, minlength=num_classes).tolist()),
        num_images_by_class=tuple(torch.bincount(labels_N, minlength=num_classes).tolist()),
    )


def shifted(logits_NC: Tensor, classes: Sequence[int], shift: float) -> Tensor:
    """Logits once `shift` is added to the biases of some classes; the given ones stay as they are."""
    moved_NC = logits_NC.clone()
    moved_NC[:, list(classes)] += shift
    return moved_NC


def errors_at(logits_NC: Tensor, labels_N: Tensor, classes: Sequence[int], shift: float) -> ShiftedErrors:
    """What is wrong after the shift."""
    return ShiftedErrors(shift=shift, errors=count_errors(shifted(logits_NC, classes, shift), labels_N))


def best_shift(logits_NC: Tensor, labels_N: Tensor, classes: Sequence[int]) -> ShiftedErrors:
    """The shift with the fewest errors on the given images; of several, the smallest."""
    found = (errors_at(logits_NC, labels_N, classes, shift) for shift in SHIFTS)
    return min(found, key=lambda each: (each.errors.num_wrong, abs(each.shift)))
