"""What a trial's process holds at most above its imports, as a trial of a search by Tune."""

import json
from pathlib import Path

import pytest

from study.cluster import connect
from study.resources import ResourcesConfig
from tests.benchmarks.scoreboard import Scoreboard
from tests.benchmarks.search_alone import run_search
from tests.benchmarks.watched_trial import WatchedStudentTrial
from tests.factories import study_config
from trainables.config import DatasetConfig
from trainables.data import load
from trainables.data.split import split

LIMIT_MB = 350.0
NUM_TRIALS = 4


@pytest.mark.benchmark
def test_trial_process_stays_small(scoreboard: Scoreboard, tmp_path: Path) -> None:
    """One epoch on all 55,000 images: as many processes as there are slots, each used again; the largest counts."""
    options = {"widths": [32], "batch_sizes": [128], "epochs": 1}
    resources = ResourcesConfig(dashboard=False, object_store_mib=256)
    with connect(resources, None, None):
        config = study_config(space={"name": "cnn_distillation", "options": options}, search={"num_trials": NUM_TRIALS})
        run_search(tmp_path / "study", config, split(load("mnist"), DatasetConfig()), WatchedStudentTrial)
    noted = [json.loads(line) for line in (tmp_path / "study" / "memory").read_text("utf-8").splitlines()]
    assert [each["failure"] for each in noted] == [None] * NUM_TRIALS
    largest = max(noted, key=lambda each: float(each["all"]))
    what = "peak memory of a trial's process above its imports, cnn width 32, batch 128"
    scoreboard.shown(f"{what}: without the pages of the object store", ours=f"{largest['private']:.0f} MB")
    scoreboard.shown(f"{what}: pages of the object store, shared by all trials", ours=f"{largest['shared']:.0f} MB")
    scoreboard.shown("resident when a trial is set up, imports and all", ours=f"{largest['before']:.0f} MB")
    row = scoreboard.at_most(f"{what}: in all", value=largest["all"], limit=LIMIT_MB, unit="MB")
    assert row.is_reached, row
