"""How many images a second a student trains on, its teacher live or looked up, against torchdistill's own loop."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import pytest
import torch

from tests.benchmarks import wide_resnet_pair as pair
from tests.benchmarks.interleaved import Comparison
from tests.benchmarks.scoreboard import Scoreboard
from trainables.hardware.device import fixed_num_threads
from trainables.training import DistillationRun

TOP = Path(__file__).parents[2]
PYTHON = TOP / ".bench-torchdistill" / "venv" / "bin" / "python"
NUM_ROUNDS, NUM_STEPS = 5, 8  # of the NUM_IMAGES / BATCH_SIZE = 32 of an epoch
NUM_WORKERS = (0, 2, 16)  # its default, one a core here, and those of its configurations
NUM_TRIALS = 24  # that learn from the logits of one study's views: each bears that share of storing them
TIMEOUT_S = 600.0
PER_CPU_S = "per second of the training process's CPU time"

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(
        not PYTHON.exists(), reason=f"torchdistill is not here: make {PYTHON.relative_to(TOP).parents[1]}/.installed"
    ),
]

Speeds = dict[str, float]


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("method", ["attention", "hint"])
def test_student_trains_on_more_images_a_second_than_in_torchdistill(
    scoreboard: Scoreboard, method: str, num_threads: int
) -> None:
    """The same networks, loss and optimiser; its data loader has as many workers as suit it best."""
    live = OurSide(pair.our_run(method))
    with fixed_num_threads(num_threads):
        live.speeds()  # warmed up
        rounds = measured(method, num_threads, {"live": live.speeds})
    target(scoreboard, what(method, num_threads), rounds["live"], rounds["peer"], minimum=1.2)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_trial_of_a_study_trains_on_more_images_a_second_than_in_torchdistill(
    scoreboard: Scoreboard, num_threads: int
) -> None:
    """The peer runs its teacher in every training: of augmented images it stores nothing. Our live one is shown."""
    with fixed_num_threads(num_threads):
        logits_NC = pair.first_view_logits()
        live, stored = OurSide(pair.our_run("kd")), OurSide(pair.our_run_on_stored_views("kd", logits_NC))
        assert stored.speeds()["train_loss"] == pytest.approx(live.speeds()["train_loss"], rel=1e-4)  # warmed up
        rounds = measured("kd", num_threads, {"live": live.speeds, "stored": stored.speeds, "storing": storing_speeds})
    of_a_trial = [with_its_share(*each) for each in zip(rounds["stored"], rounds["storing"], strict=True)]
    named = what("kd", num_threads)
    shown(scoreboard, f"{named}, live teacher", rounds["live"], rounds["peer"])
    shown(scoreboard, f"{named}, stored views, storing them left out", rounds["stored"], rounds["peer"])
    share = f"stored views, 1/{NUM_TRIALS} of storing them counted in: a study of {NUM_TRIALS} such trials"
    target(scoreboard, f"{named}, {share}", of_a_trial, rounds["peer"], minimum=1.3)


def measured(method: str, num_threads: int, ours: Mapping[str, Callable[[], Speeds]]) -> dict[str, list[Speeds]]:
    """Each of ours and the peer in turns; both sides' first batch has the same loss."""
    num_workers = best_num_workers(num_threads)
    first_loss = pair.our_run(method).train_step(torch.arange(pair.BATCH_SIZE)).item()
    sides: dict[str, Callable[[], Speeds]] = {**ours, "peer": partial(peer_speeds, method, num_threads, num_workers)}
    rounds = [{name: side() for name, side in sides.items()} for _ in range(NUM_ROUNDS)]
    assert [each["peer"]["first_loss"] for each in rounds] == [pytest.approx(first_loss, rel=1e-4)] * NUM_ROUNDS
    return {name: [each[name] for each in rounds] for name in sides}


def with_its_share(stored: Speeds, storing: Speeds) -> Speeds:
    """A trial's images a second, where the time of storing the views is shared by `NUM_TRIALS` trials."""
    return {
        name: 1.0 / (1.0 / stored[name] + 1.0 / (NUM_TRIALS * storing[name]))
        for name in ("images_per_s", "images_per_cpu_s")
    }


def storing_speeds() -> Speeds:
    """Of the teacher on every image of a view."""
    started, cpu_started = time.perf_counter(), time.process_time()
    num_images = len(pair.first_view_logits())
    return speeds_of(num_images, started, cpu_started)


def what(method: str, num_threads: int) -> str:
    return f"{method}, wrn_40_2 -> wrn_16_2, crop and flip, batch 64, {num_threads} thread(s)"


def compared(ours: Sequence[Speeds], peer: Sequence[Speeds], name: str) -> Comparison:
    return Comparison(tuple(each[name] for each in ours), tuple(each[name] for each in peer))


def texts(each: Comparison) -> dict[str, str]:
    return {"ours": f"{each.median_ours:.1f} images/s", "peer": f"{each.median_peer:.1f} images/s"}


def shown(scoreboard: Scoreboard, named: str, ours: Sequence[Speeds], peer: Sequence[Speeds]) -> None:
    by_clock, cpu = (compared(ours, peer, name) for name in ("images_per_s", "images_per_cpu_s"))
    scoreboard.shown(named, **texts(by_clock), ratio=by_clock.median_ratio)
    scoreboard.shown(f"{named}: {PER_CPU_S}", **texts(cpu), ratio=cpu.median_ratio)


def target(
    scoreboard: Scoreboard, named: str, ours: Sequence[Speeds], peer: Sequence[Speeds], *, minimum: float
) -> None:
    by_clock, cpu = (compared(ours, peer, name) for name in ("images_per_s", "images_per_cpu_s"))
    scoreboard.shown(f"{named}: {PER_CPU_S}", **texts(cpu), ratio=cpu.median_ratio)
    row = scoreboard.ratio_at_least(
        f"{named}, against torchdistill with the workers that suit it best",
        **texts(by_clock),
        ratio=by_clock.median_ratio,
        minimum=minimum,
    )
    assert row.is_reached, row


class OurSide:
    """A quarter of an epoch at a time."""

    def __init__(self, run: DistillationRun) -> None:
        self._run = run
        self._reached = 0.0

    def speeds(self) -> Speeds:
        self._reached += NUM_STEPS * pair.BATCH_SIZE / pair.NUM_IMAGES
        started, cpu_started = time.perf_counter(), time.process_time()
        trained = self._run.run_until(self._reached)
        return speeds_of(trained.num_images, started, cpu_started) | {"train_loss": trained.train_loss}


def speeds_of(num_images: int, started: float, cpu_started: float) -> Speeds:
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    return {"images_per_s": num_images / took_s, "images_per_cpu_s": num_images / cpu_s}


@cache
def best_num_workers(num_threads: int) -> int:
    """The data loader does the same for every method."""
    speeds = {each: peer_speeds("kd", num_threads, each)["images_per_s"] for each in NUM_WORKERS}
    return max(speeds, key=speeds.__getitem__)


def peer_speeds(method: str, num_threads: int, num_workers: int) -> Speeds:
    """In a process of its own environment."""
    command = [str(PYTHON), "-W", "ignore", "-m", "tests.benchmarks.torchdistill_peer", method]
    given = {"threads": num_threads, "workers": num_workers, "steps": NUM_STEPS}
    command += [f"--num-{name}={value}" for name, value in given.items()]
    printed = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert printed.returncode == 0, printed.stderr
    speeds: Speeds = json.loads(printed.stdout)
    return speeds
