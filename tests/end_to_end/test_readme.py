"""The README's example of a study of one's own in all its parts, run as it is printed."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.__main__ import app as analysis_app
from analysis.results import read_study
from tests.end_to_end.conftest import environment, kd_study, overrides
from trainables.records import TrialState

README = Path(__file__).parents[2] / "README.md"
FASTER = (
    "resources.dashboard=false",
    "resources.object_store_mib=100",
    "profile.inference_batch_sizes=[1]",
    "profile.seconds_per_batch_size=0.1",
    "profile.seconds_per_training_batch_size=0.1",
    "profile.max_attempts=1",
)


def block(first_line: str) -> str:
    """The fenced block of the README that starts with a comment naming its file."""
    match = re.search(rf"```\w+\n({re.escape(first_line)}.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None, f"the README has no block that begins with {first_line}"
    return match.group(1)


@pytest.fixture(scope="module")
def own_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the study that the README's files make."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("my_nets.py", "my_data.py", "my_losses.py", "my_spaces.py", "my_metrics.py", "my_study.toml"):
        printed = block(f"# {name}")
        assert printed.count("\n") < 30
        (folder / name).write_text(printed, encoding="utf-8")
    command = kd_study("run", "my_study.toml", "--dir", "out", *overrides(FASTER))
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment(), cwd=folder
    )
    assert result.returncode == 0, result.stderr
    return folder / "out"


def test_own_network_data_method_space_and_metric_from_the_readme_are_a_study(own_study: Path) -> None:
    trials = read_study(own_study).trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    methods = Counter(trial.parameters["method"] for trial in trials)
    assert methods == {"labels": 2, "kd": 2, "my_losses:logit_mse": 2}
    assert {trial.parameters["width"] for trial in trials} == {1, 2}
    assert {trial.student.model.name for trial in trials if trial.student} == {"my_nets:small"}
    assert all(0.0 < (trial.metrics["validation_brier_score"] or 0.0) < 2.0 for trial in trials)


def test_study_is_read_where_its_own_metric_is_not(tmp_path: Path, own_study: Path) -> None:
    moved = shutil.copytree(own_study, tmp_path / "moved")
    for command in (
        ["report", moved, "--no-images"],
        ["pareto", moved, "--y", "validation_brier_score", "--out", tmp_path / "front.csv"],
    ):
        result = CliRunner().invoke(analysis_app, [str(each) for each in command])
        assert result.exit_code == 0, result.output
    front = pd.read_csv(tmp_path / "front.csv")
    assert front["validation_brier_score"].is_monotonic_decreasing  # from the fastest on
    assert pd.read_csv(moved / "verified.csv")["test_brier_score"].between(0.0, 2.0).all()
    assert "Brier score on the test images" in (moved / "report.html").read_text(encoding="utf-8")
