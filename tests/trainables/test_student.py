"""A trial's process, step by step, without Ray: `StudentTrial` below Tune's own bookkeeping."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.factories import student, training_data
from tests.trainables.test_teacher import train
from trainables.checkpoints import load_weights
from trainables.config import Execution, LossConfig, StudentConfig, TrialAssignment
from trainables.hardware.gpu_share import MemoryShare
from trainables.hardware.telemetry import Sampler
from trainables.student import StudentTrial
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher
from trainables.teacher_outputs import TeacherArrays

KD = LossConfig(name="kd", options={"temperature": 2.0, "alpha": 0.7})


class BareTrial(StudentTrial):
    """As Tune's actor makes it, less what Tune adds."""

    def __init__(self, config: dict[str, Any], teacher: TeacherArrays) -> None:
        self.begin_with(config, training_data(), teacher)

    def __del__(self) -> None:
        self.cleanup()


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


def assignment(folder: Path, config: StudentConfig, number: int = 0, **fields: Any) -> dict[str, Any]:
    paths = StudyPaths(folder)
    return TrialAssignment(
        number=number,
        student=config,
        isolated={"latency_p50_ms_batch1": 0.25, "gpu_utilization_fraction": None},
        checkpoint=str(paths.checkpoint(number)),
        weights=str(paths.student_weights(number)),
        **fields,
    ).model_dump(mode="json")


def steps(trial: StudentTrial) -> list[dict[str, Any]]:
    """Until the trial says that it is done."""
    reports = [trial.step()]
    while not reports[-1]["done"]:
        reports.append(trial.step())
    return reports


def measured(reports: list[dict[str, Any]]) -> list[tuple[int, float, float]]:
    return [(each["epoch"], each["train_loss"], each["validation_accuracy"]) for each in reports]


def test_each_step_is_an_epoch_with_every_metric_and_the_last_leaves_the_weights(
    tmp_path: Path, teacher: TeacherArrays
) -> None:
    reports = steps(BareTrial(assignment(tmp_path, student(loss=KD), number=4), teacher))
    assert [report["epoch"] for report in reports] == [1, 2, 3]
    assert [report["finished"] for report in reports] == [False, False, True]
    for report in reports:
        assert report["number"] == 4
        assert report["latency_p50_ms_batch1"] == 0.25
        assert report["gpu_utilization_fraction"] is None
        assert 0.0 <= report["validation_agreement"] <= 1.0
        assert report["failure"] is None
    assert "classifier.weight" in load_weights(StudyPaths(tmp_path).student_weights(4))


def test_a_trial_s_mfu_is_by_its_work_and_what_only_a_gpu_tells_is_unknown(
    tmp_path: Path, teacher: TeacherArrays
) -> None:
    """Alone 0.2 at 1,000 images/s: 0.2 ms of the peak's work an image."""
    told = assignment(tmp_path, student(loss=KD, epochs=1), idle_watts=20.0)
    told["isolated"] |= {"train_mfu_fraction": 0.2, "train_images_per_s": 1_000.0}
    (report,) = steps(BareTrial(told, teacher))
    num_images = len(training_data().train)
    assert report["shared_train_mfu_fraction"] == pytest.approx(0.2e-3 * num_images / report["train_seconds"])
    assert report["shared_cpu_utilization_fraction"] > 0.0
    of_a_gpu = ("num_gpu_co_tenants", "process_gpu_utilization_fraction", "process_gpu_memory_mib")
    of_a_board = ("shared_board_energy_joules", "shared_energy_joules", "shared_energy_residual_joules")
    assert {report[name] for name in of_a_gpu + of_a_board} == {None}


def test_a_trial_s_mfu_is_unknown_where_it_was_not_measured_alone(tmp_path: Path, teacher: TeacherArrays) -> None:
    (report,) = steps(BareTrial(assignment(tmp_path, student(epochs=1)), teacher))
    assert report["shared_train_mfu_fraction"] is None


def test_a_trial_s_energy_is_above_the_idle_power_that_it_was_told(
    tmp_path: Path, teacher: TeacherArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float | None] = []

    class Watched(Sampler):
        def __init__(self, *arguments: Any, idle_watts: float | None, **others: Any) -> None:
            told.append(idle_watts)
            super().__init__(*arguments, idle_watts=idle_watts, **others)

    monkeypatch.setattr("trainables.student.Sampler", Watched)
    steps(BareTrial(assignment(tmp_path, student(epochs=1), idle_watts=20.0), teacher))
    assert told == [20.0]


def test_trial_in_a_new_process_goes_on_after_its_last_epoch_to_the_same_bits(
    tmp_path: Path, teacher: TeacherArrays
) -> None:
    whole = steps(BareTrial(assignment(tmp_path / "whole", student(loss=KD)), teacher))
    first = BareTrial(assignment(tmp_path / "cut", student(loss=KD)), teacher)
    first.step()
    rest = steps(BareTrial(assignment(tmp_path / "cut", student(loss=KD), num_stored_reports=1), teacher))
    assert measured(rest) == measured(whole)[1:]
    one, other = (load_weights(StudyPaths(tmp_path / name).student_weights(0)) for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("num_stored_reports", [0, 1, 2])
def test_epochs_that_the_driver_did_not_store_are_told_again_not_trained_again(
    tmp_path: Path, teacher: TeacherArrays, num_stored_reports: int
) -> None:
    config = student(loss=KD)
    first = BareTrial(assignment(tmp_path, config), teacher)
    told = [first.step(), first.step()]
    again = BareTrial(assignment(tmp_path, config, num_stored_reports=num_stored_reports), teacher)
    reports = steps(again)
    assert [report["epoch"] for report in reports] == list(range(num_stored_reports + 1, 4))
    assert reports[: 2 - num_stored_reports] == told[num_stored_reports:]


@pytest.mark.parametrize("num_stored_reports", [2, 3])
def test_end_that_the_driver_did_not_store_is_told_again(
    tmp_path: Path, teacher: TeacherArrays, num_stored_reports: int
) -> None:
    told = steps(BareTrial(assignment(tmp_path, student()), teacher))
    again = steps(BareTrial(assignment(tmp_path, student(), num_stored_reports=num_stored_reports), teacher))
    assert again == told[2:]


def test_student_in_a_used_process_is_the_student_of_a_fresh_one(tmp_path: Path, teacher: TeacherArrays) -> None:
    trial = BareTrial(assignment(tmp_path, student(width=3, seed=1), number=0), teacher)
    steps(trial)
    assert trial.reset_config(assignment(tmp_path, student(loss=KD), number=1))
    reused = steps(trial)
    fresh = steps(BareTrial(assignment(tmp_path, student(loss=KD), number=2), teacher))
    assert measured(reused) == measured(fresh)
    assert [report["number"] for report in reused] == [1, 1, 1]


def test_divergence_is_reported_and_ends_the_trial(tmp_path: Path, teacher: TeacherArrays) -> None:
    (report,) = steps(BareTrial(assignment(tmp_path, student(learning_rate=1e30)), teacher))
    assert report["done"]
    assert not report["finished"]
    assert report["failure"].startswith("TrainingDivergedError: the training loss of epoch 1 is")


def test_too_little_memory_is_reported_and_ends_the_trial(
    tmp_path: Path, teacher: TeacherArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr("trainables.training.DistillationRun.run_until", out_of_memory)
    (report,) = steps(BareTrial(assignment(tmp_path, student()), teacher))
    assert report["failure"] == "OutOfMemoryError: tried to allocate 80 GiB"


def test_too_little_memory_of_a_share_says_the_share_and_what_to_set_and_the_next_student_lives(
    tmp_path: Path, teacher: TeacherArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board is made up; where there is none, no share of one is taken."""

    def share(_: torch.device, gpus: float, context_mib: float | None) -> MemoryShare:
        return MemoryShare(gpus, 23_028.0, context_mib or 0.0)

    def out_of_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    monkeypatch.setattr("trainables.student.memory_share", share)
    trial = BareTrial(assignment(tmp_path, student(), gpus=0.25, context_mib=500.0), teacher)
    with monkeypatch.context() as within:
        within.setattr("trainables.student.DeviceData", out_of_memory)  # before the first step, too
        (report,) = steps(trial)
    assert report["failure"] == (
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. (its share of 0.25 GPU is 5,757 MiB, 5,257 "
        'MiB of them beside the CUDA context; what may help: a larger resources.gpus_per_trial, or "planned")'
    )
    assert (report["done"], report["finished"]) == (True, False)
    assert trial.reset_config(assignment(tmp_path, student(), number=1, gpus=0.25))
    assert steps(trial)[-1]["finished"]


def test_other_errors_are_left_to_tune_which_starts_the_trial_again(
    tmp_path: Path, teacher: TeacherArrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is away")

    monkeypatch.setattr("trainables.training.DistillationRun.run_until", fail)
    with pytest.raises(OSError, match="the disk is away"):
        BareTrial(assignment(tmp_path, student()), teacher).step()


def test_distillation_on_augmented_views_asks_the_live_teacher(tmp_path: Path, teacher: TeacherArrays) -> None:
    reports = steps(BareTrial(assignment(tmp_path, student(loss=KD, shift_pixels=1, epochs=1)), teacher))
    assert reports[0]["failure"] is None


def test_trial_asks_for_its_share_and_is_called_by_what_it_trains(tmp_path: Path, teacher: TeacherArrays) -> None:
    config = assignment(tmp_path, student(loss=KD), number=7, cpus=2, gpus=0.25)
    request = StudentTrial.default_resource_request(config)
    assert request.required_resources == {"CPU": 2.0, "GPU": 0.25}
    assert repr(BareTrial(config, teacher)) == "Student 7: cnn(width=2) kd"


def test_trial_whose_state_a_disk_has_lost_begins_anew(
    tmp_path: Path, teacher: TeacherArrays, caplog: pytest.LogCaptureFixture
) -> None:
    config = assignment(tmp_path, student())
    checkpoint = StudyPaths(tmp_path).checkpoint(0)
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"torn")
    assert [report["epoch"] for report in steps(BareTrial(config, teacher))] == [1, 2, 3]
    assert "the trial begins anew" in caplog.text


def test_a_student_is_computed_as_its_assignment_says(tmp_path: Path, teacher: TeacherArrays) -> None:
    execution = Execution(memory_format="contiguous", optimizer="foreach")
    plain = steps(BareTrial(assignment(tmp_path / "plain", student(loss=KD)), teacher))
    trial = BareTrial(assignment(tmp_path / "told", student(loss=KD), execution=execution), teacher)
    told = steps(trial)
    assert trial._run is not None
    assert trial._run._optimizer.param_groups[0]["foreach"]
    for one, other in zip(measured(plain), measured(told), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
