"""How much of its slots the search of the preset `mnist` puts into training, read from the study it leaves."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.results import read_study
from study.config import parse_config
from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.slot_use import slot_use
from trainables.data import load
from trainables.data.split import split

MINIMUM = 0.7
# One epoch for the teacher: how good it is does not change how long the search takes.
OVERRIDES = ("teacher.training.epochs=1",)


@pytest.mark.benchmark
def test_search_of_mnist_puts_most_of_its_slots_into_training(scoreboard: Scoreboard, tmp_path: Path) -> None:
    """Against the speeds that the same run measures alone, unless KD_STUDY_CACHE names kept ones."""
    directory = tmp_path / "mnist"
    command = [str(Path(sys.executable).with_name("kd-study")), "run", "mnist", "--dir", str(directory)]
    for override in OVERRIDES:
        command += ["--set", override]
    environment = {"KD_STUDY_CACHE": str(tmp_path / "profiles"), **os.environ}
    subprocess.run(command, check=True, env=environment)
    results = read_study(directory)
    assert results.profiles is not None
    dataset = parse_config(results.record.config, str(directory)).dataset
    num_train_images = len(split(load(dataset.name), dataset).train)
    used = slot_use(results.trials, results.profiles.students, num_train_images)
    slot_s = used.num_slots * used.wall_s
    what = f"search of preset mnist, {len(results.trials)} trials on {used.num_slots} slots"
    scoreboard.shown(f"{what}: slots in training as it went", ours=f"{used.training_s / slot_s:.2f}", peer="1 (ideal)")
    scoreboard.shown(f"{what}: slots in evaluation", ours=f"{used.evaluation_s / slot_s:.2f}")
    speeds = [speed for profiled in results.profiles.students.values() for speed in profiled.trainings]
    num_stable = sum(speed.is_stable for speed in speeds)  # a speed measured on a disturbed machine flatters the search
    scoreboard.shown(f"{what}: speeds alone that were stable", ours=f"{num_stable} of {len(speeds)}")
    row = scoreboard.ratio_at_least(
        f"{what}: training time alone / slots x wall time",
        ours=f"{used.alone_s:.0f} s of {slot_s:.0f} s",
        peer="all of it (ideal)",
        ratio=used.fraction,
        minimum=MINIMUM,
    )
    assert row.is_reached, row
