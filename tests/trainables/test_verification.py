"""Students trained again and read on the test images, run as the plain functions that the tasks are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.factories import student, training_data
from tests.trainables.test_teacher import TEACHER, train
from trainables.checkpoints import load_weights
from trainables.config import Execution, LossConfig, StudentConfig
from trainables.data.image_arrays import LabelledImages
from trainables.models import build
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher
from trainables.teacher_outputs import Split
from trainables.training import DistillationRun, EpochMetrics, EvaluationMetrics, TrainingDivergedError
from trainables.verification import VerificationInputs, split_metrics, teacher_on_test, verify_student
from trainables.verified import PlannedRun, Role, VerifiedRun

KD = LossConfig(name="kd", options={"temperature": 2.0, "alpha": 0.7})


def images_to_test() -> LabelledImages:
    """Other images of the same kind; half of their labels are wrong, so that accuracy is not 1."""
    images = training_data(num_validation=40).validation
    return LabelledImages(images.images_NCHW, np.where(np.arange(40) % 2 == 0, images.labels_N, 2 - images.labels_N))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> VerificationInputs:
    folder = tmp_path_factory.mktemp("teacher")
    arrays = load_teacher(StudyPaths(folder).teacher, train(folder)[-1])
    _, logits_NC = teacher_on_test(TEACHER, arrays, training_data(), images_to_test(), 1)
    return VerificationInputs(training_data(), arrays, images_to_test(), logits_NC)


def planned(config: StudentConfig, seed_index: int = 1) -> PlannedRun:
    return PlannedRun(trial=4, role=Role.PARTNER, seed_index=seed_index, student=config, fingerprint=f"f{seed_index}")


def verify(folder: Path, inputs: VerificationInputs, config: StudentConfig, seed_index: int = 1) -> VerifiedRun:
    return verify_student(planned(config, seed_index), inputs, StudyPaths(folder), 1.0, 0.0)


def test_test_metrics_are_those_of_the_written_weights(tmp_path: Path, inputs: VerificationInputs) -> None:
    """Recomputed from the safetensors and the raw bytes in float64 NumPy."""
    run = verify(tmp_path, inputs, student(loss=KD))
    network = build(run.student.model, input_shape=(1, 8, 8), num_classes=3).eval()
    network.load_state_dict(load_weights(StudyPaths(tmp_path).verified_weights("f1")))
    pixels = inputs.test_images.images_NCHW.astype(np.float32) * run.preprocessing.pixel_scale
    images_NCHW = (pixels - run.preprocessing.mean_C[0]) / run.preprocessing.std_C[0]
    with torch.inference_mode():
        logits_NC = network(torch.from_numpy(images_NCHW.astype(np.float32))).double().numpy()
    predictions_N, labels_N = logits_NC.argmax(1), inputs.test_images.labels_N
    log_p_NC = logits_NC - np.log(np.exp(logits_NC).sum(1, keepdims=True))
    assert run.on_test is not None
    assert run.on_test.accuracy == np.mean(predictions_N == labels_N)
    assert run.on_test.nll == pytest.approx(-log_p_NC[np.arange(40), labels_N].mean(), rel=1e-4)
    assert run.on_test.agreement == np.mean(predictions_N == inputs.teacher_test_logits_NC.argmax(1))


def test_card_beside_the_weights_is_the_record(tmp_path: Path, inputs: VerificationInputs) -> None:
    run = verify(tmp_path, inputs, student())
    card = StudyPaths(tmp_path).verified_run("f1")
    assert VerifiedRun.model_validate_json(card.read_bytes()) == run
    assert run.preprocessing.mean_C == training_data().mean_C
    assert run.versions["torch"] == torch.__version__
    assert not StudyPaths(tmp_path).verified_checkpoint("f1").exists()


def test_interrupted_run_goes_on_to_the_same_bits(
    tmp_path: Path, inputs: VerificationInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its last epoch's evaluation, then run again: as if it had never been."""
    whole = verify(tmp_path / "whole", inputs, student(loss=KD, epochs=3))
    evaluate = DistillationRun.evaluate
    calls: list[Split] = []

    def killed(self: DistillationRun, split: Split) -> EvaluationMetrics:
        calls.append(split)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return evaluate(self, split)

    monkeypatch.setattr(DistillationRun, "evaluate", killed)
    with pytest.raises(KeyboardInterrupt):
        verify(tmp_path / "cut", inputs, student(loss=KD, epochs=3))
    monkeypatch.undo()
    assert StudyPaths(tmp_path / "cut").verified_checkpoint("f1").exists()
    cut = verify(tmp_path / "cut", inputs, student(loss=KD, epochs=3))
    assert cut.on_test == whole.on_test
    weights = [StudyPaths(tmp_path / name).verified_weights("f1").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_divergence_is_told_and_leaves_no_weights(tmp_path: Path, inputs: VerificationInputs) -> None:
    run = verify(tmp_path, inputs, student(learning_rate=1e30))
    assert run.on_test is None
    assert run.failure is not None
    assert run.failure.startswith("TrainingDivergedError")
    assert not StudyPaths(tmp_path).verified_weights("f1").exists()
    assert StudyPaths(tmp_path).verified_run("f1").exists()


def test_student_that_its_loss_refuses_is_told_and_the_others_go_on(tmp_path: Path, inputs: VerificationInputs) -> None:
    run = verify(tmp_path, inputs, student(loss=LossConfig(name="kd", options={"temperature": -1.0})))
    assert run.on_test is None
    assert run.failure is not None
    assert run.failure.startswith("ValueError: ")
    assert "temperature" in run.failure


def test_too_little_memory_is_told(tmp_path: Path, inputs: VerificationInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(_: DistillationRun) -> None:
        raise torch.OutOfMemoryError("6 GiB")

    monkeypatch.setattr(DistillationRun, "run_epoch", too_large)
    assert verify(tmp_path, inputs, student()).failure == "OutOfMemoryError: 6 GiB"


def test_student_is_computed_as_its_plan_says_and_the_record_says_it_too(
    tmp_path: Path, inputs: VerificationInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, forms = Execution(optimizer="foreach"), []
    run_epoch = DistillationRun.run_epoch

    def seen(self: DistillationRun) -> EpochMetrics:
        forms.append(self._optimizer.param_groups[0]["foreach"])
        return run_epoch(self)

    monkeypatch.setattr(DistillationRun, "run_epoch", seen)
    run = planned(student(epochs=1)).model_copy(update={"execution": execution})
    assert verify_student(run, inputs, StudyPaths(tmp_path), 1.0, 0.0).execution == execution
    assert forms == [True]


def test_student_on_augmented_views_asks_the_live_teacher(tmp_path: Path, inputs: VerificationInputs) -> None:
    assert verify(tmp_path, inputs, student(loss=KD, shift_pixels=1, epochs=1)).on_test is not None


def test_split_metrics_against_counts_by_hand() -> None:
    logits_NC = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]])
    teacher_NC = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    measured = split_metrics(logits_NC, torch.tensor([0, 0, 0, 1]), teacher_NC)
    assert (measured.num_images, measured.accuracy, measured.agreement) == (4, 0.75, 0.5)
    assert measured.nll == pytest.approx((3 * np.log1p(np.exp(-2)) + np.log1p(np.exp(2))) / 4)


def test_output_that_is_not_finite_is_no_accuracy() -> None:
    with pytest.raises(TrainingDivergedError, match="not finite"):
        split_metrics(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]), torch.zeros(1, 2))


def test_teacher_agrees_with_itself(inputs: VerificationInputs) -> None:
    measured, logits_NC = teacher_on_test(TEACHER, inputs.teacher, inputs.data, inputs.test_images, 1)
    assert measured.agreement == 1.0
    assert logits_NC.shape == (40, 3)
    assert 0.4 <= measured.accuracy <= 0.75


def test_accuracy_of_each_class_is_counted_on_its_own_images() -> None:
    """By hand: of class 0 one of two, of class 1 all, of class 2 none, of class 3 there is no image."""
    logits_NC = torch.eye(4)[[0, 1, 1, 1, 0]]
    labels_N = torch.tensor([0, 0, 1, 1, 2])
    assert split_metrics(logits_NC, labels_N, logits_NC).accuracy_by_class == (0.5, 1.0, 0.0, None)
