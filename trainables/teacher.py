"""Training of teacher and assistants, each as one task on a whole device: an epoch, a checkpoint and a word a time."""

from collections.abc import Iterator

import numpy as np
import torch

from trainables.checkpoints import load_weights, save_weights
from trainables.config import AssistantConfig, LossConfig, ModelConfig, TeacherConfig
from trainables.data.image_arrays import TrainingData
from trainables.hardware.device import select_device
from trainables.models import num_parameters
from trainables.records import TeacherRecord
from trainables.resumption import ResumableTraining
from trainables.run_start import student_run, teacher_run
from trainables.study_paths import TeacherPaths
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DeviceData, DistillationRun, EvaluationMetrics
from trainables.whole_files import replacing


def train_teacher(
    teacher: TeacherConfig, data: TrainingData, paths: TeacherPaths, fingerprint: str, num_threads: int
) -> Iterator[dict[str, float] | TeacherRecord]:
    """Train the teacher, from its checkpoint where there is one of the same inputs, and store its outputs.

    Its weights and its logits on the un-augmented images of both splits are written; the record is left to the caller,
    who writes it last.

    Yields:
        After each epoch its metrics; at the end the teacher's record.

    Raises:
        TrainingDivergedError: the loss is not finite.
    """
    torch.set_num_threads(num_threads)
    run = teacher_run(teacher, DeviceData(data, select_device()))
    yield from _trained(run, teacher.model, None, paths, fingerprint)


def train_assistant(
    assistant: AssistantConfig,
    data: TrainingData,
    above: TeacherArrays,
    paths: TeacherPaths,
    fingerprint: str,
    num_threads: int,
) -> Iterator[dict[str, float] | TeacherRecord]:
    """Train a network between teacher and students (Mirzadeh et al., AAAI 2020), and store it as a teacher is.

    Args:
        assistant: what it is, and by which loss it learns.
        data: as the students are shown it.
        above: what it learns from, the teacher or another assistant.
        paths: of its own.
        fingerprint: of its inputs.
        num_threads: to train on.

    Yields:
        As `train_teacher` does.

    Raises:
        TrainingDivergedError: the loss is not finite.
        ValueError: the loss needs what the one above cannot give it.
    """
    torch.set_num_threads(num_threads)
    device_data = DeviceData(data, select_device())
    teacher = Teacher(
        above, device_data.device, input_shape=device_data.input_shape, num_classes=device_data.num_classes
    )
    run = student_run(assistant.student, device_data, teacher)
    yield from _trained(run, assistant.model, assistant.loss, paths, fingerprint)


def _trained(
    run: DistillationRun, model: ModelConfig, loss: LossConfig | None, paths: TeacherPaths, fingerprint: str
) -> Iterator[dict[str, float] | TeacherRecord]:
    training = ResumableTraining(run, paths.checkpoint, fingerprint)
    evaluated: EvaluationMetrics | None = None
    for trained, evaluated in training.epochs():
        yield {
            "epoch": float(trained.epoch),
            "train_loss": trained.train_loss,
            "validation_accuracy": evaluated.accuracy,
            "seconds": training.seconds,
        }
    evaluated = evaluated or run.evaluate(Split.VALIDATION)
    save_weights(paths.weights, {name: tensor.cpu() for name, tensor in run.model.state_dict().items()})
    for split in (Split.TRAIN, Split.VALIDATION):
        with replacing(paths.logits(split)) as temporary:
            np.save(temporary, run.all_logits(split).numpy())
    yield TeacherRecord(
        model=model,
        loss=loss,
        num_parameters=num_parameters(run.model),
        validation_accuracy=evaluated.accuracy,
        validation_nll=evaluated.nll,
        epochs=run.epoch,
        train_seconds=training.seconds,
        fingerprint=fingerprint,
    )


def load_teacher(paths: TeacherPaths, record: TeacherRecord, *, stored_only: bool = False) -> TeacherArrays:
    """Weights and stored outputs of a finished teacher, the outputs memory-mapped; `stored_only`: never to be run.

    Raises:
        ValueError: a file cannot be read.
    """
    try:
        logits = {split: np.load(paths.logits(split), mmap_mode="r") for split in Split}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{paths.folder}: the stored teacher outputs cannot be read: {error}") from error
    weights = {name: tensor.numpy() for name, tensor in load_weights(paths.weights).items()}
    return TeacherArrays(record.model, weights, logits[Split.TRAIN], logits[Split.VALIDATION], stored_only)
