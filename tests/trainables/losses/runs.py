"""Runs of every method under one small live teacher, on the images of the factories."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.factories import device_data, student
from tests.trainables.losses.batches import method
from trainables.config import (
    AugmentationConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    StudentConfig,
    TrainingConfig,
)
from trainables.losses.distillation_loss import Need
from trainables.run_start import student_run, teacher_run
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DistillationRun

TEACHER = TeacherConfig(
    model=ModelConfig(name="cnn", options={"width": 6}),
    training=TrainingConfig(epochs=8, batch_size=32, optimizer=OptimizerConfig(learning_rate=2e-2)),
)


@cache
def teacher_arrays() -> TeacherArrays:
    run = teacher_run(TEACHER, device_data())
    while not run.is_finished:
        run.run_epoch()
    weights = {name: each.numpy().copy() for name, each in run.model.state_dict().items()}
    logits = {split: run.all_logits(split).numpy().astype(np.float32) for split in Split}
    return TeacherArrays(TEACHER.model, weights, logits[Split.TRAIN], logits[Split.VALIDATION])


def config_of(name: str, *, seed: int = 0, width: int = 2, epochs: int = 3) -> StudentConfig:
    """A student of the method, with the views that it needs."""
    config = student(width=width, loss=LossConfig(name=name), epochs=epochs, seed=seed)
    views = AugmentationConfig(shift_pixels=1, mixup=0.5)
    changes = {"augmentation": views} if Need.VIEWS in method(name).needs else {}
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def live_teacher() -> Teacher:
    data = device_data()
    return Teacher(teacher_arrays(), torch.device("cpu"), input_shape=data.input_shape, num_classes=data.num_classes)


def run_of(config: StudentConfig) -> DistillationRun:
    return student_run(config, device_data(), live_teacher())


def tensors(state: object, path: str = "") -> dict[str, Tensor]:
    """All tensors of a nested state, by their path in it."""
    if isinstance(state, Tensor):
        return {path: state}
    if isinstance(state, Mapping):
        parts = state.items()
    elif isinstance(state, list | tuple):
        parts = dict(enumerate(state)).items()
    else:
        return {}
    return {name: each for key, part in parts for name, each in tensors(part, f"{path}/{key}").items()}


def loss_state(run: DistillationRun) -> dict[str, Tensor]:
    state: Any = run.state_dict()["loss"]
    return dict(state)
