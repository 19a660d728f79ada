"""How long a slot waits between one trial and the next, against Tune's default: a process for each trial."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
import ray

from study.cluster import connect
from study.resources import ResourcesConfig
from tests.benchmarks import step_times, usual_trial
from tests.benchmarks.interleaved import compare
from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.search_alone import run_search
from tests.benchmarks.timed_trial import TimedStudentTrial
from tests.factories import study_config, training_data

NUM_ROUNDS = 3
NUM_OUR_TRIALS = 8
NUM_PEER_TRIALS = 4


@pytest.fixture
def num_cpus() -> Iterator[int]:
    """A local cluster, and how many CPUs it has: every trial takes all of them, so that there is one slot."""
    with connect(ResourcesConfig(dashboard=False, object_store_mib=128), None, None):
        yield int(ray.cluster_resources()["CPU"])  # type: ignore[no-untyped-call]


@pytest.mark.benchmark
def test_next_trial_starts_many_times_sooner_than_by_default(
    scoreboard: Scoreboard, tmp_path: Path, num_cpus: int
) -> None:
    measured = compare(
        lambda: our_gap_s(tmp_path, num_cpus), lambda: peer_gap_s(tmp_path, num_cpus), num_rounds=NUM_ROUNDS
    )
    reused = peer_gap_s(tmp_path, num_cpus, reuse_actors=True)
    what = "start of a trial: previous trial's end to first line of training"
    ours = f"{measured.median_ours:.3f} s"
    scoreboard.shown(
        f"{what}, against a function trainable with reuse_actors",
        ours=ours,
        peer=f"{reused:.2f} s",
        ratio=reused / measured.median_ours,
    )
    is_soon_enough = scoreboard.at_most(what, value=measured.median_ours, limit=0.3, unit="s")
    is_sooner = scoreboard.ratio_at_least(
        f"{what}, against a function trainable (Tune's default)",
        ours=ours,
        peer=f"{measured.median_peer:.2f} s",
        ratio=1.0 / measured.median_ratio,
        minimum=20.0,
    )
    assert is_soon_enough.is_reached, is_soon_enough
    assert is_sooner.is_reached, is_sooner


def our_gap_s(folder: Path, num_cpus: int) -> float:
    """Middle gap of a search, as `kd-study run` searches."""
    directory = folder / f"ours-{time.monotonic_ns()}"
    config = study_config(
        resources={"cpus_per_trial": num_cpus}, search={"num_trials": NUM_OUR_TRIALS, "num_startup_trials": 2}
    )
    run_search(directory, config, training_data(), TimedStudentTrial)
    return median(step_times.gaps_s(step_times.read(directory / "times")))


def peer_gap_s(folder: Path, num_cpus: int, *, reuse_actors: bool = False) -> float:
    """Middle gap of the function trainable."""
    directory = folder / f"peer-{time.monotonic_ns()}"
    return median(
        usual_trial.run_trials(directory, num_trials=NUM_PEER_TRIALS, cpus=num_cpus, reuse_actors=reuse_actors)
    )
