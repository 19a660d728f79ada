"""Pairs of teacher and student of the literature: losses of features find their layers in both without being told."""

import numpy as np
import pytest
import torch

from trainables import losses, models, run_start
from trainables.config import LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.data.image_arrays import LabelledImages, TrainingData
from trainables.losses.distillation_loss import LossContext, Taps
from trainables.models.features import feature_shapes
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DeviceData

SHAPE = (3, 16, 16)
THREE, FIVE = ("stage1", "stage2", "stage3"), ("stage1", "stage2", "stage3", "stage4", "stage5")
PAIRS = [
    ("wrn_40_2", "wrn_16_2", THREE),
    ("resnet32x4", "resnet8x4", THREE),
    ("resnet56", "resnet20", THREE),
    ("wrn_40_2", "shufflenet_v2", THREE),
    ("vgg13", "vgg8", FIVE),
    ("vgg13", "mobilenet_v2", FIVE),
]


def narrow(name: str) -> ModelConfig:
    return ModelConfig(name=name, options={"width_multiplier": 0.2})


def context_of(teacher: str, student: str) -> LossContext:
    of_teacher, of_student = (
        feature_shapes(models.build(narrow(name), input_shape=SHAPE, num_classes=4), SHAPE)
        for name in (teacher, student)
    )
    labels_N = np.arange(32) % 4
    return LossContext(4, 32, student_features=of_student, teacher_features=of_teacher, train_labels_N=labels_N)


@pytest.mark.parametrize(("teacher", "student", "stages"), PAIRS)
def test_losses_of_features_compare_stages_by_default(teacher: str, student: str, stages: tuple[str, ...]) -> None:
    context = context_of(teacher, student)
    middle, last = stages[len(stages) // 2], stages[-1]
    expected = {
        "attention": stages, "hint": (middle,), "hint_first": (middle,),
        "similarity": (last,), "relational": (last,), "contrastive": (last,),
    }  # fmt: skip
    taps = {name: losses.build(LossConfig(name=name), context).taps for name in expected}
    assert taps == {name: Taps(layers, layers) for name, layers in expected.items()}


def device_data() -> DeviceData:
    stream = np.random.default_rng(0)

    def images(count: int) -> LabelledImages:
        pixels = stream.integers(0, 256, size=(count, *SHAPE)).astype(np.uint8)
        return LabelledImages(pixels, np.arange(count, dtype=np.int64) % 4)

    data = TrainingData(num_classes=4, mean_C=(0.5,) * 3, std_C=(0.3,) * 3, train=images(32), validation=images(8))
    return DeviceData(data, torch.device("cpu"))


def teacher_of(model: ModelConfig, data: DeviceData) -> Teacher:
    network = models.build(model, input_shape=data.input_shape, num_classes=data.num_classes).eval()
    with torch.no_grad():
        train, validation = (
            network(data.images[split].normalized(torch.arange(len(data.images[split])))).numpy()
            for split in (Split.TRAIN, Split.VALIDATION)
        )
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    arrays = TeacherArrays(model, weights, train, validation, stored_only=False)
    return Teacher(arrays, data.device, input_shape=data.input_shape, num_classes=data.num_classes)


@pytest.mark.parametrize("loss", ["attention", "hint", "similarity", "relational", "contrastive"])
def test_wide_network_learns_from_a_deeper_one_with_the_losses_defaults(loss: str) -> None:
    torch.manual_seed(0)
    data = device_data()
    student = StudentConfig(
        model=narrow("wrn_16_2"), loss=LossConfig(name=loss), training=TrainingConfig(epochs=1, batch_size=16)
    )
    run = run_start.student_run(student, data, teacher_of(narrow("wrn_40_2"), data))
    before = [each.clone() for each in run.model.parameters()]
    assert run.run_epoch().num_images == 32
    after = list(run.model.parameters())
    assert all(each.isfinite().all() for each in after)
    assert sum(not torch.equal(old, new) for old, new in zip(before, after, strict=True)) == len(after)
