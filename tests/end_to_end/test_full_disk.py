"""The disk that a study lies on is full in the middle of its search: it says how to go on, and does when it is not."""

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.results import read_study
from tests.end_to_end.conftest import SMALL, environment, kd_study, overrides, run
from tests.end_to_end.test_postgresql import complete
from trainables.records import TrialState
from trainables.study_paths import StudyPaths

pytestmark = pytest.mark.slow  # two drivers, one after the other
FIELDS = (*SMALL, "search.num_trials=12", "space.options.epochs=6", "verify.max_students=0")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def test_study_on_a_full_disk_says_how_to_go_on_and_loses_nothing(small_disk: Path) -> None:
    directory, ballast = small_disk / "study", small_disk / "ballast"
    fields = overrides([*FIELDS, "resources.max_minutes_unwritable=0.05"])
    driver = subprocess.Popen(
        kd_study("run", "smoke", "--dir", str(directory), *fields),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    give_up_at = time.monotonic() + 300.0
    while len(complete(directory)) < 2 and driver.poll() is None and time.monotonic() < give_up_at:
        time.sleep(0.2)
    while driver.poll() is None and time.monotonic() < give_up_at:
        fill(ballast)  # again and again: what is removed elsewhere makes room
        time.sleep(0.1)
    _, errors = driver.communicate()
    assert driver.returncode == 1, errors
    # Of the journal or of a trial's state, whichever was refused first.
    assert re.fullmatch(
        rf"kd-study: .+ cannot be written to \(.+\), for 0\.05 min\. Nothing finished is lost: mend that, then "
        rf"kd-study resume {directory} goes on",
        errors.strip().splitlines()[-1],
    )
    ballast.unlink()
    before = complete(directory)
    assert before
    ended = run("resume", str(directory))
    assert ended.returncode == 0, ended.stderr
    trials = {trial.number: trial for trial in read_study(directory).trials}
    assert {number: trials[number] for number in before} == before
    assert {trial.state for trial in trials.values()} == {TrialState.COMPLETE}
    assert all(trial.failures == () for trial in trials.values())
    assert all(StudyPaths(directory).student_weights(number).is_file() for number in trials)
