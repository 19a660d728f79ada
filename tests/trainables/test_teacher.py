"""The teacher's task, run as the plain generator that it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.factories import training_data
from trainables.checkpoints import load_weights
from trainables.config import ModelConfig, OptimizerConfig, TrainingConfig
from trainables.models import build
from trainables.records import TeacherRecord
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher, train_teacher
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import Split
from trainables.training import DeviceData

TEACHER = TeacherConfig(
    model=ModelConfig(name="cnn", options={"width": 2}),
    training=TrainingConfig(epochs=3, batch_size=32, optimizer=OptimizerConfig(learning_rate=1e-2)),
)


def train(
    folder: Path, *, fingerprint: str = "f", epochs: int | None = None, teacher: TeacherConfig = TEACHER
) -> list[Any]:
    outputs = train_teacher(teacher, training_data(), StudyPaths(folder).teacher, fingerprint, num_threads=1)
    if epochs is None:
        return list(outputs)
    told = [next(outputs) for _ in range(epochs)]
    outputs.close()  # type: ignore[attr-defined] # a generator, as a killed process leaves it
    return told


def test_each_epoch_is_told_and_the_record_comes_last(tmp_path: Path) -> None:
    *epochs, record = train(tmp_path)
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert isinstance(record, TeacherRecord)
    assert record.validation_accuracy == epochs[-1]["validation_accuracy"]
    assert record.num_parameters == 2 * 9 + 2 + 2 * 4 * 9 + 4 + 4 * 2 * 2 * 3 + 3


def test_stored_logits_are_what_the_stored_weights_say(tmp_path: Path) -> None:
    record = train(tmp_path)[-1]
    teacher = load_teacher(StudyPaths(tmp_path).teacher, record)
    network = build(TEACHER.model, input_shape=(1, 8, 8), num_classes=3).eval()
    network.load_state_dict({name: torch.tensor(weights) for name, weights in teacher.weights.items()})
    images = DeviceData(training_data(), torch.device("cpu")).images[Split.VALIDATION]
    with torch.inference_mode():
        expected_NC = network(images.normalized(torch.arange(len(images))))
    assert np.allclose(teacher.validation_logits_NC, expected_NC.numpy(), atol=1e-5)
    assert teacher.train_logits_NC.shape == (120, 3)


def test_interrupted_teacher_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    train(tmp_path / "whole")
    train(tmp_path / "cut", epochs=2)
    rest = train(tmp_path / "cut")
    assert [epoch["epoch"] for epoch in rest[:-1]] == [3]
    whole, cut = (load_weights(StudyPaths(tmp_path / name).teacher.weights) for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_state_of_other_inputs_is_not_gone_on_with(tmp_path: Path) -> None:
    train(tmp_path, fingerprint="old", epochs=2)
    assert [output["epoch"] for output in train(tmp_path, fingerprint="new")[:-1]] == [1, 2, 3]


def test_missing_or_torn_outputs_are_named(tmp_path: Path) -> None:
    record = train(tmp_path)[-1]
    paths = StudyPaths(tmp_path)
    paths.teacher.logits("train").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match="teacher: the stored teacher outputs cannot be read"):
        load_teacher(paths.teacher, record)
    paths.teacher.logits("train").unlink()
    with pytest.raises(ValueError, match=r"train_logits\.npy"):
        load_teacher(paths.teacher, record)
