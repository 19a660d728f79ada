"""What a trial costs its driver where nothing is trained: our whole search stage against Ray Tune's own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.driver_scale import NUM_SLOTS, Mark
from tests.benchmarks.scoreboard import Scoreboard

TOP = Path(__file__).parents[2]
COUNTS = (100, 1_000)
LARGE = 5_000
JUDGED = 1_000
MAXIMUM = 1.5
WHAT = f"driver's processor time a trial, instant trials on {NUM_SLOTS} workers, random sampler"
TWO_WRITES = "against Tune's own with two writes a trial"
PEERS = {
    "tune_alone": "Tune's own random search, nothing stored",
    "optuna_search": "Tune's own OptunaSearch, random sampler, the same kind of journal",
}


@pytest.mark.benchmark
def test_driver_spends_little_more_on_a_trial_than_ray_tunes_own(scoreboard: Scoreboard, tmp_path: Path) -> None:
    """The peer stores what ours does in the fewest writes: one an epoch, one for all facts. It does nothing else."""
    whole, ours = run_driver("ours", tmp_path, COUNTS)
    peers_whole, peer = run_driver("tune_with_store", tmp_path, COUNTS)
    for count in COUNTS:
        show(scoreboard, f"{WHAT}, while trials run, {count:,} of them, {TWO_WRITES}", ours[count], peer[count])
    for kind, name in PEERS.items():
        show(scoreboard, f"{WHAT}, {JUDGED:,} trials, against {name}", whole, run_driver(kind, tmp_path, (JUDGED,))[0])
    row = scoreboard.ratio_at_most(
        f"{WHAT}, the whole search, {JUDGED:,} trials, {TWO_WRITES}",
        ours=text(whole),
        peer=text(peers_whole),
        ratio=ratio(whole, peers_whole),
        maximum=MAXIMUM,
    )
    assert row.is_reached, row


@pytest.mark.benchmark
def test_cost_of_a_trial_at_thousands(scoreboard: Scoreboard, tmp_path: Path) -> None:
    """For information: what grows with the number of trials, here and in Tune itself."""
    whole, ours = run_driver("ours", tmp_path, (LARGE,))
    peers_whole, peer = run_driver("tune_with_store", tmp_path, (LARGE,))
    show(scoreboard, f"{WHAT}, while trials run, {LARGE:,} of them, {TWO_WRITES}", ours[LARGE], peer[LARGE])
    show(scoreboard, f"{WHAT}, the whole search, {LARGE:,} trials, {TWO_WRITES}", whole, peers_whole)


def run_driver(kind: str, folder: Path, counts: tuple[int, ...]) -> tuple[Mark, dict[int, Mark]]:
    """What it spent on the whole search, and by count while trials ran."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tests.benchmarks.driver_scale",
        kind,
        str(folder / f"{kind}-{max(counts)}"),
    ]
    done = subprocess.run([*command, *map(str, counts)], cwd=TOP, check=True, stdout=subprocess.PIPE, text=True)
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]  # Ray writes warnings beside them
    *marks, whole = [Mark(**json.loads(line)) for line in told]
    return whole, {mark.num_trials: mark for mark in marks}


def show(scoreboard: Scoreboard, what: str, ours: Mark, peer: Mark) -> None:
    scoreboard.shown(what, ours=text(ours), peer=text(peer), ratio=ratio(ours, peer))


def text(mark: Mark) -> str:
    return f"{mark.cpu_ms_a_trial:.1f} ms ({mark.wall_ms_a_trial:.0f} ms passed)"


def ratio(ours: Mark, peer: Mark) -> float:
    return ours.cpu_ms_a_trial / peer.cpu_ms_a_trial
