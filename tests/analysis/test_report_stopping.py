"""What the report says of early stopping, and that it says nothing where there was none."""

from pathlib import Path
from typing import Any

import pytest

from analysis.report import write_report
from analysis.report_stopping import rung_table, stopping_asked, stopping_words
from analysis.report_words import asked, found, progress
from analysis.results import StudyResults, read_study
from tests.analysis.page import Page
from tests.analysis.stopped_trials import A_SEARCH, STOP, decision, in_full, stopped, waiting
from tests.analysis.study_directory import MadeTrial, study_config, write_study

HALVING: dict[str, Any] = {
    "rungs": None, "first_rung": 0.5, "least_gain": 1e-3, "keep_fraction": 1 / 3, "pauses": True,
    "spares_baselines": False,
}  # fmt: skip
SEARCH: dict[str, Any] = {"num_trials": 6, "early_stopping": "pareto_halving", "halving": HALVING}


def study(root: Path, trials: list[MadeTrial]) -> StudyResults:
    return read_study(write_study(root, trials, config=study_config() | {"search": SEARCH}))


def test_study_without_early_stopping_is_told_nothing_of_it(realistic_study: Path) -> None:
    results = read_study(realistic_study)
    assert stopping_words(results) == []
    assert rung_table(results).rows == ()
    assert "Early stopping" not in " ".join([*asked(results), *found(results)])


def test_what_was_asked_of_early_stopping_is_told_with_its_rungs(tmp_path: Path) -> None:
    (text,) = asked(study(tmp_path, A_SEARCH))
    assert "after epoch 0.5 and each doubling of that a student goes on" in text
    assert "at least 0.1 % to the hypervolume, and otherwise is paused, and may go on later." in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rungs": [0.25, 1.0]}, "after epoch 0.25 and 1 a student"),
        ({"pauses": False}, "otherwise is stopped."),
        ({"spares_baselines": True}, "; baselines are spared."),
    ],
)
def test_settings_of_early_stopping_are_told(changed: dict[str, Any], words: str) -> None:
    (text,) = stopping_asked(SEARCH | {"halving": HALVING | changed})
    assert words in text


def test_words_count_who_was_stopped_where_and_who_went_on(tmp_path: Path) -> None:
    text = stopping_words(study(tmp_path, A_SEARCH))[0]
    where = "(1 after epoch 0.5, 1 after epoch 1 and 1 after epoch 2)"
    assert f"judged 6 students at 3 rungs: 3 were paused for good {where} and 1 went on after a pause." in text
    assert "Stopped were 2 of 4 of labels only and 1 of 2 of kd (distilled)" in text


def test_words_tell_the_epochs_saved_and_the_others_that_were_not_trained(tmp_path: Path) -> None:
    text = stopping_words(study(tmp_path, [*A_SEARCH, waiting(0.5)]))[1]
    assert "trained for 12.5 of the 28 epochs" in text
    assert "stopping saved 8.5 epochs (30 %), 3.5 are still to be decided, 3.5 are lost to failures" in text
    assert text.endswith("The seconds that it saved are unknown.")


def test_words_tell_the_seconds_saved_where_trials_measured_them(tmp_path: Path) -> None:
    """In full 2 x 4 x (10 + 1) s; trained were 4 epochs in 5 reports (45 s) and 2 in 3 (23 s)."""
    text = stopping_words(study(tmp_path, [in_full(seconds=(10.0, 1.0)), stopped(2.0, seconds=(10.0, 1.0))]))[1]
    assert "it saved about 20 s of 88 s" in text


def test_validations_that_took_more_than_was_saved_are_called_a_cost(tmp_path: Path) -> None:
    text = stopping_words(study(tmp_path, [in_full(seconds=(1.0, 50.0))]))[1]
    assert "it cost about 50 s of" in text


def test_largest_expected_gain_is_of_those_whose_end_could_be_projected(tmp_path: Path) -> None:
    """Trial 3 shows 90 % of a rung where two had ended: that is a place, not an expectation."""
    text = stopping_words(study(tmp_path, A_SEARCH))[2]
    assert "trial 4 (width 8, kd) was expected to add most" in text
    assert "0.06 % of the hypervolume of the 12 that had come there, 5 of them to their end; 0.1 % was asked" in text
    assert "1 of them was judged before 3 that had come to the rung had ended" in text
    assert "none of the stopped students was trained to its end" in text
    assert "kd-study replay" in text


def test_nothing_is_said_to_be_lost_where_none_was_stopped(tmp_path: Path) -> None:
    assert "replay" not in " ".join(stopping_words(study(tmp_path, [in_full(), in_full(width=8)])))


def test_stops_without_pauses_are_called_stops(tmp_path: Path) -> None:
    made = MadeTrial(state="pruned", full_epochs=4, told_at=(0.5,), decisions=[decision(0.5, STOP)])
    results = study(tmp_path, [made])
    assert "1 was stopped (1 after epoch 0.5)" in stopping_words(results)[0]
    assert rung_table(results).columns[-1] == "stopped"


def test_table_has_a_row_for_each_rung(tmp_path: Path) -> None:
    table = rung_table(study(tmp_path, A_SEARCH))
    assert table.columns == (
        "after",
        "came",
        "went on at once",
        "went on after a pause",
        "still paused",
        "paused for good",
    )
    assert table.rows == (
        ("epoch 0.5", "6", "4", "1", "0", "1"),
        ("epoch 1", "4", "3", "0", "0", "1"),
        ("epoch 2", "3", "2", "0", "0", "1"),
    )


def test_paused_trials_are_not_called_running(tmp_path: Path) -> None:
    running = MadeTrial(state="running", num_epochs=1, full_epochs=4)
    text = progress(study(tmp_path, [in_full(), waiting(0.5), running]))
    assert "1 of 3 trials ran the full budget (1 paused and 1 still running)." in text


def test_report_shows_rungs_and_their_figure(tmp_path: Path) -> None:
    root = write_study(tmp_path, A_SEARCH, config=study_config() | {"search": SEARCH})
    page = Page(write_report(root, images=False).read_text(encoding="utf-8"))
    assert page.open == []
    assert "What was stopped where?" in page.text
    assert "What became of the students that came to each rung" in page.text
    assert page.num_tags["figure"] == 11
