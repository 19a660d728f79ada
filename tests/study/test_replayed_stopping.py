"""`kd-study replay RECORDING --into DIR`: a study's own search where all ends are known, kept for its report."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analysis.replayed import ReplayedStopping
from study.cli import app
from study.config import parse_config
from study.replayed_stopping import replay_into
from tests.analysis.stopped_trials import A_SEARCH
from tests.analysis.study_directory import write_study
from trainables.study_paths import StudyPaths
from trainables.whole_files import read_record

GRID = Path(__file__).parents[1] / "recorded" / "mnist-grid-0.json.gz"


def study_dir(root: Path, **search: Any) -> Path:
    """A study that looks for 12 students at random and halves."""
    asked = {"num_trials": 12, "sampler": "random", "early_stopping": "pareto_halving"} | search
    config = parse_config(
        {
            "name": "mine",
            "teacher": {"model": {"name": "cnn"}, "training": {"epochs": 1}},
            "space": {"name": "cnn_distillation"},
            "search": asked,
        },
        "mine",
    )
    return write_study(root, A_SEARCH, name="mine", config=config.model_dump(mode="json"))


def test_study_keeps_what_its_search_lost_and_its_report_shows_it(tmp_path: Path) -> None:
    root = study_dir(tmp_path)
    shown = replay_into(GRID, root, num_workers=2, num_seeds=2)
    kept = read_record(StudyPaths(root).replayed_stopping, ReplayedStopping)
    assert kept is not None
    assert (kept.recording, kept.num_recorded, kept.exact_fraction) == ("mnist-grid", 160, 1.0)
    assert [each.seed for each in kept.searches] == [0, 1]
    (summaries,) = shown.searches.values()
    for each, summary in zip(kept.searches, summaries, strict=True):
        assert (each.num_asked, each.full_epochs) == (12, 108.0)
        assert sum(stops.num_stopped for stops in each.stops) == summary.num_asked - summary.num_complete
        assert each.num_front_stopped == summary.num_front_stopped
        assert each.epochs == summary.epochs < each.full_epochs
    assert "Replayed 2 times over 160 students of mnist-grid" in StudyPaths(root).report_html.read_text("utf-8")


def test_study_that_stops_nothing_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    root = study_dir(tmp_path, early_stopping="none")
    with pytest.raises(ValueError, match=r'search\.early_stopping is "none": no student is stopped'):
        replay_into(GRID, root, num_workers=2, num_seeds=1)
    assert not StudyPaths(root).replayed_stopping.exists()


@pytest.mark.parametrize("also", [["--set", "search.sampler=tpe"], ["--save", "x.json.gz"]])
def test_into_takes_no_other_search_and_saves_nothing_else(tmp_path: Path, also: list[str]) -> None:
    said = CliRunner().invoke(app, ["replay", str(GRID), "--into", str(tmp_path), *also])
    assert said.exit_code == 2
    assert "it takes neither --set nor --save" in said.stderr
