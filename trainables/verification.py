"""Students trained again with fresh seeds, each run as one Ray task; and the one function that reads the test split."""

# Shapes: N images, C classes.

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trainables import data as datasets
from trainables import logit_metrics
from trainables.checkpoints import save_weights
from trainables.config import NamedConfig
from trainables.data.image_arrays import LabelledImages, TrainingData
from trainables.data.views import DeviceImages
from trainables.hardware.device import device_name, select_device, take_share
from trainables.hardware.gpu_share import memory_share, why_failed
from trainables.logit_metrics.logit_metric import LogitMetric, values_of
from trainables.models import num_parameters
from trainables.resumption import ResumableTraining
from trainables.run_start import student_run, teacher_run
from trainables.study_paths import StudyPaths
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DeviceData, DistillationRun, TrainingDivergedError
from trainables.verified import PlannedRun, Preprocessing, SplitMetrics, VerifiedRun
from trainables.whole_files import write_record

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class VerificationInputs:
    """What all runs of a verification share, put into the object store once."""

    data: TrainingData
    teacher: TeacherArrays
    test_images: LabelledImages
    teacher_test_logits_NC: np.ndarray[Any, np.dtype[np.float32]]
    metrics: tuple[NamedConfig, ...] = ()  # of logits, beside the declared ones


def load_test_split(dataset: NamedConfig | str) -> LabelledImages:
    """The test split of a dataset: no other line of the project reads it.

    In a study no decision depends on it. A published experiment that is run again may have chosen by it: there both
    choices are made, on validation images and, labelled so, as published.

    Raises:
        ValueError: there is no such dataset, or its files are missing or damaged.
    """
    return datasets.load(dataset).test


def split_metrics(
    logits_NC: Tensor, labels_N: Tensor, teacher_NC: Tensor, metrics: Sequence[LogitMetric] = ()
) -> SplitMetrics:
    """What logits (images, classes) are worth against the labels, and beside the teacher's.

    Raises:
        TrainingDivergedError: a logit is not finite.
        LogitMetricError: a metric of logits could not be computed.
    """
    if not torch.isfinite(logits_NC).all():
        raise TrainingDivergedError("an output on the test images is not finite")
    predictions_N = logits_NC.argmax(dim=1)
    is_right_N = (predictions_N == labels_N).double()
    by_class = [is_right_N[labels_N == each] for each in range(logits_NC.shape[1])]
    return SplitMetrics(
        num_images=len(labels_N),
        accuracy=float(is_right_N.mean()),
        nll=float(F.cross_entropy(logits_NC.double(), labels_N)),
        agreement=float((predictions_N == teacher_NC.argmax(dim=1)).double().mean()),
        accuracy_by_class=tuple(float(each.mean()) if len(each) else None for each in by_class),
        own=values_of(metrics, logits_NC, labels_N, teacher_NC),
    )


def teacher_on_test(
    config: TeacherConfig,
    teacher: TeacherArrays,
    data: TrainingData,
    test: LabelledImages,
    cpus: int,
    metrics: Sequence[NamedConfig] = (),
) -> tuple[SplitMetrics, np.ndarray[Any, np.dtype[np.float32]]]:
    """The teacher on the test images: what it is worth, held against itself, and its logits (images, classes), float32.

    A metric of logits that cannot be computed of it is left out, and said: the students are what is verified.
    """
    device = select_device()
    take_share(device, cpus=cpus, gpus=1.0 if device.type == "cuda" else 0.0)
    run = teacher_run(config.model_copy(update={"model": config.model.without_weights}), DeviceData(data, device))
    run.model.load_state_dict({name: torch.from_numpy(np.array(each)) for name, each in teacher.weights.items()})
    logits_NC = run.logits_of(_on_device(test, data, device))
    labels_N = torch.from_numpy(np.array(test.labels_N))
    own: dict[str, float] = {}
    for each in metrics:
        try:
            own |= values_of([logit_metrics.build(each)], logits_NC, labels_N, logits_NC)
        except ValueError as error:
            logger.warning("the teacher on the test images: %s", error)
    measured = split_metrics(logits_NC, labels_N, logits_NC)
    return measured.model_copy(update={"own": own}), logits_NC.numpy()


def verify_student(
    planned: PlannedRun,
    inputs: VerificationInputs,
    paths: StudyPaths,
    cpus: float,
    gpus: float,
    context_mib: float | None = None,
) -> VerifiedRun:
    """Train a student to its last epoch and read it once on the test images; weights and card are written.

    It goes on from its checkpoint where there is one. What is the student's own fault (a loss that is not finite, too
    little memory, an option that its loss refuses) is told in the record and not raised.

    Args:
        planned: the student, with the fresh seed as its training seed.
        inputs: shared with the other runs.
        paths: of the study.
        cpus: threads to train on.
        gpus: fraction of a GPU; 0 for the CPU.
        context_mib: of its memory that this process takes by itself; None: not measured.
    """
    device = select_device() if gpus > 0 else torch.device("cpu")
    take_share(device, cpus=cpus, gpus=gpus, context_mib=context_mib)
    measured: dict[str, Any] = dict.fromkeys(("num_parameters", "validation_accuracy", "on_test", "train_seconds"))
    weights: dict[str, Tensor] = {}
    failure = None
    try:
        training = _training(planned, inputs, device, paths)
        measured["num_parameters"] = num_parameters(training.run.model)
        for _ in training.epochs():
            pass
        measured |= _measured(training.run, inputs, device) | {"train_seconds": training.seconds}
        weights = {name: tensor.cpu() for name, tensor in training.run.model.state_dict().items()}
    except (TrainingDivergedError, torch.OutOfMemoryError, ValueError) as error:
        failure = why_failed(error, memory_share(device, gpus, context_mib))
    record = VerifiedRun(
        **dict(planned),
        **measured,
        failure=failure,
        preprocessing=preprocessing_of(inputs.data),
        device=device_name(device),
        versions=versions(),
    )
    _write(record, weights, paths)
    return record


def _training(
    planned: PlannedRun, inputs: VerificationInputs, device: torch.device, paths: StudyPaths
) -> ResumableTraining:
    data = DeviceData(inputs.data, device)
    teacher = Teacher(inputs.teacher, device, input_shape=data.input_shape, num_classes=data.num_classes)
    run = student_run(planned.student, data, teacher, measured=planned.execution)
    return ResumableTraining(run, paths.verified_checkpoint(planned.fingerprint), planned.fingerprint)


def _measured(run: DistillationRun, inputs: VerificationInputs, device: torch.device) -> dict[str, Any]:
    """Of a run that had all its epochs, on validation and on the test images."""
    logits_NC = run.logits_of(_on_device(inputs.test_images, inputs.data, device))
    labels_N = torch.from_numpy(np.array(inputs.test_images.labels_N))
    teacher_NC = torch.from_numpy(np.array(inputs.teacher_test_logits_NC))
    metrics = [logit_metrics.build(each) for each in inputs.metrics]
    return {
        "validation_accuracy": run.evaluate(Split.VALIDATION).accuracy,
        "on_test": split_metrics(logits_NC, labels_N, teacher_NC, metrics),
    }


def preprocessing_of(data: TrainingData) -> Preprocessing:
    """What a network that was trained on `data` expects of an image."""
    return Preprocessing(
        input_shape=data.input_shape, num_classes=data.num_classes, mean_C=data.mean_C, std_C=data.std_C
    )


def _on_device(images: LabelledImages, data: TrainingData, device: torch.device) -> DeviceImages:
    return DeviceImages(images, mean_C=data.mean_C, std_C=data.std_C, device=device)


def versions() -> dict[str, str]:
    """Of what a trained network's numbers may depend on."""
    installed = {name: metadata.version(name) for name in ("kd-study", "numpy")}
    return {"python": platform.python_version(), "torch": torch.__version__, **installed}


def _write(record: VerifiedRun, weights: dict[str, Tensor], paths: StudyPaths) -> None:
    """Weights first, then their card: where the card stands, both are whole. Its training state is not needed again."""
    if record.failure is None:
        save_weights(paths.verified_weights(record.fingerprint), weights, metadata={"run": record.fingerprint})
    write_record(paths.verified_run(record.fingerprint), record)
    paths.verified_checkpoint(record.fingerprint).unlink(missing_ok=True)
