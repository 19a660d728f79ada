"""Teacher and assistants, each as one task on a whole device: trained, an epoch and a word a time, or brought."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.checkpoints import load_weights, save_array, save_weights
from trainables.config import LossConfig, ModelConfig
from trainables.data.image_arrays import TrainingData
from trainables.hardware.device import select_device
from trainables.models import num_parameters
from trainables.records import TeacherRecord
from trainables.resumption import ResumableTraining
from trainables.run_start import student_run, teacher_run
from trainables.study_paths import TeacherPaths
from trainables.teacher_config import AssistantConfig, TeacherConfig
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DeviceData, DistillationRun


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
    data_on_device = DeviceData(data, select_device())
    if teacher.num_members == 1:
        run = teacher_run(teacher, data_on_device)
        yield from _trained(run, teacher.model, None, paths, paths.checkpoint, fingerprint)
        return
    weights: dict[str, Tensor] = {}
    seconds, epochs = 0.0, 0
    for place in range(teacher.num_members):
        run = teacher_run(teacher.member(place), data_on_device)
        training = ResumableTraining(run, paths.member_checkpoint(place), fingerprint)
        for told in _epochs(training):
            yield told | {"member": float(place + 1)}
        seconds, epochs = seconds + training.seconds, run.epoch
        weights |= {f"members.{place}.{name}": tensor for name, tensor in run.model.state_dict().items()}
    whole = teacher_run(teacher, data_on_device)
    whole.model.load_state_dict(weights)
    yield _stored(whole, teacher.network, paths, fingerprint=fingerprint, epochs=epochs, train_seconds=seconds)


def bring_teacher(
    teacher: TeacherConfig,
    weights: Mapping[str, NDArray[np.generic]],
    source: str,
    data: TrainingData,
    paths: TeacherPaths,
    fingerprint: str,
    num_threads: int,
) -> Iterator[TeacherRecord]:
    """Take a teacher that was trained elsewhere: see what it is worth here, and store it as a trained one is.

    Args:
        teacher: what it is.
        weights: of its network, by name.
        source: where they come from, for whoever reads the record.
        data: as the students are shown it.
        paths: of its own.
        fingerprint: of its inputs.
        num_threads: to run it on.

    Yields:
        Its record.

    Raises:
        TrainingDivergedError: an output is not finite.
    """
    torch.set_num_threads(num_threads)
    run = teacher_run(teacher, DeviceData(data, select_device()))
    run.model.load_state_dict({name: torch.from_numpy(np.array(each)) for name, each in weights.items()})
    record = _stored(run, teacher.network, paths, fingerprint=fingerprint, epochs=0, train_seconds=0.0)
    yield record.model_copy(update={"source": source})


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
    yield from _trained(run, assistant.model, assistant.loss, paths, paths.checkpoint, fingerprint)


def _trained(
    run: DistillationRun,
    model: ModelConfig,
    loss: LossConfig | None,
    paths: TeacherPaths,
    checkpoint: Path,
    fingerprint: str,
) -> Iterator[dict[str, float] | TeacherRecord]:
    training = ResumableTraining(run, checkpoint, fingerprint)
    yield from _epochs(training)
    record = _stored(run, model, paths, fingerprint=fingerprint, epochs=run.epoch, train_seconds=training.seconds)
    yield record.model_copy(update={"loss": loss})


def _epochs(training: ResumableTraining) -> Iterator[dict[str, float]]:
    for trained, evaluated in training.epochs():
        yield {
            "epoch": float(trained.epoch),
            "train_loss": trained.train_loss,
            "validation_accuracy": evaluated.accuracy,
            "seconds": training.seconds,
        }


def _stored(
    run: DistillationRun,
    model: ModelConfig,
    paths: TeacherPaths,
    *,
    fingerprint: str,
    epochs: int,
    train_seconds: float,
) -> TeacherRecord:
    """The record of a finished network, whose weights and outputs have been written."""
    evaluated = run.evaluate(Split.VALIDATION)
    save_weights(paths.weights, {name: tensor.cpu() for name, tensor in run.model.state_dict().items()})
    for split in (Split.TRAIN, Split.VALIDATION):
        save_array(paths.logits(split), run.all_logits(split).numpy())
    return TeacherRecord(
        model=model,
        num_parameters=num_parameters(run.model),
        validation_accuracy=evaluated.accuracy,
        validation_nll=evaluated.nll,
        epochs=epochs,
        train_seconds=train_seconds,
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
