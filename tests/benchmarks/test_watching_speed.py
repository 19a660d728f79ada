"""How soon `kd-study status` shows a study of 5,000 trials, and what being watched costs the driver of one."""

import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from analysis.results import StudyResults, read_study
from study.progress import Progress
from study.watch.gauges import Instruments, ray_instruments
from study.watch.heartbeat import SECONDS_BETWEEN_BEATS
from study.watch.readings import StudyView, readings
from tests.benchmarks.large_study import make_study
from tests.benchmarks.scoreboard import Scoreboard
from trainables.study_paths import StudyPaths

NUM_TRIALS, NUM_EPOCHS = 5_000, 10
NUM_RUNS = 5
FROM_STATUS_WITHIN_S, FROM_STORE_WITHIN_S = 2.0, 6.0
MOST_OF_A_CORE = 0.05


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("large") / "study"
    make_study(directory, NUM_TRIALS, NUM_EPOCHS)
    return directory


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("source", "options", "limit_s"),
    [("status.json", (), FROM_STATUS_WITHIN_S), ("the store", ("--from-store",), FROM_STORE_WITHIN_S)],
    ids=["status.json", "store"],
)
def test_status_of_a_large_study_is_shown_soon(
    scoreboard: Scoreboard, study: Path, source: str, options: tuple[str, ...], limit_s: float
) -> None:
    """The whole command, its start included; the median, with files in the page cache."""
    command = [str(Path(sys.executable).with_name("kd-study")), "status", str(study), *options]
    seconds = median_seconds(lambda: check_shown(command))
    processor_s = median_seconds(lambda: check_shown(command), children_seconds)
    what = f"`kd-study status` of {NUM_TRIALS:,} trials of {NUM_EPOCHS} epochs, from {source}"
    scoreboard.shown(f"{what}: processor time", ours=f"{processor_s:.3g} s")
    row = scoreboard.at_most(what, value=seconds, limit=limit_s, unit="s")
    assert row.is_reached, row


@pytest.mark.benchmark
def test_being_watched_costs_a_driver_little(scoreboard: Scoreboard, study: Path) -> None:
    """Processor time of a heartbeat, of its own thread's interval."""
    results = read_study(study)
    progress = Progress(StudyPaths(study), results.record, Console(file=io.StringIO()), NUM_TRIALS)
    progress.show_trials(results.trials, NUM_TRIALS)
    instruments = ray_instruments()
    seconds = median_seconds(lambda: beat(progress, results, instruments), time.thread_time)
    what = f"all gauges of {NUM_TRIALS:,} trials, set every {SECONDS_BETWEEN_BEATS:g} s: of one core"
    row = scoreboard.at_most(what, value=seconds / SECONDS_BETWEEN_BEATS, limit=MOST_OF_A_CORE, unit="")
    assert row.is_reached, row


def check_shown(command: list[str]) -> None:
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert f"trials: {NUM_TRIALS} complete, of {NUM_TRIALS}" in shown


def beat(progress: Progress, results: StudyResults, instruments: Instruments) -> None:
    view = StudyView(
        study="study",
        status=progress.status(),
        trials=progress.trials,
        objectives=results.objectives,
        devices={"CPU": 2.0},
        held_by=lambda _: {"CPU": 1.0},
        images_per_epoch=lambda _: 1_000,
    )
    for reading in readings(view):
        instruments.gauges[reading.name].set(reading.value, dict(reading.tags))


def children_seconds() -> float:
    """Processor time of the commands that have ended, which does not hang on what else runs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def median_seconds(action: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    taken = []
    for _ in range(NUM_RUNS):
        began = clock()
        action()
        taken.append(clock() - began)
    return sorted(taken)[NUM_RUNS // 2]
