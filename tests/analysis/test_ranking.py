"""The ranking of methods: paired by seed, corrected for all comparisons, and read out as it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.plots import report_figures
from analysis.plots_ranking import ranking_figure
from analysis.ranking import budgets, over_networks, ranking
from analysis.report import write_report
from analysis.report_ranking import ranking_tables, ranking_words
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import MadeTrial, write_study
from tests.verifications import verification
from trainables.study_paths import StudyPaths
from trainables.verified import Role
from trainables.whole_files import write_record

# Errors out of 10,000 by seed, at widths 2 and 8.
LABELS, KD, ATTENTION = (300, 310, 305), (290, 301, 294), (200, 214, 203)
LABELS_8, KD_8, ATTENTION_8 = (120, 130, 125), (110, 118, 117), (118, 116, 112)
METHODS = ("labels", "kd", "attention")


def study(root: Path, errors: Mapping[int, Sequence[Sequence[int | None]]]) -> StudyResults:
    """A study whose methods, by width, made so many errors with each fresh seed; None: that run diverged."""
    made = [MadeTrial(width=width, method=name) for width, each in errors.items() for name in METHODS[: len(each)]]
    results = read_study(write_study(root, made))
    flat = [each for rows in errors.values() for each in rows]
    sides = {
        (trial.number, Role.BEST): (
            trial.student,
            [None if count is None else 1.0 - count / 10_000 for count in counts],
        )
        for trial, counts in zip(results.trials, flat, strict=True)
        if trial.student is not None
    }
    best_of = {"trials": (), "best_of": ("method", "width")}
    write_record(StudyPaths(root).verification_json, verification(sides).model_copy(update=best_of))
    return read_study(root)


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    return study(tmp_path, {2: (LABELS, KD, ATTENTION), 8: (LABELS_8, KD_8, ATTENTION_8)})


def p_value(first: Sequence[int], second: Sequence[int]) -> float:
    return float(stats.ttest_rel(first, second).pvalue)


def test_methods_stand_by_their_mean_accuracy_and_networks_by_their_size(results: StudyResults) -> None:
    assert {key: [each.method for each in row] for key, row in ranking(results).items()} == {
        "cnn(width=2)": ["attention", "kd", "labels"],
        "cnn(width=8)": ["kd", "attention", "labels"],
    }


def test_difference_from_kd_is_paired_by_seed_and_corrected_for_all_networks(results: StudyResults) -> None:
    """Holm over the four comparisons with kd: the smallest p value times four, and so on, never falling."""
    raw = {
        ("cnn(width=2)", "labels"): p_value(LABELS, KD),
        ("cnn(width=2)", "attention"): p_value(ATTENTION, KD),
        ("cnn(width=8)", "labels"): p_value(LABELS_8, KD_8),
        ("cnn(width=8)", "attention"): p_value(ATTENTION_8, KD_8),
    }
    least, expected = 0.0, {}
    for rank, (key, value) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (4 - rank) * value))
        expected[key] = least
    found = {
        (key, each.method): each.against_kd.p_value
        for key, row in ranking(results).items()
        for each in row
        if each.against_kd is not None
    }
    assert found == pytest.approx(expected)
    attention = ranking(results)["cnn(width=2)"][0]
    assert attention.against_kd is not None
    assert attention.against_kd.gain.mean == pytest.approx(np.mean(np.subtract(KD, ATTENTION)) / 10_000)


def test_mean_over_networks_is_taken_within_each_seed(results: StudyResults) -> None:
    both = [(np.subtract(KD, ATTENTION) + np.subtract(KD_8, ATTENTION_8)) / 2e4]
    found = over_networks(results, "kd")["attention"].gain
    assert found.mean == pytest.approx(np.mean(both))
    assert found.standard_error == pytest.approx(np.std(both, ddof=1) / np.sqrt(3))


def test_words_answer_whether_anything_beats_tuned_kd(results: StudyResults) -> None:
    text = " ".join(ranking_words(results))
    assert "Does anything beat tuned kd at width 2? Yes: attention by +0.89 points" in text
    assert "Does anything beat tuned kd at width 8? Nothing that these seeds can tell." in text
    assert "3 methods had the same budget: 2 students and 6 epochs each." in text
    assert "corrected by Holm" in text
    assert "Of each method and width the student with the best validation accuracy" in text


def test_unequal_budgets_are_told(tmp_path: Path) -> None:
    results = study(tmp_path, {2: (LABELS, KD), 8: (LABELS_8,)})
    assert budgets(results) == {"labels": (2, 6.0), "kd": (1, 3.0)}
    assert "unequal budgets: kd 1 students and 3 epochs and labels 2 students and 6 epochs" in ranking_words(results)[0]


def test_seed_that_failed_is_left_out_of_its_pair_alone(tmp_path: Path) -> None:
    results = study(tmp_path, {2: (LABELS, KD, (200, None, 205))})
    attention = ranking(results)["cnn(width=2)"][0]
    assert attention.against_kd is not None
    assert attention.against_kd.gain.num_values == 2
    labels = next(each for each in ranking(results)["cnn(width=2)"] if each.method == "labels")
    assert labels.against_kd is not None
    assert labels.against_kd.gain.num_values == 3


def test_table_and_figure_hold_every_method_of_every_network(results: StudyResults) -> None:
    assert [len(table.rows) for table in ranking_tables(results)] == [3, 3]
    drawn = ranking_figure(results)
    shown = {name for trace in drawn.data for name in trace.y}
    assert shown == set(METHODS)
    assert "methods" in {each.name for each in report_figures(results)}


def test_study_without_a_ranking_says_nothing_of_one(realistic_study: Path) -> None:
    results = read_study(realistic_study)
    assert ranking(results) == {}
    assert ranking_words(results) == []
    assert "methods" not in {each.name for each in report_figures(results)}


@pytest.mark.usefixtures("results")
def test_report_has_the_ranking_where_no_student_of_the_front_was_verified(tmp_path: Path) -> None:
    page = write_report(tmp_path, images=False).read_text("utf-8")
    assert "Which method is best" in page
    assert "only the best of each kind" in page
