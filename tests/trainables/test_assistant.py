"""A network between teacher and students: taught by the one above it, and stored as a teacher is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.factories import training_data
from tests.trainables.test_teacher import TEACHER, train
from trainables.checkpoints import load_weights
from trainables.config import AugmentationConfig, LossConfig, ModelConfig, OptimizerConfig, TrainingConfig
from trainables.data.image_arrays import TrainingData
from trainables.models import build
from trainables.records import TeacherRecord
from trainables.run_start import student_run
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher, train_assistant
from trainables.teacher_config import AssistantConfig
from trainables.teacher_outputs import Split, Teacher, TeacherArrays
from trainables.training import DeviceData

ASSISTANT = AssistantConfig(
    model=ModelConfig(name="cnn", options={"width": 3}),
    loss=LossConfig(name="kd", options={"alpha": 1.0, "temperature": 2.0}),
    training=TrainingConfig(epochs=3, batch_size=32, optimizer=OptimizerConfig(learning_rate=1e-2)),
)


@pytest.fixture(scope="module")
def above(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


def train_one(
    folder: Path, above: TeacherArrays, *, assistant: AssistantConfig = ASSISTANT, epochs: int | None = None,
    data: TrainingData | None = None,
) -> list[Any]:  # fmt: skip
    outputs = train_assistant(assistant, data or training_data(), above, StudyPaths(folder).in_chain(1), "f", 1)
    if epochs is None:
        return list(outputs)
    told = [next(outputs) for _ in range(epochs)]
    outputs.close()  # type: ignore[attr-defined] # a generator, as a killed process leaves it
    return told


def test_assistant_is_trained_as_a_student_of_the_one_above_it(tmp_path: Path, above: TeacherArrays) -> None:
    *epochs, record = train_one(tmp_path, above)
    data = DeviceData(training_data(), torch.device("cpu"))
    teacher = Teacher(above, torch.device("cpu"), input_shape=(1, 8, 8), num_classes=3)
    run = student_run(ASSISTANT.student, data, teacher)
    for _ in range(3):
        run.run_epoch()
    stored = load_weights(StudyPaths(tmp_path).in_chain(1).weights)
    assert all(torch.equal(stored[name], value) for name, value in run.model.state_dict().items())
    assert isinstance(record, TeacherRecord)
    assert (record.model, record.loss, record.epochs) == (ASSISTANT.model, ASSISTANT.loss, 3)
    assert record.validation_accuracy == epochs[-1]["validation_accuracy"] == run.evaluate(Split.VALIDATION).accuracy


def test_its_stored_logits_are_what_its_stored_weights_say(tmp_path: Path, above: TeacherArrays) -> None:
    record = train_one(tmp_path, above)[-1]
    paths = StudyPaths(tmp_path).in_chain(1)
    assert paths.folder == tmp_path / "teacher" / "assistants" / "1"
    arrays = load_teacher(paths, record)
    network = build(ASSISTANT.model, input_shape=(1, 8, 8), num_classes=3).eval()
    network.load_state_dict({name: torch.tensor(weights) for name, weights in arrays.weights.items()})
    images = DeviceData(training_data(), torch.device("cpu")).images[Split.VALIDATION]
    with torch.inference_mode():
        expected_NC = network(images.normalized(torch.arange(len(images))))
    assert np.allclose(arrays.validation_logits_NC, expected_NC.numpy(), atol=1e-5)


def test_it_learns_without_a_label_where_its_loss_needs_none(tmp_path: Path, above: TeacherArrays) -> None:
    """With alpha 1 the labels do not matter: shuffled ones give the same weights."""
    data = training_data()
    shuffled = np.random.default_rng(0).permutation(data.train.labels_N)
    train_one(tmp_path / "right", above)
    train_one(tmp_path / "wrong", above, data=_relabelled(data, shuffled))
    right, wrong = (load_weights(StudyPaths(tmp_path / name).in_chain(1).weights) for name in ("right", "wrong"))
    assert all(torch.equal(right[name], wrong[name]) for name in right)


def _relabelled(data: TrainingData, labels_N: "np.ndarray[Any, np.dtype[np.int64]]") -> TrainingData:
    fields = {name: getattr(data, name) for name in ("num_classes", "mean_C", "std_C", "validation")}
    return TrainingData(**fields, train=type(data.train)(data.train.images_NCHW, labels_N))


def test_interrupted_assistant_goes_on_to_the_same_bits(tmp_path: Path, above: TeacherArrays) -> None:
    train_one(tmp_path / "whole", above)
    train_one(tmp_path / "cut", above, epochs=2)
    assert [told["epoch"] for told in train_one(tmp_path / "cut", above)[:-1]] == [3]
    files = [StudyPaths(tmp_path / name).in_chain(1).weights.read_bytes() for name in ("whole", "cut")]
    assert files[0] == files[1]


def test_shifted_views_are_shown_to_the_network_above_itself(tmp_path: Path, above: TeacherArrays) -> None:
    training = ASSISTANT.training.model_copy(update={"augmentation": AugmentationConfig(shift_pixels=1)})
    shifting = ASSISTANT.model_copy(update={"training": training})
    assert isinstance(train_one(tmp_path, above, assistant=shifting)[-1], TeacherRecord)
    stored_only = TeacherArrays(
        above.model, above.weights, above.train_logits_NC, above.validation_logits_NC, stored_only=True
    )
    with pytest.raises(ValueError, match="needs a live teacher: its logits on these views are not stored"):
        train_one(tmp_path / "stored", stored_only, assistant=shifting)


def test_teacher_and_assistant_do_not_share_a_file(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    folders = [paths.in_chain(place).folder for place in range(3)]
    assert paths.in_chain(0) == paths.teacher
    assert len(set(folders)) == 3
    assert set(folders) <= set(paths.folders)
    assert TEACHER.model != ASSISTANT.model
