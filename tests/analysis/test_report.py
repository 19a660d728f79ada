"""The report: what it says of a study, and that the page stands alone."""

import logging
import re
from pathlib import Path

import pandas as pd
import pytest

from analysis import report
from analysis.report import write_report
from analysis.report_page import table_html
from analysis.report_tables import Table, front_table, level_table, size_table, versions_table
from analysis.report_words import asked, found, noise, progress
from analysis.results import read_study
from tests.analysis.page import Page
from tests.analysis.study_directory import MadeTrial, realistic_trials, write_study

KD = MadeTrial(method="kd", temperature=4.0, alpha=0.5, accuracy=0.98)


def page_of(study_dir: Path) -> Page:
    return Page(write_report(study_dir, images=False).read_text(encoding="utf-8"))


def test_report_and_tables_are_written_beside_the_study(writable_study: Path) -> None:
    assert write_report(writable_study, images=False) == writable_study / "report.html"
    results = read_study(writable_study)
    assert list(pd.read_csv(writable_study / "trials.csv")["number"]) == list(range(32))
    assert list(pd.read_csv(writable_study / "front.csv")["number"]) == [trial.number for trial in results.front]
    assert results.verification is not None
    verified = pd.read_csv(writable_study / "verified.csv")
    assert list(verified["test_accuracy"]) == [
        run.on_test and run.on_test.accuracy for run in results.verification.runs
    ]
    assert not list(writable_study.glob(".*"))


def test_page_is_well_formed_and_loads_nothing_from_elsewhere(writable_study: Path) -> None:
    page = page_of(writable_study)
    assert page.open == []
    assert all(
        address.startswith("#") or address in {"front.csv", "trials.csv", "verified.csv"} for address in page.addresses
    )


def test_plotly_is_in_the_page_once(writable_study: Path) -> None:
    text = write_report(writable_study, images=False).read_text(encoding="utf-8")
    assert len(re.findall(r"plotly\.js v\d", text)) == 1
    assert text.partition("</head>")[2].count("Plotly.newPlot(") == 10


def test_links_lead_to_parts_of_the_page(writable_study: Path) -> None:
    text = write_report(writable_study, images=False).read_text(encoding="utf-8")
    anchors = [address[1:] for address in Page(text).addresses if address.startswith("#")]
    assert anchors
    assert all(f'id="{anchor}"' in text for anchor in anchors)


def test_name_of_a_model_cannot_break_the_page(tmp_path: Path) -> None:
    study_dir = write_study(tmp_path, [MadeTrial(family="<script>x</script>", accuracy=0.98), MadeTrial()])
    page = page_of(study_dir)
    assert "<script>x</script>(width=4)" in page.text
    assert page.open == []


def test_failed_pictures_are_a_warning_and_the_report_stands(
    writable_study: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(report, "write_images", lambda *_: "no browser was found")
    with caplog.at_level(logging.WARNING):
        written = write_report(writable_study)
    assert written.is_file()
    assert "no browser was found" in caplog.text


def test_report_is_refused_where_there_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no study"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_words_name_the_objectives_and_what_was_asked_for(realistic_study: Path) -> None:
    (text,) = asked(read_study(realistic_study))
    assert "highest validation accuracy (validation_accuracy)" in text
    assert "lowest p50 latency" in text
    assert '32 trials of the space "mnist_cnn"' in text
    assert "cnn(width=32)" in text


def test_progress_counts_every_trial_once(realistic_study: Path) -> None:
    text = progress(read_study(realistic_study))
    complete, total = map(int, re.findall(r"(\d+) of (\d+) trials ran the full budget", text)[0])
    others = [int(number) for number in re.findall(r"(\d+) (?:stopped early|failed|still running)", text)]
    assert total == 31
    assert complete + sum(others) == total
    assert "1 proposal repeated an earlier trial" in text
    assert text.startswith("The search is not over")


def test_finished_search_is_not_called_unfinished(tmp_path: Path) -> None:
    text = progress(read_study(write_study(tmp_path, [MadeTrial(spans=((0.0, 30.0),))])))
    assert text == "1 of 1 trial ran the full budget. The search has taken 30 s."


def test_empty_study_says_that_nothing_has_started(tmp_path: Path) -> None:
    words = found(read_study(write_study(tmp_path, [], teacher=False, profiles=False)))
    assert words[0] == "No trial has started yet."
    assert "no front yet" in words[1]


def test_student_near_the_teacher_is_recommended_with_what_it_saves(tmp_path: Path) -> None:
    """Teacher: 34,432 parameters and 1.2 ms; width 8: 5,152 parameters."""
    trials = [MadeTrial(width=8, accuracy=0.99, latency_ms=0.3), MadeTrial(width=2, accuracy=0.95, latency_ms=0.1)]
    text = " ".join(found(read_study(write_study(tmp_path, trials))))
    assert "The smallest student within 0.5 points of it is trial 0 (width 8, labels only): 99.00 %" in text
    assert "99.00 % with 6.68 times fewer parameters and 4 times faster (p50 latency at batch 1)." in text


def test_distance_to_the_teacher_is_told_where_none_is_near(tmp_path: Path) -> None:
    text = " ".join(found(read_study(write_study(tmp_path, [MadeTrial(accuracy=0.95)]))))
    assert "No student comes within 0.5 points of it yet; the nearest is trial 0 (width 4, labels only), 4.30" in text


def test_noise_is_stated_for_the_best_accuracy(tmp_path: Path) -> None:
    """sqrt(0.98 x 0.02 / 5,000) = 0.198 points; twice that times the square root of 2 is 0.56."""
    (text,) = noise(read_study(write_study(tmp_path, [MadeTrial(accuracy=0.98)])))
    assert "5,000 validation images and one training seed" in text
    assert "standard error is 0.20 points" in text
    assert "below 0.56 points" in text


def test_noise_of_unknown_images_is_not_invented(tmp_path: Path) -> None:
    results = read_study(write_study(tmp_path, [MadeTrial(), MadeTrial(), KD, KD], config={}))
    assert noise(results) == []
    assert "different by an unknown share of noise at width 4 (+1.00 points)" in " ".join(found(results))
    assert size_table(results).rows[0][-1] == "unknown"


def test_front_table_lists_the_front_without_saying_anything_twice(realistic_study: Path) -> None:
    results = read_study(realistic_study)
    table = front_table(results)
    assert [int(row[0]) for row in table.rows] == [trial.number for trial in results.front]
    assert len(set(table.columns)) == len(table.columns)
    assert "width" not in table.columns
    assert {"temperature", "alpha", "learning_rate"} <= set(table.columns)


def test_levels_fall_back_to_parameters_where_no_objective_is_a_cost(tmp_path: Path) -> None:
    trials = [MadeTrial(width=2, accuracy=0.96), MadeTrial(width=8, accuracy=0.98)]
    table = level_table(read_study(write_study(tmp_path, trials, objectives=("validation_accuracy",))))
    assert [(row[0], row[3]) for row in table.rows] == [("96 %", "1,072"), ("98 %", "5,152")]


def test_versions_that_sources_agree_on_stand_once(realistic_study: Path) -> None:
    rows = versions_table(read_study(realistic_study)).rows
    assert ("torch", "study, profile, trials", "2.14.0") in rows
    assert ("device", "trials", "Example CPU") in rows
    assert "pid" not in {row[0] for row in rows}


def test_table_names_its_rows_and_columns_for_screen_readers() -> None:
    markup = table_html(Table("A caption", ("what", "value"), (("a", "1"), ("b <", "2"))))
    assert markup.count('<th scope="col">') == 2
    assert markup.count('<th scope="row">') == 2
    assert "b &lt;" in markup
    assert 'aria-label="A caption"' in markup


def test_empty_table_is_a_note() -> None:
    assert "A caption: nothing yet." in table_html(Table("A caption", ("what",), ()))


@pytest.mark.parametrize(
    "trials",
    [[], [MadeTrial(state="running", num_epochs=1, spans=((1.0, None),))], [MadeTrial(state="fail", accuracy=None)]],
    ids=["no trials", "running", "failed"],
)
def test_unfinished_study_gets_a_whole_report(tmp_path: Path, trials: list[MadeTrial]) -> None:
    page = page_of(write_study(tmp_path, trials, teacher=False, profiles=False))
    assert page.open == []
    assert page.num_tags["figure"] == 10
    assert "no front yet" in page.text


def test_three_objectives_get_a_whole_report(tmp_path: Path) -> None:
    objectives = ("validation_accuracy", "latency_p50_ms_batch1", "num_parameters")
    page = page_of(write_study(tmp_path, realistic_trials(), objectives=objectives))
    assert "lowest parameters (num_parameters)" in page.text
