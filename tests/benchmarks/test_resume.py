"""How long a killed study takes, from `resume`, until its first trial has trained again."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.scoreboard import Scoreboard
from trainables.records import EPOCH_PREFIX
from trainables.study_paths import StudyPaths

LIMIT_S = 20.0
NUM_EPOCHS_BEFORE = 4
POLL_S = 0.02
# All of MNIST, as the main job has it; the students are so narrow that an epoch is short beside the start.
OVERRIDES = (
    "space.options.widths=[1]",
    "teacher.model.options.width=2",
    "teacher.training.epochs=1",
    "profile.inference_batch_sizes=[1]",
    "profile.seconds_per_batch_size=0.1",
    "profile.seconds_per_training_batch_size=0.1",
    "profile.max_attempts=1",
    "space.options.epochs=50",
)


@pytest.mark.benchmark
def test_killed_study_trains_again_soon_after_resume(scoreboard: Scoreboard, tmp_path: Path) -> None:
    """To the end of the first epoch that is new, less that epoch's own training and evaluation."""
    directory = tmp_path / "study"
    fields = [part for override in OVERRIDES for part in ("--set", override)]
    driver = start("run", "mnist", "--dir", str(directory), *fields)
    wait_until(driver, lambda: len(told_epochs(directory)) >= NUM_EPOCHS_BEFORE)
    driver.kill()
    driver.wait()
    num_before = len(told_epochs(directory))
    began = time.monotonic()
    driver = start("resume", str(directory))
    wait_until(driver, lambda: len(told_epochs(directory)) > num_before)
    seconds = time.monotonic() - began
    driver.kill()
    driver.wait()
    first = told_epochs(directory)[num_before]
    seconds -= first["train_seconds"] + first["evaluation_seconds"]
    what = "`resume` of a killed study until a trial trains again"
    row = scoreboard.at_most(what, value=seconds, limit=LIMIT_S, unit="s")
    assert row.is_reached, row


def start(*arguments: str) -> "subprocess.Popen[bytes]":
    command = [str(Path(sys.executable).with_name("kd-study")), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until(driver: "subprocess.Popen[bytes]", is_so: Callable[[], bool]) -> None:
    while not is_so():
        assert driver.poll() is None, "the driver ended"
        time.sleep(POLL_S)


def told_epochs(directory: Path) -> list[dict[str, float]]:
    """The metrics of every epoch that the journal has been told, in its order."""
    journal = StudyPaths(directory).journal
    lines = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    attributes = [json.loads(line).get("user_attr", {}) for line in lines if line.endswith("}")]
    return [value for each in attributes for name, value in each.items() if name.startswith(EPOCH_PREFIX)]
