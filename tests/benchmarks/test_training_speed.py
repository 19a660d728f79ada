"""How many images a second a student trains on, on one thread, against the usual script."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.benchmarks.interleaved import compare
from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.usual_script import UsualScript, write_mnist
from trainables.config import DatasetConfig, LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.data import load
from trainables.data.split import split
from trainables.hardware.device import fixed_num_threads
from trainables.run_start import initial_model, student_run, teacher_run
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Split, StoredOutputs
from trainables.training import DeviceData, DistillationRun

BATCH_SIZE = 128
TEACHER = ModelConfig(name="cnn", options={"width": 64})
NUM_ROUNDS = 5
LONG_TRAINING = TrainingConfig(epochs=1_000, batch_size=BATCH_SIZE)


@pytest.fixture(scope="module")
def torchvision_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("torchvision")
    write_mnist(root)
    return root


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("width", "minimum", "num_our_images", "num_peer_batches"),  # each side about 2 s a round on one 2.5 GHz core
    [(4, 12.0, 16_384, 8), (16, 5.0, 6_144, 7), (32, 3.5, 3_584, 6)],
)
def test_student_trains_on_many_more_images_a_second_than_in_the_usual_script(
    scoreboard: Scoreboard,
    torchvision_root: Path,
    width: int,
    minimum: float,
    num_our_images: int,
    num_peer_batches: int,
) -> None:
    ours, network, teacher = our_run(width, num_our_images)
    peer = UsualScript(network, teacher, torchvision_root, batch_size=BATCH_SIZE)
    with fixed_num_threads(1):
        images_per_s(lambda: ours.run_epoch().num_images)  # both warmed up
        images_per_s(lambda: peer.train(2))
        measured = compare(
            lambda: images_per_s(lambda: ours.run_epoch().num_images),
            lambda: images_per_s(lambda: peer.train(num_peer_batches)),
            num_rounds=NUM_ROUNDS,
        )
    row = scoreboard.ratio_at_least(
        f"distillation, cnn width {width}, batch {BATCH_SIZE}, one thread, against the usual script",
        ours=f"{measured.median_ours:,.0f} images/s",
        peer=f"{measured.median_peer:,.0f} images/s",
        ratio=measured.median_ratio,
        minimum=minimum,
    )
    assert row.is_reached, row


def our_run(width: int, num_images: int) -> tuple[DistillationRun, nn.Module, nn.Module]:
    """Our run on real images and the teacher's stored logits; the same network and the same teacher for the peer."""
    data = DeviceData(split(load("mnist"), DatasetConfig(max_train_images=num_images)), torch.device("cpu"))
    teacher = teacher_run(TeacherConfig(model=TEACHER, training=LONG_TRAINING), data)
    student = StudentConfig(
        model=ModelConfig(name="cnn", options={"width": width}), loss=LossConfig(name="kd"), training=LONG_TRAINING
    )
    run = student_run(student, data, StoredOutputs({Split.TRAIN: teacher.all_logits(Split.TRAIN)}))
    like_ours, like_teacher = (
        initial_model(model, data.input_shape, data.num_classes, seed=0) for model in (student.model, TEACHER)
    )
    return run, like_ours, like_teacher


def images_per_s(train: Callable[[], int]) -> float:
    """Images trained on, over the time it took."""
    started = time.perf_counter()
    num_images = train()
    return num_images / (time.perf_counter() - started)
