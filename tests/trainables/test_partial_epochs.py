"""An epoch trained in parts is the epoch trained whole, and a trial reports within epochs as it was told to."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.factories import device_data, student
from tests.trainables.test_student import BareTrial, assignment, measured, steps
from tests.trainables.test_teacher import train
from trainables.checkpoints import load_state, load_weights, save_state
from trainables.config import ModelConfig
from trainables.run_start import teacher_run
from trainables.study_paths import StudyPaths
from trainables.teacher import load_teacher
from trainables.teacher_config import TeacherConfig
from trainables.teacher_outputs import TeacherArrays
from trainables.training import DistillationRun

EPOCHS = 2  # each of 4 batches: 32 of 120 images, the last has 24


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherArrays:
    folder = tmp_path_factory.mktemp("teacher")
    return load_teacher(StudyPaths(folder).teacher, train(folder)[-1])


def noisy_run() -> DistillationRun:
    """With dropout and shifted views: all that draws at random."""
    model = ModelConfig(name="mlp", options={"hidden": (16,), "dropout": 0.5})
    return teacher_run(
        TeacherConfig(model=model, training=student(epochs=EPOCHS, shift_pixels=1).training), device_data()
    )


def weights(run: DistillationRun) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


@pytest.fixture(scope="module")
def whole() -> DistillationRun:
    run = noisy_run()
    while not run.is_finished:
        run.run_epoch()
    return run


PARTS = {
    "batch by batch": (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
    "uneven": (0.6, 1.0, 1.1, 2.0),
    "one part": (0.5, 1.0, 2.0),
}


@pytest.mark.parametrize("moments", PARTS.values(), ids=PARTS.keys())
def test_epoch_run_in_parts_has_the_bits_of_one_run_whole(whole: DistillationRun, moments: tuple[float, ...]) -> None:
    run = noisy_run()
    for moment in moments:
        torch.rand(3)  # others draw meanwhile
        assert run.run_until(moment).epoch == moment
    assert run.is_finished
    assert torch.equal(weights(run), weights(whole))


@pytest.mark.parametrize("moment", [0.25, 0.5, 1.0, 1.75])
def test_run_saved_and_loaded_in_the_middle_of_an_epoch_has_the_bits_of_one_run_whole(
    tmp_path: Path, whole: DistillationRun, moment: float
) -> None:
    run = noisy_run()
    if moment > 1.0:
        run.run_epoch()
    run.run_until(moment)
    save_state(tmp_path / "state.pt", {"run": run.state_dict()})
    resumed = noisy_run()
    resumed.load_state_dict(load_state(tmp_path / "state.pt", torch.device("cpu"))["run"])  # type: ignore[arg-type]
    while not resumed.is_finished:
        resumed.run_epoch()
    assert torch.equal(weights(resumed), weights(whole))


def test_parts_train_each_image_once_and_their_losses_are_those_of_the_epoch() -> None:
    whole_epoch, run = noisy_run().run_epoch(), noisy_run()
    parts = [run.run_until(moment) for moment in (0.3, 0.75, 1.0)]
    assert [part.num_images for part in parts] == [64, 32, 24]
    mean = sum(part.train_loss * part.num_images for part in parts) / 120
    assert mean == pytest.approx(whole_epoch.train_loss, rel=1e-6)


def test_evaluating_between_parts_changes_nothing(whole: DistillationRun) -> None:
    run = noisy_run()
    for moment in PARTS["batch by batch"]:
        run.run_until(moment)
        run.all_logits(next(iter(device_data().images)))
    assert torch.equal(weights(run), weights(whole))


@pytest.mark.parametrize(
    ("trained", "asked", "message"),
    [
        (0.5, 0.5, r"0\.5 epochs: must be above 0\.5, at most 1, by a whole batch"),
        (0.5, 0.25, r"0\.25 epochs: must be above 0\.5, at most 1"),
        (0.25, 1.25, r"1\.25 epochs: must be above 0\.25, at most 1"),
        (0.6, 0.7, r"0\.7 epochs: must be above 0\.75, at most 1, by a whole batch"),
        (1.0, 1.0, r"1\.0 epochs: must be above 1, at most 2"),
    ],
)
def test_moment_that_is_no_whole_batch_later_in_this_epoch_is_refused(
    trained: float, asked: float, message: str
) -> None:
    run = noisy_run()
    run.run_until(trained)
    before = weights(run)
    with pytest.raises(ValueError, match=message):
        run.run_until(asked)
    assert torch.equal(weights(run), before)


def test_state_without_its_step_is_refused() -> None:
    state = noisy_run().state_dict() | {"step": None}
    with pytest.raises(TypeError, match="step in the state is None: it must be a whole number"):
        noisy_run().load_state_dict(state)


def test_trial_reports_at_the_fractions_and_at_whole_epochs_in_order(tmp_path: Path, teacher: TeacherArrays) -> None:
    config = student(epochs=2)
    reports = steps(BareTrial(assignment(tmp_path, config, report_at=(0.25, 0.5, 1.0, 1.5)), teacher))
    assert [report["epoch"] for report in reports] == [0.25, 0.5, 1.0, 1.5, 2.0]
    assert [report["finished"] for report in reports] == [False] * 4 + [True]
    plain = steps(BareTrial(assignment(tmp_path, config, number=1), teacher))
    one, other = (load_weights(StudyPaths(tmp_path).student_weights(number)) for number in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [each["validation_accuracy"] for each in plain] == [reports[at]["validation_accuracy"] for at in (2, 4)]


@pytest.mark.parametrize("num_reports", [1, 2, 3, 4])
def test_trial_in_a_new_process_goes_on_in_the_middle_of_an_epoch(
    tmp_path: Path, teacher: TeacherArrays, num_reports: int
) -> None:
    config, at = student(epochs=2), (0.25, 0.5, 1.5)
    whole = steps(BareTrial(assignment(tmp_path, config, report_at=at), teacher))
    first = BareTrial(assignment(tmp_path, config, number=1, report_at=at), teacher)
    told = [first.step() for _ in range(num_reports)]
    again = BareTrial(assignment(tmp_path, config, number=1, report_at=at, num_stored_reports=num_reports - 1), teacher)
    rest = steps(again)
    assert rest[0] == told[-1]  # not stored: told again, not trained again
    assert measured(told[:-1] + rest) == measured(whole)
    one, other = (load_weights(StudyPaths(tmp_path).student_weights(number)) for number in (0, 1))
    assert all(torch.equal(one[name], other[name]) for name in one)
