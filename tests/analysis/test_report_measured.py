"""How the numbers came to be: what the report says about devices, drift and dates."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from analysis.report_measured import measured
from analysis.report_tables import measured_table
from analysis.results import read_study
from tests.analysis.study_directory import MadeTrial, write_study


def test_measuring_is_told_with_device_runs_and_what_is_unknown(realistic_study: Path) -> None:
    text = " ".join(measured(read_study(realistic_study)))
    assert "Example CPU (cpu, 1 thread, float32), 70 GFLOP/s" in text
    assert "batch 1, 8 and 64" in text
    assert "700 runs" in text
    assert "at most 0.8 %" in text
    assert "2 measurements of 18 did not settle" in text
    assert "GPU utilisation is unknown" in text
    assert "Energy is unknown" in text


def test_measuring_on_a_gpu_does_not_speak_of_a_missing_one(tmp_path: Path) -> None:
    text = " ".join(measured(read_study(write_study(tmp_path, [MadeTrial()], has_gpu=True))))
    assert "Example GPU (cuda" in text
    assert "no GPU" not in text


def test_unmeasured_study_says_so(tmp_path: Path) -> None:
    text = " ".join(measured(read_study(write_study(tmp_path, [MadeTrial()], profiles=False))))
    assert "have not been measured yet" in text


def test_drift_is_explained_with_the_wall_time_it_was_taken_from(realistic_study: Path) -> None:
    text = " ".join(measured(read_study(realistic_study)))
    assert "reference network runs at its undisturbed speed" in text
    assert "wall time as observed is p50 x (1 + drift)" in text


def test_profile_older_than_the_study_is_called_kept(tmp_path: Path) -> None:
    """The fixture measures in the moment in which the study is created."""
    results = read_study(write_study(tmp_path, [MadeTrial(width=2), MadeTrial(width=8)]))
    rows = [(name, "2025-05-05 12:00 UTC", "this study") for name in ("width 2", "width 8", "teacher")]
    assert list(measured_table(results).rows) == rows
    later = results.record.model_copy(update={"created_at": results.record.created_at + timedelta(seconds=1)})
    assert {row[2] for row in measured_table(replace(results, record=later)).rows} == {"an earlier study, kept"}
