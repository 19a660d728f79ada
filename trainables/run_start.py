"""Runs at their start: network, loss and teacher as configured, and what must fit together before anything trains."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainables import losses, models
from trainables.config import Execution, LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.transfer_set import transfer_set
from trainables.data.views import check_augmentation
from trainables.execution import execution_for
from trainables.logit_metrics.logit_metric import LogitMetric
from trainables.losses.distillation_loss import DistillationLoss, LossContext, Need
from trainables.models.features import FeatureTap, feature_shapes
from trainables.randomness import derive_seed
from trainables.stored_views import NEEDS_NETWORK, StoredViews, are_views_its_own, asks_of_views, table_of
from trainables.streams import seeded
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Split, Teacher, TeacherSource
from trainables.training import DeviceData, DistillationRun


def student_run(
    student: StudentConfig,
    data: DeviceData,
    teacher: Teacher | TeacherSource | None,
    metrics: Sequence[LogitMetric] = (),
    measured: Execution | None = None,
) -> DistillationRun:
    """A student at its start.

    Args:
        student: what it is.
        data: on its device.
        teacher: of which the run takes what the loss needs, or such a source itself; None: there is none.
        metrics: of logits, which each evaluation computes beside the declared ones; they need a teacher.
        measured: in what its steps were found to be computed fastest; None: nothing was tried.

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
    execution = execution_for(student.training, data.device, measured)
    source = _source(student, loss, teacher, data.device, execution) if isinstance(teacher, Teacher) else teacher
    is_live = source is not None and source.network is not None
    has_views = isinstance(source, StoredViews)
    check_needs(student, loss.needs, has_teacher=source is not None, is_live=is_live, has_views=has_views)
    return DistillationRun(model, loss, student.training, data, source, transfer, metrics, execution)


def teacher_run(teacher: TeacherConfig, data: DeviceData) -> DistillationRun:
    """A teacher at its start, an ensemble as one network.

    One that is brought is run and not trained: its training here says nothing but its precision, "auto".
    """
    labels = LossConfig(name="labels", options={"label_smoothing": teacher.label_smoothing})
    context = LossContext(num_classes=data.num_classes, num_train_images=len(data.images[Split.TRAIN]))
    training = teacher.training or TrainingConfig(epochs=1)
    model = initial_model(teacher.network, data.input_shape, data.num_classes, training.seed)
    return DistillationRun(model, losses.build(labels, context), training, data, teacher=None)


def check_student(
    student: StudentConfig, teacher: TeacherConfig, data: TrainingData, *, stores_views: bool = True
) -> frozenset[Need]:
    """See, before a teacher is trained, that a student could begin under it; a network is built if a loss reads of it.

    Args:
        student: what it is.
        teacher: above it.
        data: as it is shown it.
        stores_views: whether the teacher's outputs for its views can be stored beforehand.

    Returns:
        What its loss needs.

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
    has_views = stores_views and not are_views_its_own(student)
    check_needs(student, loss.needs, has_teacher=True, is_live=teacher.outputs != "stored", has_views=has_views)
    check_augmentation(student.training.augmentation, data.input_shape)
    check_parts_of_norms(student.training, len(transfer.members_K), own)
    for network, names in ((own, loss.taps.student), (above, loss.taps.teacher)):
        if names:
            FeatureTap(network(), names).close()
    return loss.needs


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


def check_needs(
    student: StudentConfig, needs: frozenset[Need], *, has_teacher: bool, is_live: bool, has_views: bool = False
) -> None:
    """Refuse, by name, a student whose loss asks for what the run does not have.

    Args:
        student: what it is.
        needs: of its loss.
        has_teacher: whether there is a teacher.
        is_live: whether it may be run, and not only looked up.
        has_views: whether its logits on the student's augmented views can be looked up where it may not be run.

    Raises:
        ValueError: naming the method, the need and the setting that it hangs on.
    """
    method, augmentation = f'method "{student.loss.name}"', student.training.augmentation
    if has_teacher and not is_live:
        _check_stored(student, needs, has_views=has_views)
    if augmentation.is_identity and Need.VIEWS in needs:
        *others, last = (name for name in type(augmentation).model_fields if name != "num_views")
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


def _check_stored(student: StudentConfig, needs: frozenset[Need], *, has_views: bool) -> None:
    """See that tables of logits are enough."""
    method, instead = f'method "{student.loss.name}"', 'teacher.outputs = "stored" must be "auto" or "live"'
    wanted = needs & NEEDS_NETWORK
    if wanted:
        raise ValueError(f"{method} needs {', '.join(sorted(wanted))}, which stored outputs do not give: {instead}")
    if asks_of_views(student, needs) and not has_views:
        named = student.training.augmentation.active.items()
        given = " and ".join(f"training.augmentation.{name} = {json.dumps(value)}" for name, value in named)
        why = "its logits on these views are not stored"
        if are_views_its_own(student):
            why = "some images are left out, and which one another is mixed with is this student's own"
        raise ValueError(f"{method} with {given} needs a live teacher: {why} ({instead})")


def _source(
    student: StudentConfig, loss: DistillationLoss, teacher: Teacher, device: torch.device, execution: Execution
) -> TeacherSource:
    """A table where one is enough; the network where the loss or its views need it and it may be run."""
    table = table_of(student, loss.needs, teacher.view_tables)
    if table is not None:
        return StoredViews(table, teacher.stored, device)
    needs_network = bool(loss.needs & NEEDS_NETWORK) or asks_of_views(student, loss.needs)
    if not needs_network or teacher.stored_only:
        return teacher.stored
    with_logits = Need.TEACHER_LOGITS in loss.needs
    return teacher.live(loss.taps.teacher, with_logits=with_logits, precision=execution.precision)


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
