"""The picture of early stopping: every student once, its epochs as they were, readable however many there are."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from analysis.plots import report_figures
from analysis.plots_stopping import stopping_figure
from analysis.results import StudyResults, read_study
from tests.analysis.stopped_trials import A_SEARCH, in_full, stopped, waiting
from tests.analysis.study_directory import WIDTHS, MadeTrial, write_study


def figure_of(root: Path, trials: list[MadeTrial]) -> go.Figure:
    return stopping_figure(read_study(write_study(root, trials)))


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    return read_study(write_study(tmp_path, A_SEARCH))


def bars(drawn: go.Figure, orientation: str | None) -> dict[str, Any]:
    return {
        each.name or each.legendgroup: each
        for each in drawn.data
        if each.type == "bar" and each.orientation == orientation
    }


def marks(drawn: go.Figure, name: str) -> set[tuple[float, float]]:
    (trace,) = (each for each in drawn.data if each.name == name)
    return set(zip(trace.x, trace.y, strict=True))


def test_only_a_study_that_judged_trials_has_the_figure(realistic_study: Path, results: StudyResults) -> None:
    assert "stopping" not in {each.name for each in report_figures(read_study(realistic_study))}
    assert "stopping" in {each.name for each in report_figures(results)}


def test_every_student_is_one_bar_as_long_as_it_was_trained(results: StudyResults) -> None:
    students = bars(stopping_figure(results), "h")
    del students["not trained"]
    assert {name: list(trace.x) for name, trace in students.items()} == {
        "trained in full (1)": [4.0],
        "trained in full after a pause (1)": [4.0],
        "stopped (3)": [1.0, 2.0, 0.5],
        "failed (1)": [0.5],
    }
    places = [place for trace in students.values() for place in trace.y]
    assert len(set(places)) == len(A_SEARCH)


def test_grey_fills_each_bar_up_to_full_training(results: StudyResults) -> None:
    grey = bars(stopping_figure(results), "h")["not trained"]
    assert {base + length for base, length in zip(grey.base, grey.x, strict=True)} == {4.0}
    assert sum(grey.x) == 12.0


def test_crosses_rings_and_stars_stand_where_it_happened(tmp_path: Path) -> None:
    trials = [in_full(width=2, latency_ms=0.1, paused_at=(0.5, 2)), stopped(1.0, width=2, latency_ms=0.1)]
    drawn = figure_of(tmp_path, trials)
    assert marks(drawn, "paused here, then went on") == {(0.5, 0.0), (2.0, 0.0)}
    assert marks(drawn, "stopped here") == {(1.0, 1.0)}
    assert marks(drawn, "on the front") == {(4.0, 0.0)}


def test_stretches_between_rungs_add_up_to_all_epochs(results: StudyResults) -> None:
    stacked = [each for each in stopping_figure(results).data if each.type == "bar" and each.orientation is None]
    assert list(stacked[0].x) == ["0 to 0.5", "0.5 to 1", "1 to 2", "2 to 4"]
    tops = [sum(heights) for heights in zip(*(each.y for each in stacked), strict=True)]
    assert tops == [3.0, 3.0, 6.0, 12.0]
    grey = stacked[-1]
    assert grey.legendgroup == "not trained"
    assert list(grey.y) == [0.0, 1.0, 3.0, 8.0]


def test_bars_of_a_stretch_stand_on_each_other(results: StudyResults) -> None:
    stacked = [each for each in stopping_figure(results).data if each.type == "bar" and each.orientation is None]
    for lower, upper in pairwise(stacked):
        assert [base + height for base, height in zip(lower.base, lower.y, strict=True)] == list(upper.base)


def test_smaller_networks_come_first_and_name_their_rows(tmp_path: Path) -> None:
    drawn = figure_of(tmp_path, [in_full(width=width, latency_ms=width / 10) for width in (8, 1, 4)])
    assert list(drawn.layout.yaxis.ticktext) == ["1", "4", "8"]
    low, high = drawn.layout.yaxis.range
    assert low > high
    assert drawn.layout.yaxis.title.text == "student width"


@pytest.mark.parametrize("num_trials", [1, 24, 200, 600])
def test_figure_stays_readable_however_many_students_there_are(num_trials: int, tmp_path: Path) -> None:
    """No taller than two screens, no bar thinner than a pixel, and no label on another."""
    trials = [
        in_full(width=WIDTHS[number % 5]) if number % 3 == 0 else stopped(0.5, width=WIDTHS[number % 5])
        for number in range(num_trials)
    ]
    drawn = figure_of(tmp_path, trials)
    assert 400 <= drawn.layout.height <= 1_500
    low, high = drawn.layout.yaxis.range
    share = drawn.layout.yaxis.domain[1] - drawn.layout.yaxis.domain[0]
    row_pixels = share * (drawn.layout.height - 190) / (low - high)
    assert row_pixels >= 1.0
    assert all((after - before) * row_pixels >= 14 for before, after in pairwise(drawn.layout.yaxis.tickvals))


def test_paused_student_is_shown_as_unfinished(tmp_path: Path) -> None:
    students = bars(figure_of(tmp_path, [in_full(), waiting(0.5)]), "h")
    assert list(students["running or paused (1)"].x) == [0.5]


def test_pointer_tells_what_was_decided_at_each_rung(results: StudyResults) -> None:
    (text,) = bars(stopping_figure(results), "h")["trained in full after a pause (1)"].hovertext
    assert "trained for 4 of 4 epochs" in text
    assert "epoch 0.5: went on after a pause" in text
    assert "epoch 1: went on at once" in text
