"""Small, fast things of the right kind for tests: images, configurations, studies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from study.config import StudyConfig
from trainables.config import (
    AugmentationConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    StudentConfig,
    TrainingConfig,
)
from trainables.data.image_arrays import LabelledImages, TrainingData
from trainables.teacher_outputs import Split, StoredOutputs
from trainables.training import DeviceData


def training_data(num_train: int = 120, num_validation: int = 60, num_classes: int = 3) -> TrainingData:
    """Noisy 8 x 8 images whose class is the row band that is bright: a network learns it in a few epochs."""
    stream = np.random.default_rng(7)

    def images(count: int) -> LabelledImages:
        labels = np.arange(count) % num_classes
        pixels = stream.integers(0, 80, size=(count, 1, 8, 8))
        for index, label in enumerate(labels):
            pixels[index, 0, 2 * label : 2 * label + 2] += 150
        return LabelledImages(pixels.astype(np.uint8), labels.astype(np.int64))

    return TrainingData(
        num_classes=num_classes, mean_C=(0.3,), std_C=(0.3,), train=images(num_train), validation=images(num_validation)
    )


def device_data() -> DeviceData:
    return DeviceData(training_data(), torch.device("cpu"))


def student(
    *,
    width: int = 2,
    loss: LossConfig | None = None,
    epochs: int = 3,
    seed: int = 0,
    shift_pixels: int = 0,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    **training: Any,
) -> StudentConfig:
    return StudentConfig(
        model=ModelConfig(name="cnn", options={"width": width}),
        loss=loss or LossConfig(name="labels"),
        training=TrainingConfig(
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            optimizer=training.pop("optimizer", OptimizerConfig(learning_rate=learning_rate)),
            augmentation=AugmentationConfig(shift_pixels=shift_pixels),
            **training,
        ),
    )


def stored_teacher(data: DeviceData) -> StoredOutputs:
    """Confident, not always right: 3 for the label, noise of deviation 1 on every class."""
    stream = torch.Generator().manual_seed(3)

    def logits(split: Split) -> torch.Tensor:
        labels_N = data.images[split].labels_N
        noise_NC = torch.randn(len(labels_N), data.num_classes, generator=stream)
        return noise_NC + 3 * torch.nn.functional.one_hot(labels_N, data.num_classes)

    return StoredOutputs({split: logits(split) for split in Split})


def study_config(**changes: Any) -> StudyConfig:
    """A valid study of two widths; `changes` replace top-level fields."""
    fields: Mapping[str, Any] = {
        "name": "test",
        "teacher": {"model": {"name": "cnn", "options": {"width": 4}}, "training": {"epochs": 1}},
        "space": {"name": "cnn_distillation", "options": {"widths": [1, 2], "batch_sizes": [64], "epochs": 1}},
        "search": {"num_trials": 6, "num_startup_trials": 2},
        "profile": {"inference_batch_sizes": [1]},
    }
    return StudyConfig.model_validate({**fields, **changes})
