"""How far latencies are trusted: intervals and resolutions by hand, and what the report says of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.findings import front_neighbours, latency_resolution, median_interval
from analysis.plots_front import front_figure
from analysis.report_tables import front_table
from analysis.report_words import found, latency_words
from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import OBJECTIVES, MadeTrial, with_latency, write_study
from tests.profiles import latency
from trainables.metrics import metric

LATENCY = metric("latency_p50_ms_batch1")
# The fixture's interval of the median is 1.5 % below and 2 % above it.
NOISY = {"is_stable": False, "relative_iqr_fraction": 0.1, "reference_drift_fraction": -0.2}


def results_of(root: Path, *latencies_ms: float, objectives: tuple[str, ...] = OBJECTIVES) -> StudyResults:
    """A front of widths 1, 2, 4, ... at these latencies, each more accurate than the one before."""
    trials = [
        MadeTrial(width=2**place, accuracy=0.95 + 0.01 * place, latency_ms=each)
        for place, each in enumerate(latencies_ms)
    ]
    return read_study(write_study(root, trials, objectives=objectives))


def test_interval_of_a_settled_median_is_as_measured() -> None:
    assert median_interval(latency(1, 2.0)) == pytest.approx((1.97, 2.04))


def test_interval_moves_out_by_the_relative_iqr_where_it_did_not_settle() -> None:
    assert median_interval(latency(1, 2.0).model_copy(update=NOISY)) == pytest.approx((1.77, 2.24))


def test_two_settled_latencies_are_told_apart_beyond_both_their_arms() -> None:
    other = latency(1, 3.0).model_copy(update={"reference_drift_fraction": 0.09})
    assert latency_resolution(latency(1, 2.0), other) == pytest.approx(0.04)


def test_drift_counts_by_its_difference_where_one_did_not_settle() -> None:
    """0.02 + 0.1 of one, 0.02 of the other, and 0.208 between drifts of -0.2 and 0.008."""
    noisy = latency(1, 2.0).model_copy(update=NOISY)
    assert latency_resolution(noisy, latency(1, 3.0)) == pytest.approx(0.348)
    assert latency_resolution(latency(1, 3.0), noisy) == pytest.approx(0.348)
    assert latency_resolution(noisy, noisy) == pytest.approx(0.24)


def test_neighbours_stand_in_order_of_latency_and_each_network_once(tmp_path: Path) -> None:
    objectives = ("validation_accuracy", "latency_p50_ms_batch1", "validation_nll")
    trials = [
        MadeTrial(width=4, accuracy=0.98, latency_ms=0.2),
        MadeTrial(width=2, accuracy=0.96, latency_ms=0.1),
        MadeTrial(width=4, accuracy=0.979, latency_ms=0.2, metrics={"validation_nll": 0.001}),
    ]
    results = read_study(write_study(tmp_path, trials, objectives=objectives))
    assert len(results.front) == 3
    (only,) = front_neighbours(results, LATENCY)
    assert (only.faster.number, only.slower.number) == (1, 0)
    assert only.difference_fraction == pytest.approx(1.0)
    assert only.are_told_apart


def test_settled_latencies_far_apart_need_no_words(tmp_path: Path) -> None:
    assert latency_words(results_of(tmp_path, 0.1, 0.2)) == []


def test_settled_neighbours_within_their_intervals_are_named(tmp_path: Path) -> None:
    (text,) = latency_words(results_of(tmp_path, 0.1, 0.103, 0.2))
    assert text == "On the front p50 latency at batch 1 does not tell width 1 from width 2 (3.0 % apart)."


def test_unsettled_latency_is_a_finding_with_its_spread_its_drift_and_its_limit(tmp_path: Path) -> None:
    """The limit is 0.02 + 0.02 + 0.1 + 0.208 = 34.8 %; the neighbours are 30 and 54 % apart."""
    results = with_latency(results_of(tmp_path, 0.1, 0.13, 0.2), 1, **NOISY)
    text = " ".join(found(results))
    assert "1 of the 4 measurements of p50 latency at batch 1 (students and teacher) did not settle" in text
    assert "spread by up to 10 % (relative interquartile range)" in text
    assert "off by up to 20 %" in text
    assert "Differences in latency below 35 % between neighbours on the front are not to be relied on" in text
    assert "does not tell width 1 from width 2 (30.0 % apart)." in text


def test_latencies_that_are_no_objective_are_not_a_finding(tmp_path: Path) -> None:
    results = results_of(tmp_path, 0.1, 0.13, objectives=("validation_accuracy", "num_parameters"))
    noisy = with_latency(results, 1, **NOISY)
    assert latency_words(noisy) == []
    assert "latency settled" not in front_table(noisy).columns


def test_front_table_marks_the_rows_whose_latency_did_not_settle(tmp_path: Path) -> None:
    results = with_latency(results_of(tmp_path, 0.1, 0.2), 2, **NOISY)
    table = front_table(results)
    place = table.columns.index("latency settled")
    assert [row[place] for row in table.rows] == ["yes", "no"]
    unmeasured = front_table(replace(results, profiles=None))
    assert [row[place] for row in unmeasured.rows] == ["-", "-"]


def test_horizontal_bars_are_wider_where_the_latency_did_not_settle(tmp_path: Path) -> None:
    drawn = front_figure(with_latency(results_of(tmp_path, 0.5), 1, **NOISY))
    (bars,) = (trace.error_x for trace in drawn.data if trace.error_x.array is not None and len(trace.error_x.array))
    assert (bars.arrayminus[0], bars.array[0]) == pytest.approx((0.0575, 0.06))


@pytest.mark.parametrize(("latency_ms", "is_doubted"), [(1.0, True), (0.5, False)])
def test_speed_against_the_teacher_is_doubted_where_the_measurements_cannot_tell(
    tmp_path: Path, latency_ms: float, is_doubted: bool
) -> None:
    """The teacher takes 1.2 ms; the limit is 34.8 %."""
    trials = [MadeTrial(width=1, accuracy=0.99, latency_ms=latency_ms)]
    text = " ".join(found(with_latency(read_study(write_study(tmp_path, trials)), 1, **NOISY)))
    assert ("though the measurements tell only differences above 35 %" in text) is is_doubted
