"""What the report says of bounds that students had to keep."""

from pathlib import Path

from analysis.report_words import asked, progress
from analysis.results import read_study
from tests.analysis.study_directory import MadeTrial, study_config, write_study


def test_bounds_are_told_with_what_was_asked(tmp_path: Path) -> None:
    config = study_config()
    config["search"] = {**config["search"], "constraints": {"latency_p50_ms_batch1": "<= 0.3"}}
    results = read_study(write_study(tmp_path, [MadeTrial()], config=config))
    assert "They had to keep latency_p50_ms_batch1 <= 0.3." in asked(results)[0]


def test_refused_proposals_are_no_trials_and_those_that_broke_a_bound_are_told(tmp_path: Path) -> None:
    refused = MadeTrial(state="pruned", num_epochs=0, breaks="latency_p50_ms_batch1 <= 0.1")
    broken = MadeTrial(accuracy=0.9, breaks="validation_accuracy >= 0.95")
    results = read_study(write_study(tmp_path, [MadeTrial(), MadeTrial(), broken, refused, refused]))
    text = progress(results)
    assert text.startswith("3 of 3 trials ran the full budget.")
    assert "2 proposals were known to break a constraint and not trained." in text
    assert "1 student turned out to break a constraint" in text
    assert [trial.number for trial in results.front] == [0, 1]
