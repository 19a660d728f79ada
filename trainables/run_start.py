"""Runs at their start: network, loss and teacher as configured, and what must fit together before anything trains."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache, cached_property, partial
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainables import losses, models
from trainables.config import LossConfig, ModelConfig, StudentConfig, TeacherConfig, TrainingConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.transfer_set import transfer_set
from trainables.data.views import check_augmentation
from trainables.losses.distillation_loss import DistillationLoss, LossContext, Need
from trainables.models.features import FeatureTap, feature_shapes
from trainables.randomness import derive_seed
from trainables.streams import seeded
from trainables.teacher_outputs import Split, Teacher, TeacherSource
from trainables.training import DeviceData, DistillationRun

# What a table of the teacher's logits on the images as they are does not hold.
NEEDS_NETWORK = frozenset({Need.FEATURES, Need.TEACHER_NETWORK, Need.VIEWS})


def student_run(student: StudentConfig, data: DeviceData, teacher: Teacher | TeacherSource | None) -> DistillationRun:
    """A student at its start.

    Args:
        student: what it is.
        data: on its device.
        teacher: of which the run takes what the loss needs, or such a source itself; None: there is none.

    Raises:
        ValueError: the loss needs what this run cannot give it, an option of network or loss is not allowed, or no
            image is left to learn from.
    """
    labels_M = data.images[Split.TRAIN].labels_N.cpu().numpy()
    transfer = None if student.transfer.is_everything else transfer_set(labels_M, student.transfer)
    if transfer is not None:
        labels_M = transfer.labels_M
    model = initial_model(student.model, data.input_shape, data.num_classes, student.training.seed)
    of_teacher = (lambda: teacher.feature_shapes) if isinstance(teacher, Teacher) else dict
    loss = _initial_loss(
        student, data.num_classes, labels_M, lambda: feature_shapes(model, data.input_shape), of_teacher
    )
    source = _source(student, loss, teacher) if isinstance(teacher, Teacher) else teacher
    is_live = source is not None and source.network is not None
    check_needs(student, loss.needs, has_teacher=source is not None, is_live=is_live)
    return DistillationRun(model, loss, student.training, data, source, transfer)


def teacher_run(teacher: TeacherConfig, data: DeviceData) -> DistillationRun:
    """A teacher at its start, an ensemble as one network.

    One that is brought is run and not trained: its training here says nothing but its precision, "auto".
    """
    labels = LossConfig(name="labels", options={"label_smoothing": teacher.label_smoothing})
    context = LossContext(num_classes=data.num_classes, num_train_images=len(data.images[Split.TRAIN]))
    training = teacher.training or TrainingConfig(epochs=1)
    model = initial_model(teacher.network, data.input_shape, data.num_classes, training.seed)
    return DistillationRun(model, losses.build(labels, context), training, data, teacher=None)


def check_student(student: StudentConfig, teacher: TeacherConfig, data: TrainingData) -> None:
    """See, before a teacher is trained, that a student could begin under it; a network is built if a loss reads of it.

    Raises:
        ValueError: what `student_run` would raise.
    """
    transfer = transfer_set(data.train.labels_N, student.transfer)
    labels_M = transfer.labels_M
    own, above = (
        cache(partial(initial_model, model, data.input_shape, data.num_classes, seed=0))
        for model in (student.model, teacher.network)
    )
    loss = _initial_loss(
        student,
        data.num_classes,
        labels_M,
        lambda: feature_shapes(own(), data.input_shape),
        lambda: feature_shapes(above(), data.input_shape),
    )
    check_needs(student, loss.needs, has_teacher=True, is_live=teacher.outputs == "auto")
    check_augmentation(student.training.augmentation, data.input_shape)
    check_parts_of_norms(student.training, len(transfer.members_K), own)
    for network, names in ((own, loss.taps.student), (above, loss.taps.teacher)):
        if names:
            FeatureTap(network(), names).close()


def check_parts_of_norms(training: TrainingConfig, num_images: int, network: Callable[[], nn.Module]) -> None:
    """See that a network with batch normalisation is never shown one image alone, of which there is no deviation.

    Raises:
        ValueError: an epoch's last batch, or a part of a batch, would be one image.
    """
    last = num_images % training.batch_size or min(training.batch_size, num_images)
    smallest = min(each // min(training.accumulate, each) for each in (last, min(training.batch_size, num_images)))
    norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
    if smallest == 1 and any(isinstance(module, norms) for module in network().modules()):
        raise ValueError(
            f"training.batch_size = {training.batch_size} with training.accumulate = {training.accumulate} shows one "
            f"of {num_images:,} images alone, in which batch normalisation finds little or no deviation: another "
            "batch_size, or dataset.num_validation_images, leaves two or more"
        )


def initial_model(model: ModelConfig, input_shape: tuple[int, int, int], num_classes: int, seed: int) -> nn.Module:
    """The network with its initial weights: a function of its configuration and the seed, drawn on the CPU."""
    with seeded(derive_seed(seed, "weights"), torch.device("cpu")):
        return models.build(model, input_shape=input_shape, num_classes=num_classes)


def check_needs(student: StudentConfig, needs: frozenset[Need], *, has_teacher: bool, is_live: bool) -> None:
    """Refuse, by name, a student whose loss asks for what the run does not have.

    Args:
        student: what it is.
        needs: of its loss.
        has_teacher: whether there is a teacher.
        is_live: whether it may be run, and not only looked up.

    Raises:
        ValueError: naming the method, the need and the setting that it hangs on.
    """
    method, augmentation = f'method "{student.loss.name}"', student.training.augmentation
    if has_teacher and not is_live:
        _check_stored(student, needs)
    if augmentation.is_identity and Need.VIEWS in needs:
        *others, last = type(augmentation).model_fields
        raise ValueError(
            f"{method} needs views: training.augmentation must have {', '.join(others)} or {last}; it has none of them"
        )
    if augmentation.mixup and needs & {Need.LABELS, Need.EVERY_LABEL}:
        raise ValueError(
            f"{method} needs labels, which a mixed image does not have: training.augmentation.mixup = "
            f"{augmentation.mixup:g} must be 0 (function_matching and kd with alpha = 1 need none)"
        )
    if student.transfer.label_share < 1.0 and Need.EVERY_LABEL in needs:
        raise ValueError(
            f"{method} needs the label of every image: "
            f"transfer.label_share = {student.transfer.label_share:g} must be 1"
        )
    if student.transfer.label_share == 0.0 and needs == {Need.LABELS}:
        raise ValueError(f"{method} learns from labels alone: transfer.label_share = 0 leaves it nothing to learn from")
    if student.training.accumulate > 1:
        _check_parts(student, needs)
    given = {Need.LABELS, Need.EVERY_LABEL, Need.INDEX, Need.VIEWS, Need.WHOLE_BATCH}
    if has_teacher:
        given |= {Need.TEACHER_LOGITS, Need.FEATURES, Need.TEACHER_NETWORK}
    missing = needs - given
    if missing:
        raise ValueError(
            f"{method} needs {', '.join(sorted(missing))}; this run has no teacher and gives {', '.join(sorted(given))}"
        )


def _check_parts(student: StudentConfig, needs: frozenset[Need]) -> None:
    """See that the mean over a batch is the mean of its parts' means, weighed by their images."""
    method, given = f'method "{student.loss.name}"', f"training.accumulate = {student.training.accumulate}"
    if Need.WHOLE_BATCH in needs:
        raise ValueError(f"{method} needs {Need.WHOLE_BATCH}, which parts of one do not give: {given} must be 1")
    if student.transfer.label_share < 1.0 and Need.LABELS in needs:
        raise ValueError(
            f"{method} averages over the images of a batch that have labels, and parts have more and less of them: "
            f"with transfer.label_share = {student.transfer.label_share:g}, {given} must be 1"
        )


def _check_stored(student: StudentConfig, needs: frozenset[Need]) -> None:
    """See that a table of logits on the images as they are is enough."""
    method = f'method "{student.loss.name}"'
    wanted = needs & {Need.FEATURES, Need.TEACHER_NETWORK}
    if wanted:
        raise ValueError(
            f"{method} needs {', '.join(sorted(wanted))}, which stored outputs do not give: "
            'teacher.outputs = "stored" must be "auto"'
        )
    augmentation = student.training.augmentation
    if not augmentation.is_identity and needs & {Need.TEACHER_LOGITS}:
        named = augmentation.active.items()
        given = " and ".join(f"training.augmentation.{name} = {json.dumps(value)}" for name, value in named)
        raise ValueError(
            f"{method} with {given} needs a live teacher: stored outputs serve un-augmented images only "
            '(teacher.outputs = "stored" must be "auto")'
        )


def _source(student: StudentConfig, loss: DistillationLoss, teacher: Teacher) -> TeacherSource:
    """The table where it is enough; the network where the loss or its views need it and it may be run."""
    views_to_teacher = not student.training.augmentation.is_identity and Need.TEACHER_LOGITS in loss.needs
    if teacher.stored_only or not (loss.needs & NEEDS_NETWORK or views_to_teacher):
        return teacher.stored
    return teacher.live(loss.taps.teacher)


def _initial_loss(
    student: StudentConfig,
    num_classes: int,
    labels_M: NDArray[np.int64],
    of_student: Callable[[], Mapping[str, tuple[int, ...]]],
    of_teacher: Callable[[], Mapping[str, tuple[int, ...]]],
) -> DistillationLoss:
    """The loss; parameters of its own, where it has some, come from a stream of their own.

    `labels_M`: of every training image, UNLABELLED where the student is not told.
    """
    context = LossContext(
        num_classes=num_classes,
        num_train_images=len(labels_M),
        student_features=_LazyShapes(of_student),
        teacher_features=_LazyShapes(of_teacher),
        train_labels_N=labels_M,
    )
    with seeded(derive_seed(student.training.seed, "loss"), torch.device("cpu")):
        return losses.build(student.loss, context)


@final
class _LazyShapes(Mapping[str, tuple[int, ...]]):
    """Shapes that are measured when one is first asked for: most losses ask for none."""

    def __init__(self, measure: Callable[[], Mapping[str, tuple[int, ...]]]) -> None:
        self._measure = measure

    @cached_property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._measure()

    def __getitem__(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)
