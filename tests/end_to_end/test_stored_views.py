"""A study whose teacher is never run beside a student, though images are shifted: its logits on views are stored."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from analysis.results import read_study
from study.cli import app
from tests.end_to_end.conftest import SMALL, overrides, run
from trainables.records import OutputsRecord, TrialState
from trainables.study_paths import StudyPaths

FIELDS = (
    *(each for each in SMALL if not each.startswith("search.")),
    "search.num_trials=4",
    "verify.max_students=1",
    "verify.seeds=1",
    "space.options.shift_pixels=1",
    'teacher.outputs="stored"',
)


def test_views_are_stored_once_for_search_and_extension_and_the_report_says_so(tmp_path: Path) -> None:
    """Two of four trials are kd's, in 2 epochs: 2 views where a live teacher makes 4 passes; of six trials three."""
    directory = tmp_path / "study"
    plan = CliRunner().invoke(app, ["run", "smoke", "--dir", str(directory), "--dry-run", *overrides(FIELDS)])
    told = "teacher outputs: stored for 2 views, 47 KiB: 2 times fewer teacher passes than live"
    assert told in plan.output
    result = run("run", "smoke", "--dir", str(directory), *overrides(FIELDS))
    assert result.returncode == 0, result.stderr
    assert told in result.stdout
    assert "view 2 of 2" in result.stdout

    paths = StudyPaths(directory)
    tables = sorted(paths.teacher.views.iterdir())  # those of the verification's fresh seed are gone
    assert [np.load(each).shape for each in tables] == [(600, 10)] * 2
    results = read_study(directory)
    assert [trial.state for trial in results.trials] == [TrialState.COMPLETE] * 4
    assert results.outputs == OutputsRecord(num_views=2, num_bytes=48_000, replaced_passes=4.0, live_passes=0.0)
    assert results.verification is not None
    assert all(each.failure is None for each in results.verification.runs)
    report = paths.report_html.read_text("utf-8")
    assert "stored before the search, for 2 views of every training image (47 KiB)" in report
    assert "there they were stored for each seed" in report

    made_at = [each.stat().st_mtime_ns for each in tables]
    again = run("extend", str(directory), "--trials", "6")
    assert again.returncode == 0, again.stderr
    assert "3 times fewer teacher passes than live (2 of them are there already)" in again.stdout
    assert [each.stat().st_mtime_ns for each in tables] == made_at
    assert [trial.state for trial in read_study(directory).trials] == [TrialState.COMPLETE] * 6
