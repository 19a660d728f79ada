"""The teacher's training, run as one task on a whole device: an epoch, a checkpoint and a word to the driver a time."""

from collections.abc import Iterator

import numpy as np
import torch

from trainables.checkpoints import load_weights, save_weights
from trainables.config import TeacherConfig
from trainables.data.image_arrays import TrainingData
from trainables.hardware.device import select_device
from trainables.models import num_parameters
from trainables.records import TeacherRecord
from trainables.resumption import ResumableTraining
from trainables.run_start import teacher_run
from trainables.study_paths import StudyPaths
from trainables.teacher_outputs import Split, TeacherArrays
from trainables.training import DeviceData, EvaluationMetrics
from trainables.whole_files import replacing


def train_teacher(
    teacher: TeacherConfig, data: TrainingData, paths: StudyPaths, fingerprint: str, num_threads: int
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
    training = ResumableTraining(run, paths.teacher_checkpoint, fingerprint)
    evaluated: EvaluationMetrics | None = None
    for trained, evaluated in training.epochs():
        yield {
            "epoch": float(trained.epoch),
            "train_loss": trained.train_loss,
            "validation_accuracy": evaluated.accuracy,
            "seconds": training.seconds,
        }
    evaluated = evaluated or run.evaluate(Split.VALIDATION)
    save_weights(paths.teacher_weights, {name: tensor.cpu() for name, tensor in run.model.state_dict().items()})
    for split in (Split.TRAIN, Split.VALIDATION):
        with replacing(paths.teacher_logits(split)) as temporary:
            np.save(temporary, run.all_logits(split).numpy())
    yield TeacherRecord(
        model=teacher.model,
        num_parameters=num_parameters(run.model),
        validation_accuracy=evaluated.accuracy,
        validation_nll=evaluated.nll,
        epochs=run.epoch,
        train_seconds=training.seconds,
        fingerprint=fingerprint,
    )


def load_teacher(paths: StudyPaths, record: TeacherRecord, *, stored_only: bool = False) -> TeacherArrays:
    """Weights and stored outputs of a finished teacher, the outputs memory-mapped; `stored_only`: never to be run.

    Raises:
        ValueError: a file cannot be read.
    """
    try:
        logits = {split: np.load(paths.teacher_logits(split), mmap_mode="r") for split in Split}
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{paths.teacher}: the stored teacher outputs cannot be read: {error}") from error
    weights = {name: tensor.numpy() for name, tensor in load_weights(paths.teacher_weights).items()}
    return TeacherArrays(record.model, weights, logits[Split.TRAIN], logits[Split.VALIDATION], stored_only)
