"""The teacher's logits on augmented views as files, one a view: made by a task on a whole device, and mapped."""

# Shapes: N images, C classes.

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from trainables.checkpoints import save_array
from trainables.config import AugmentationConfig, Frozen
from trainables.data.image_arrays import TrainingData
from trainables.data.views import EpochViews
from trainables.hardware.device import select_device, tensor_float_products
from trainables.later_fields import without_later_fields
from trainables.study_paths import TeacherPaths
from trainables.teacher_outputs import Batch, LiveTeacher, Split, Teacher, TeacherArrays, ViewTable
from trainables.training import EVALUATION_BATCH_SIZE, DeviceData


class ViewSet(Frozen):
    """The first views that trainings of one seed show of all training images."""

    seed: int
    augmentation: AugmentationConfig
    num_views: int = Field(ge=1)

    def fingerprint(self, teacher_fingerprint: str) -> str:
        """Of what each view's logits hang on; how many there are is no part of it, so that more may follow."""
        augmentation = without_later_fields(self.augmentation.each_view.model_dump(mode="json"))
        inputs = json.dumps([teacher_fingerprint, self.seed, augmentation], sort_keys=True)
        return hashlib.sha256(inputs.encode()).hexdigest()[:16]

    def files(self, paths: TeacherPaths, teacher_fingerprint: str) -> list[Path]:
        """Where its logits stand, view by view."""
        fingerprint = self.fingerprint(teacher_fingerprint)
        return [paths.view_logits(fingerprint, view) for view in range(self.num_views)]


def store_views(
    view_sets: Sequence[ViewSet],
    teacher: TeacherArrays,
    data: TrainingData,
    paths: TeacherPaths,
    teacher_fingerprint: str,
    num_threads: int,
) -> Iterator[float]:
    """Run the teacher on every training image in every view, and write what it says; views that are there are left.

    It is the network that would be run beside a student, on the images that the student is shown. What is stored
    differs from what it would say there by rounding: the batches are others, and here it is computed in float32.

    Yields:
        After each view the seconds that it took; it is on the disk then, whole.

    Raises:
        ValueError: an output is not finite.
        OSError: it cannot be written.
    """
    torch.set_num_threads(num_threads)
    on_device = DeviceData(data, select_device())
    network = Teacher(
        teacher, on_device.device, input_shape=on_device.input_shape, num_classes=on_device.num_classes
    ).live(())
    for view_set in view_sets:
        for view, file in enumerate(view_set.files(paths, teacher_fingerprint)):
            if file.exists():
                continue
            started = time.perf_counter()
            with tensor_float_products(on_device.device, allowed=False):
                logits_NC = view_logits(network, on_device, view_set, view)
            if not torch.isfinite(logits_NC).all():
                raise ValueError(f"{teacher.model.key}: an output on view {view} of the training images is not finite")
            save_array(file, logits_NC.numpy())
            yield time.perf_counter() - started


@torch.inference_mode()
def view_logits(teacher: LiveTeacher, data: DeviceData, view_set: ViewSet, view: int) -> Tensor:
    """The teacher's logits on all training images in one view, float32 (N, C), on the CPU."""
    images = data.images[Split.TRAIN]
    members_N = torch.arange(len(images), device=data.device)
    views = EpochViews.of(
        view_set.augmentation.each_view, view_set.seed, view, members_N, len(images), data.input_shape
    )
    batches = (
        Batch(Split.TRAIN, part_N, images.viewed(part_N, views), images.labels_N.index_select(0, part_N), view)
        for part_N in torch.split(members_N, EVALUATION_BATCH_SIZE)
    )
    return torch.cat([teacher.outputs(batch).logits_NC.float().cpu() for batch in batches])


def load_views(
    view_sets: Sequence[ViewSet], data: TrainingData, paths: TeacherPaths, teacher_fingerprint: str
) -> tuple[ViewTable, ...]:
    """The tables as they lie on the disk.

    Raises:
        ValueError: a file is missing or is no such table; the message names it.
    """
    shape = (len(data.train), data.num_classes)
    return tuple(
        ViewTable(
            each.seed,
            each.augmentation.each_view,
            tuple(_mapped(file, shape) for file in each.files(paths, teacher_fingerprint)),
        )
        for each in view_sets
    )


def _mapped(file: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """A view of plain NumPy type: a memmap itself would be pickled by value, and each trial hold a copy."""
    try:
        logits_NC = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{file}: the stored teacher outputs cannot be read: {error}") from error
    if (logits_NC.shape, logits_NC.dtype) != (shape, np.float32):
        raise ValueError(
            f"{file}: {logits_NC.dtype} of shape {logits_NC.shape}, where float32 of shape {shape} should be; "
            "remove it to have it made again"
        )
    return np.asarray(logits_NC)
