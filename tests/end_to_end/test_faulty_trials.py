"""A study among whose students some hang, some kill their process and some raise: it ends, and says which."""

import shutil
import subprocess

import pytest

from analysis.results import read_study
from tests.end_to_end import faulty_losses
from tests.end_to_end.conftest import QUICK_PROFILE, environment, kd_study
from trainables.records import TrialRecord, TrialState
from trainables.study_paths import StudyPaths

# A process loads torch's optimisers in its first epoch, which takes a busy machine many seconds: three processes hang,
# each for longer than that.
pytestmark = pytest.mark.slow

STUDY = (
    """
name = "faulty"
dataset = { num_validation_images = 100, max_train_images = 600 }
teacher = { model = { name = "cnn", options = { width = 2 } }, training = { epochs = 1 } }
search = { num_trials = 5, sampler = "random" }
verify = { max_students = 0 }

[space]
name = "cnn_distillation"

[space.options]
widths = [1]
batch_sizes = [64]
epochs = 2
methods = ["labels", "faulty_losses:hangs", "faulty_losses:hangs_once", "faulty_losses:dies", "faulty_losses:raises"]

[resources]
max_failures = 1
max_minutes_per_epoch = 0.5
dashboard = false
object_store_mib = 100
"""
    + QUICK_PROFILE
)
HUNG = "no epoch within 0.5 min (resources.max_minutes_per_epoch); its log says where"
TWICE = "its process ended 2 times (resources.max_failures = 1), at last: "


@pytest.fixture(scope="module")
def by_method(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrialRecord]:
    folder = tmp_path_factory.mktemp("faulty")
    shutil.copy(faulty_losses.__file__, folder)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    command = kd_study("run", str(folder / "study.toml"), "--dir", str(folder / "study"))
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, env=environment())
    assert ended.returncode == 0, ended.stderr
    assert StudyPaths(folder / "study").report_html.is_file()
    trials = read_study(folder / "study").trials
    assert len(trials) == 5
    return {str(trial.parameters["method"]).removeprefix("faulty_losses:"): trial for trial in trials}


@pytest.mark.parametrize("method", ["hangs", "dies", "raises"])
def test_trial_that_always_fails_is_given_up_with_its_reason_and_keeps_the_epoch_that_it_had(
    by_method: dict[str, TrialRecord], method: str
) -> None:
    trial = by_method[method]
    assert trial.state is TrialState.FAILED
    assert [epoch["epoch"] for epoch in trial.epochs] == [1]
    assert str(trial.reason).startswith(TWICE)
    expected = {"hangs": HUNG, "raises": "RuntimeError: poison in the second epoch", "dies": "ActorDiedError: "}
    assert expected[method] in str(trial.reason)


def test_trial_that_hung_once_goes_on_after_its_last_epoch_to_its_end(by_method: dict[str, TrialRecord]) -> None:
    trial = by_method["hangs_once"]
    assert (trial.state, trial.failures) == (TrialState.COMPLETE, (HUNG,))
    assert [epoch["epoch"] for epoch in trial.epochs] == [1, 2]
    assert len(trial.spans) == 2


def test_trial_beside_them_ends_undisturbed(by_method: dict[str, TrialRecord]) -> None:
    trial = by_method["labels"]
    assert (trial.state, trial.failures) == (TrialState.COMPLETE, ())
