"""What both sides of the comparison with torchdistill train: wrn_16_2 under wrn_40_2, on images of CIFAR-100's size."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import (
    AugmentationConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    StudentConfig,
    TrainingConfig,
)
from trainables.data.image_arrays import LabelledImages, TrainingData
from trainables.run_start import initial_model, student_run
from trainables.teacher_outputs import Split, Teacher, TeacherArrays, ViewTable
from trainables.training import DeviceData, DistillationRun
from trainables.view_tables import ViewSet, view_logits

BATCH_SIZE, NUM_IMAGES, NUM_CLASSES = 64, 2_048, 100
INPUT_SHAPE = (3, 32, 32)
MEAN_C, STD_C = (0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)  # of CIFAR-100
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 1e-4, 0.9, 5e-4  # from random weights a hint diverges at the usual 0.05
TEACHER, STUDENT = ModelConfig(name="wrn_40_2"), ModelConfig(name="wrn_16_2")
TRAINING = TrainingConfig(
    epochs=1_000,
    batch_size=BATCH_SIZE,
    optimizer=OptimizerConfig(name="sgd", learning_rate=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY),
    schedule="constant",
    augmentation=AugmentationConfig(shift_pixels=4, flip=True),
)
# At their defaults these are the literature's: T 4 and alpha .9; weight 1000 on all three stages; 100 on the second.
METHODS: Mapping[str, LossConfig] = {name: LossConfig(name=name) for name in ("kd", "attention", "hint")}


@cache
def images() -> LabelledImages:
    """What is on them costs nothing."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (NUM_IMAGES, *INPUT_SHAPE), dtype=np.uint8)
    return LabelledImages(pixels, draw.integers(0, NUM_CLASSES, NUM_IMAGES))


def student_network() -> nn.Module:
    """With the weights that both sides begin from: those of the seed."""
    return initial_model(STUDENT, INPUT_SHAPE, NUM_CLASSES, TRAINING.seed)


def teacher_network() -> nn.Module:
    """Untrained, but its normalisation knows its features' means and deviations: else they grow from block to block."""
    teacher = initial_model(TEACHER, INPUT_SHAPE, NUM_CLASSES, TRAINING.seed).train()
    for module in teacher.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # of all that is seen, evenly
    with torch.no_grad():
        teacher(our_data().images[Split.TRAIN].normalized(torch.arange(BATCH_SIZE)))
    return teacher.eval()


@cache
def our_data() -> DeviceData:
    """On the CPU; there is next to no validation image."""
    source = images()
    validation = LabelledImages(source.images_NCHW[:1], source.labels_N[:1])
    return DeviceData(TrainingData(NUM_CLASSES, MEAN_C, STD_C, source, validation), torch.device("cpu"))


def our_run(method: str) -> DistillationRun:
    """Under the live teacher."""
    return student_run(StudentConfig(model=STUDENT, loss=METHODS[method], training=TRAINING), our_data(), _teacher())


def our_run_on_stored_views(method: str, logits_NC: Tensor) -> DistillationRun:
    """As a trial of a search whose first trial has paid for the views; there is one of each image, of any epoch."""
    augmentation = TRAINING.augmentation.model_copy(update={"num_views": 1})
    training = TRAINING.model_copy(update={"augmentation": augmentation})
    table = ViewTable(TRAINING.seed, TRAINING.augmentation, (logits_NC.numpy(),))
    return student_run(
        StudentConfig(model=STUDENT, loss=METHODS[method], training=training), our_data(), _teacher(table)
    )


def first_view_logits() -> Tensor:
    """What storing a view costs: the teacher on every image of it."""
    views = ViewSet(seed=TRAINING.seed, augmentation=TRAINING.augmentation, num_views=1)
    return view_logits(_teacher().live(()), our_data(), views, view=0)


def _teacher(*tables: ViewTable) -> Teacher:
    weights = {name: each.numpy() for name, each in teacher_network().state_dict().items()}
    train, validation = (np.zeros((len(each), NUM_CLASSES), np.float32) for each in our_data().images.values())
    return Teacher(
        # Its logits on images as they are, which are never asked for.
        TeacherArrays(TEACHER, weights, train, validation, view_tables=tables),
        our_data().device,
        input_shape=INPUT_SHAPE,
        num_classes=NUM_CLASSES,
    )
