"""Metrics of a study's own where they are computed: at each evaluation, in trials, and on the test images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.factories import device_data, stored_teacher, student, training_data
from tests.logit_metrics import brier, distance_to_teacher, drawing, largest_label
from tests.trainables.test_student import BareTrial, assignment, steps
from tests.trainables.test_teacher import TEACHER, train
from tests.trainables.test_verification import images_to_test, planned
from trainables import training
from trainables.checkpoints import load_weights
from trainables.config import NamedConfig
from trainables.models import build
from trainables.run_start import student_run
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher
from trainables.teacher_outputs import Split, TeacherArrays
from trainables.verification import VerificationInputs, teacher_on_test, verify_student
from trainables.verified import VerifiedRun


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


def named(name: str, **options: Any) -> NamedConfig:
    return NamedConfig(name=f"tests.logit_metrics:{name}", options=options)


def brier_score(logits_NC: torch.Tensor, labels_N: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """In float64 NumPy (Brier 1950, eq. 2)."""
    exponentials_NC = np.exp(logits_NC.double().numpy())
    wrong_NC = exponentials_NC / exponentials_NC.sum(axis=1, keepdims=True) - np.eye(logits_NC.shape[1])[labels_N]
    return float((wrong_NC**2).sum(axis=1).mean())


def test_evaluation_computes_it_of_all_images_at_once_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of 7 of 60 images, student beside teacher."""
    monkeypatch.setattr(training, "EVALUATION_BATCH_SIZE", 7)
    data = device_data()
    source = stored_teacher(data)
    run = student_run(student(), data, source, [brier(), distance_to_teacher(), largest_label()])
    run.run_epoch()
    found = run.evaluate(Split.VALIDATION).own
    logits_NC = run.all_logits(Split.VALIDATION)
    assert found["brier"] == pytest.approx(brier_score(logits_NC, training_data().validation.labels_N), rel=1e-5)
    teacher_NC = source._logits_NC[Split.VALIDATION]
    assert found["distance"] == pytest.approx(F.mse_loss(logits_NC, teacher_NC).item(), rel=1e-5)
    assert found["largest_label"] == 2.0


def test_training_goes_the_same_way_whatever_is_computed_of_it() -> None:
    """Even beside a metric that draws random numbers."""

    def weights(*metrics: Any) -> list[torch.Tensor]:
        data = device_data()
        run = student_run(student(), data, stored_teacher(data), metrics)
        for _ in range(2):
            run.run_until(run.epoch + 0.5)
            run.evaluate(Split.VALIDATION)
            run.run_epoch()
            run.evaluate(Split.VALIDATION)
        return [each.clone() for each in run.model.state_dict().values()]

    assert all(map(torch.equal, weights(), weights(drawing(), brier())))


def test_run_without_a_teacher_has_none() -> None:
    assert student_run(student(), device_data(), None).evaluate(Split.VALIDATION).own == {}
    with pytest.raises(ValueError, match=r"metrics of logits \(brier, distance\) need a teacher beside them"):
        student_run(student(), device_data(), None, [brier(), distance_to_teacher()])


def test_each_report_of_a_trial_holds_it_and_so_does_one_that_is_told_again(
    tmp_path: Path, teacher: TeacherArrays
) -> None:
    metrics = (named("brier"), named("distance_to_teacher"))
    reports = steps(BareTrial(assignment(tmp_path, student(seed=1), metrics=metrics), teacher))
    told = [each["validation_brier"] for each in reports]
    assert all(0.0 < each < 2.0 for each in told)
    assert len(set(told)) == 3
    again = steps(BareTrial(assignment(tmp_path, student(seed=1), metrics=metrics, num_stored_reports=1), teacher))
    assert [each["validation_brier"] for each in again] == told[1:]
    assert all(each["validation_distance"] > 0.0 for each in reports)


def test_metric_that_raises_ends_its_trial_with_the_reason_and_the_process_takes_the_next(
    tmp_path: Path, teacher: TeacherArrays
) -> None:
    metrics = (named("fails_on_good_students", accuracy=0.5),)
    trial = BareTrial(assignment(tmp_path, student(), metrics=metrics), teacher)
    last = steps(trial)[-1]
    assert last["failure"] == "LogitMetricError: metric \"touchy\" raised KeyError: 'bin 7'"
    assert (last["done"], last["finished"]) == (True, False)
    trial.reset_config(assignment(tmp_path, student(), number=1))
    assert steps(trial)[-1]["finished"]


@pytest.fixture
def inputs(teacher: TeacherArrays) -> VerificationInputs:
    _, logits_NC = teacher_on_test(TEACHER, teacher, training_data(), images_to_test(), 1)
    return VerificationInputs(training_data(), teacher, images_to_test(), logits_NC, (named("brier"),))


def test_retraining_tells_it_of_the_test_images(tmp_path: Path, inputs: VerificationInputs) -> None:
    """Recomputed from the safetensors and the raw bytes."""
    paths = StudyPaths(tmp_path)
    run = verify_student(planned(student()), inputs, paths, 1.0, 0.0)
    network = build(run.student.model, input_shape=(1, 8, 8), num_classes=3).eval()
    network.load_state_dict(load_weights(paths.verified_weights("f1")))
    pixels = torch.from_numpy(inputs.test_images.images_NCHW.astype(np.float32)) / 255
    with torch.inference_mode():
        logits_NC = network((pixels - run.preprocessing.mean_C[0]) / run.preprocessing.std_C[0])
    assert run.on_test is not None
    expected = brier_score(logits_NC, inputs.test_images.labels_N)
    assert run.on_test.own == {"brier": pytest.approx(expected, rel=1e-4)}
    card = VerifiedRun.model_validate_json(paths.verified_run("f1").read_bytes())
    assert card.on_test is not None
    assert card.on_test.value("brier") == run.on_test.own["brier"]
    assert card.on_test.value("accuracy") == run.on_test.accuracy
    assert card.on_test.value("absent") is None


def test_teacher_is_held_against_itself_and_what_cannot_be_computed_of_it_is_left_out(
    teacher: TeacherArrays, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = [named("distance_to_teacher"), named("fails_on_good_students", accuracy=0.0), named("brier")]
    measured, logits_NC = teacher_on_test(TEACHER, teacher, training_data(), images_to_test(), 1, metrics)
    assert set(measured.own) == {"distance", "brier"}
    assert measured.own["distance"] == 0.0
    expected = brier_score(torch.from_numpy(logits_NC), images_to_test().labels_N)
    assert measured.own["brier"] == pytest.approx(expected, rel=1e-5)
    assert "the teacher on the test images: metric \"touchy\" raised KeyError: 'bin 7'" in caplog.text
