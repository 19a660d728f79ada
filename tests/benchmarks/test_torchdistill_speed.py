"""How many images a second a student trains on under a live teacher, against torchdistill's own loop."""

import json
import subprocess
import time
from functools import cache
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
TIMEOUT_S = 600.0

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.skipif(
        not PYTHON.exists(), reason=f"torchdistill is not here: make {PYTHON.relative_to(TOP).parents[1]}/.installed"
    ),
]


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize(("method", "minimum"), [("kd", 1.3), ("attention", 1.2), ("hint", 1.2)])
def test_student_trains_on_more_images_a_second_than_in_torchdistill(
    scoreboard: Scoreboard, method: str, minimum: float, num_threads: int
) -> None:
    """The same networks, loss and optimiser; its data loader has as many workers as suit it best."""
    num_workers = best_num_workers(num_threads)
    ours = OurSide(pair.our_run(method))
    with fixed_num_threads(num_threads):
        first_loss = pair.our_run(method).train_step(torch.arange(pair.BATCH_SIZE)).item()
        ours.speeds()  # warmed up
        rounds = [(ours.speeds(), peer_speeds(method, num_threads, num_workers)) for _ in range(NUM_ROUNDS)]
    assert [peer["first_loss"] for _, peer in rounds] == [pytest.approx(first_loss, rel=1e-4)] * NUM_ROUNDS
    measured, cpu = (
        Comparison(tuple(our[name] for our, _ in rounds), tuple(peer[name] for _, peer in rounds))
        for name in ("images_per_s", "images_per_cpu_s")
    )
    workers = f"{num_workers} workers" if num_workers else "no worker"
    what = f"{method}, wrn_40_2 -> wrn_16_2, crop and flip, batch 64, {num_threads} thread(s)"
    scoreboard.shown(
        f"{what}: per second of the training process's CPU time",
        ours=f"{cpu.median_ours:.1f} images/s",
        peer=f"{cpu.median_peer:.1f} images/s",
        ratio=cpu.median_ratio,
    )
    row = scoreboard.ratio_at_least(
        f"{what}, against torchdistill ({workers})",
        ours=f"{measured.median_ours:.1f} images/s",
        peer=f"{measured.median_peer:.1f} images/s",
        ratio=measured.median_ratio,
        minimum=minimum,
    )
    assert row.is_reached, row


class OurSide:
    """A quarter of an epoch at a time."""

    def __init__(self, run: DistillationRun) -> None:
        self._run = run
        self._reached = 0.0

    def speeds(self) -> dict[str, float]:
        self._reached += NUM_STEPS * pair.BATCH_SIZE / pair.NUM_IMAGES
        started, cpu_started = time.perf_counter(), time.process_time()
        num_images = self._run.run_until(self._reached).num_images
        took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
        return {"images_per_s": num_images / took_s, "images_per_cpu_s": num_images / cpu_s}


@cache
def best_num_workers(num_threads: int) -> int:
    """The data loader does the same for every method."""
    speeds = {each: peer_speeds("kd", num_threads, each)["images_per_s"] for each in NUM_WORKERS}
    return max(speeds, key=speeds.__getitem__)


def peer_speeds(method: str, num_threads: int, num_workers: int) -> dict[str, float]:
    """In a process of its own environment."""
    command = [str(PYTHON), "-W", "ignore", "-m", "tests.benchmarks.torchdistill_peer", method]
    given = {"threads": num_threads, "workers": num_workers, "steps": NUM_STEPS}
    command += [f"--num-{name}={value}" for name, value in given.items()]
    printed = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert printed.returncode == 0, printed.stderr
    speeds: dict[str, float] = json.loads(printed.stdout)
    return speeds
