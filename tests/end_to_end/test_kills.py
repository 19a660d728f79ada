"""SIGKILL of the driver again and again, at moments that a seed draws: nothing is lost, doubled or left behind."""

import logging
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from analysis.results import read_study
from study import store as stores
from tests.end_to_end.conftest import environment, kd_study, overrides
from trainables.records import TrialRecord, TrialState
from trainables.study_paths import StudyPaths

logger = logging.getLogger(__name__)

NUM_KILLS = 20
SEED = 20
LONGEST_S = 12.0  # from the first stage on; every fourth time from the start of the process
FIELDS = (
    'search.sampler="grid"',
    "search.num_trials=20",
    "space.options.widths=[1, 2]",
    "space.options.batch_sizes=[64]",
    "space.options.steps=2",
    "space.options.epochs=4",
    "dataset.max_train_images=12000",
    "dataset.num_validation_images=1000",
    "profile.inference_batch_sizes=[1]",
)


def command(directory: Path) -> list[str]:
    """`resume` as soon as there is a study; before that the driver died too early, and `run` begins again."""
    if StudyPaths(directory).study_json.exists():
        return kd_study("resume", str(directory))
    return kd_study("run", "smoke", "--dir", str(directory), *overrides(FIELDS))


def complete(directory: Path) -> dict[int, TrialRecord]:
    if not StudyPaths(directory).study_json.exists():
        return {}
    with stores.reopen(directory) as store:
        return {record.number: record for record in store.trials() if record.state is TrialState.COMPLETE}


def killed_after(directory: Path, seconds: float, *, once_it_works: bool) -> bool:
    """Whether the driver was still at work when its moment came, counted from its start or from its first stage."""
    driver = subprocess.Popen(
        command(directory), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    assert driver.stdout is not None
    said = ""
    while once_it_works and "teach" not in said and (line := driver.stdout.readline()):
        said += line
    try:
        rest, _ = driver.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        return True
    assert driver.returncode == 0, said + rest
    return False


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_change_nothing(tmp_path: Path) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    subprocess.run(command(undisturbed), check=True, env=environment(), stdout=subprocess.DEVNULL)
    moments, finished = random.Random(SEED), dict[int, TrialRecord]()
    num_kills = 0
    for attempt in range(NUM_KILLS):
        once_it_works = attempt % 4 != 0
        seconds = moments.uniform(0.0, LONGEST_S)
        was_killed = killed_after(killed, seconds, once_it_works=once_it_works)
        num_kills += was_killed
        now = complete(killed)
        lost = [number for number in finished if number not in now]
        changed = [number for number in finished if number in now and now[number] != finished[number]]
        stage = "killed" if was_killed else "had ended"
        since = "its first stage" if once_it_works else "its start"
        told = (attempt + 1, stage, seconds, since, len(now), lost, changed)
        logger.info("%2d: %s %4.1f s after %s: %d finished, lost %s, changed %s", *told)
        assert (lost, changed) == ([], [])
        finished = now
    started = time.monotonic()
    subprocess.run(command(killed), check=True, env=environment(), stdout=subprocess.DEVNULL)
    logger.info("%d kills; the last resume took %.0f s", num_kills, time.monotonic() - started)

    theirs, ours = read_study(undisturbed), read_study(killed)
    assert [trial.state for trial in ours.trials] == [TrialState.COMPLETE] * 20
    assert num_kills >= NUM_KILLS // 2
    assert finished == {trial.number: trial for trial in ours.trials if trial.number in finished}
    by_student = {trial.student.model_dump_json(): trial for trial in ours.trials if trial.student}
    for trial in theirs.trials:
        assert trial.student is not None
        mine = by_student[trial.student.model_dump_json()]
        weights = [
            StudyPaths(root).student_weights(each.number).read_bytes()
            for root, each in ((undisturbed, trial), (killed, mine))
        ]
        assert weights[0] == weights[1]
    fronts = [
        {
            (trial.student.model_dump_json(), trial.metrics["validation_accuracy"])
            for trial in each.front
            if trial.student
        }
        for each in (theirs, ours)
    ]
    assert fronts[0] == fronts[1]
    assert theirs.verification is not None
    assert ours.verification is not None
    tested = [
        sorted(run.on_test.accuracy for run in each.runs if run.on_test)
        for each in (theirs.verification, ours.verification)
    ]
    assert tested[0] == tested[1]
