"""How long the transfer analysis of one student takes: its teacher's part and its own, on real images."""

import time

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from analysis.transfer_networks import observe, sample_of, student_measures, teacher_measures, teacher_pairs
from tests.benchmarks.scoreboard import Scoreboard
from trainables import models
from trainables.config import DatasetConfig, ModelConfig
from trainables.data import load
from trainables.data.image_arrays import TrainingData
from trainables.data.split import split
from trainables.data.views import DeviceImages
from trainables.hardware.device import fixed_num_threads

NUM_IMAGES = 10_000
LIMIT_S = 20.0


@pytest.mark.benchmark
def test_transfer_of_one_student_is_analysed_within_20_s(scoreboard: Scoreboard) -> None:
    """The largest networks of the MNIST study."""
    images = split(load("mnist"), DatasetConfig(num_validation_images=NUM_IMAGES, max_train_images=4_096))
    teacher, student = trained_a_little(32, images), trained_a_little(16, images)
    with fixed_num_threads(2):
        started = time.perf_counter()
        sample = sample_of(images)
        teacher_seen = observe(teacher, sample)
        teacher_measures(teacher_seen, sample)
        between = time.perf_counter()
        student_seen = observe(student, sample, teacher_pairs(teacher_seen, sample))
        measured = student_measures(student_seen, teacher_seen, sample)
        ended = time.perf_counter()
    assert measured["agreement"].total == NUM_IMAGES
    what = f"transfer analysis of one student, cnn width 16 of width 32, {NUM_IMAGES:,} images, 2 threads"
    scoreboard.shown(f"{what}: its own part, the teacher's being done once a study", ours=f"{ended - between:.3g} s")
    row = scoreboard.at_most(f"{what}: in all", value=ended - started, limit=LIMIT_S, unit="s")
    assert row.is_reached, row


def trained_a_little(width: int, data: TrainingData) -> nn.Module:
    """One epoch of Adam on labels: the boundaries of an untrained network are found in other numbers of steps."""
    torch.manual_seed(width)
    model = ModelConfig(name="cnn", options={"width": width})
    network = models.build(model, input_shape=data.input_shape, num_classes=data.num_classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    images = DeviceImages(data.train, mean_C=data.mean_C, std_C=data.std_C, device=torch.device("cpu"))
    for indices_N in torch.split(torch.randperm(len(images)), 64):
        loss = F.cross_entropy(network(images.normalized(indices_N)), images.labels_N[indices_N])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network
