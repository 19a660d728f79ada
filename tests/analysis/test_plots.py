"""Figures: each asks a question, names its units, shows the stored numbers, and says so where there are none."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

from analysis.findings import binomial_standard_error
from analysis.plots import report_figures
from analysis.plots_front import front_figure
from analysis.plots_hardware import latency_figure, utilization_figure
from analysis.plots_search import hypervolume_figure, learning_figure, timeline_figure
from analysis.plots_students import size_figure, temperature_figure
from analysis.results import StudyResults, read_study
from tests.analysis.stopped_trials import A_SEARCH, in_full, stopped, waiting
from tests.analysis.study_directory import (
    NUM_VALIDATION_IMAGES,
    TEACHER_ACCURACY,
    WIDTHS,
    MadeTrial,
    realistic_trials,
    write_study,
)
from tests.verifications import verify_front

KD = MadeTrial(method="kd", temperature=4.0, alpha=0.5, accuracy=0.98)
STUDIES: dict[str, tuple[list[MadeTrial], dict[str, Any]]] = {
    "empty": ([], {"teacher": False, "profiles": False}),
    "just started": ([MadeTrial(state="running", num_epochs=0, spans=((1e9, None),))], {"profiles": False}),
    "waiting": ([MadeTrial(state="waiting", accuracy=None, num_epochs=0, slot=None)], {}),
    "all failed": ([MadeTrial(state="fail", accuracy=None, spans=((1e9, 1e9 + 3),))], {}),
    "one trial": ([MadeTrial(spans=((1e9, 1e9 + 3),))], {}),
    "perfect": ([MadeTrial(accuracy=1.0), MadeTrial(width=1, accuracy=0.5)], {}),
    "one objective": ([MadeTrial(), MadeTrial(width=8)], {"objectives": ("validation_accuracy",)}),
    "three objectives": (
        realistic_trials(),
        {"objectives": ("validation_accuracy", "latency_p50_ms_batch1", "num_parameters")},
    ),
    "stopped early": (A_SEARCH, {}),
    "all paused": ([waiting(0.5), waiting(2.0)], {"profiles": False}),
    "two families": ([MadeTrial(), replace(KD, family="resnet", latency_ms=0.4)], {}),
    "on a GPU, no dataset named": (realistic_trials(), {"has_gpu": True, "config": {}}),
}


@pytest.fixture
def results(realistic_study: Path) -> StudyResults:
    return read_study(realistic_study)


def traces(drawn: go.Figure, name: str) -> list[Any]:
    return [trace for trace in drawn.data if trace.name == name]


def notes(drawn: go.Figure) -> list[str]:
    return [note.text for note in drawn.layout.annotations]


@pytest.mark.parametrize("is_verified", [False, True], ids=["", "verified"])
@pytest.mark.parametrize("kind", STUDIES)
def test_every_figure_stands_for_every_kind_of_study(kind: str, is_verified: bool, tmp_path: Path) -> None:
    trials, settings = STUDIES[kind]
    study_dir = write_study(tmp_path, trials, **settings)
    figures = report_figures(read_study(verify_front(study_dir) if is_verified else study_dir))
    assert len({each.name for each in figures}) == len(figures)
    for each in figures:
        assert each.question.endswith("?")
        assert each.how_to_read.endswith(".")
        assert each.figure.data or notes(each.figure), f"{each.name} is blank"


def test_every_axis_of_the_report_has_a_title(results: StudyResults) -> None:
    """Panels side by side share the title of the y axis."""
    for each in report_figures(results):
        axes = [*each.figure.select_xaxes(), each.figure.layout.yaxis]
        assert all(axis.title.text for axis in axes), each.name


@pytest.mark.parametrize(
    ("draw", "axis", "unit"),
    [
        (front_figure, "xaxis", "ms"),
        (front_figure, "yaxis", "%"),
        (size_figure, "yaxis", "%"),
        (latency_figure, "yaxis", "ms"),
        (utilization_figure, "yaxis", "%"),
        (hypervolume_figure, "yaxis", "%"),
        (hypervolume_figure, "xaxis2", "s"),
        (timeline_figure, "xaxis", "s"),
        (learning_figure, "yaxis", "%"),
    ],
)
def test_axis_names_its_unit(
    results: StudyResults, draw: Callable[[StudyResults], go.Figure], axis: str, unit: str
) -> None:
    title = draw(results).layout[axis].title.text
    assert unit in title[title.index("(") :]


def test_front_line_passes_through_the_front_and_nothing_else(results: StudyResults) -> None:
    (line,) = traces(front_figure(results), "front")
    assert list(line.x) == [trial.metrics["latency_p50_ms_batch1"] for trial in results.front]
    errors = [1.0 - (trial.metrics["validation_accuracy"] or 0.0) for trial in results.front]
    assert list(line.y) == pytest.approx(errors)
    assert line.line.shape == "hv"


def test_three_objectives_have_no_line_on_two_axes(tmp_path: Path) -> None:
    trials, settings = STUDIES["three objectives"]
    assert traces(front_figure(read_study(write_study(tmp_path, trials, **settings))), "front") == []


def test_dominated_students_are_faded_and_have_no_bars(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.98, latency_ms=0.1), MadeTrial(accuracy=0.97, latency_ms=0.2)]
    drawn = front_figure(read_study(write_study(tmp_path, trials)))
    faded, full = (trace for trace in drawn.data if trace.legendgroup == "labels" and trace.hovertext)
    assert faded.opacity < 0.5
    assert "trial 1" in faded.hovertext[0]
    assert faded.error_y.array is None
    assert full.opacity == 1.0
    assert full.error_y.array[0] == pytest.approx(binomial_standard_error(0.98, NUM_VALIDATION_IMAGES))


def test_latency_bars_reach_over_the_interval_of_the_median(tmp_path: Path) -> None:
    """The fixture's interval is 1.5 % below and 2 % above the median."""
    drawn = front_figure(read_study(write_study(tmp_path, [MadeTrial(latency_ms=0.5)])))
    (bars,) = (trace.error_x for trace in drawn.data if trace.error_x.array is not None and len(trace.error_x.array))
    assert bars.array[0] == pytest.approx(0.010)
    assert bars.arrayminus[0] == pytest.approx(0.0075)


def test_other_metrics_than_the_median_latency_have_no_bars(tmp_path: Path) -> None:
    objectives = ("validation_accuracy", "num_parameters")
    drawn = front_figure(read_study(write_study(tmp_path, [MadeTrial()], objectives=objectives)))
    assert all(trace.error_x.array is None for trace in drawn.data if trace.type == "scatter")


def test_teacher_is_a_star_at_its_own_latency(results: StudyResults) -> None:
    (star,) = traces(front_figure(results), "teacher")
    assert star.marker.symbol == "star"
    assert star.x[0] == 1.2
    assert star.y[0] == pytest.approx(1.0 - TEACHER_ACCURACY)


def test_labels_only_and_distilled_have_different_markers(results: StudyResults) -> None:
    drawn = front_figure(results)
    (labels,), (kd,) = traces(drawn, "labels only"), traces(drawn, "kd (distilled)")
    assert labels.marker.symbol != kd.marker.symbol
    assert labels.marker.color != kd.marker.color


def test_pointer_tells_a_students_number_and_parameters(results: StudyResults) -> None:
    texts = [text for trace in front_figure(results).data for text in trace.hovertext or ()]
    finished = [trial for trial in results.trials if trial.may_stand_on_a_front]
    for trial in finished:
        (text,) = (each for each in texts if f"<b>trial {trial.number}</b>" in each)
        assert "temperature = " in text or "kd" not in text
        assert f"width = {trial.parameters['width']}" in text


def test_stopped_students_are_hidden_until_asked_for(results: StudyResults) -> None:
    (stopped,) = traces(front_figure(results), "stopped early (click to show)")
    assert stopped.visible == "legendonly"


def test_best_of_each_method_is_drawn_at_its_width(tmp_path: Path) -> None:
    trials = [MadeTrial(width=2, accuracy=0.96), MadeTrial(width=2, accuracy=0.95), replace(KD, width=8)]
    drawn = size_figure(read_study(write_study(tmp_path, trials, teacher=False)))
    (labels,) = traces(drawn, "best of labels only (2 trained)")
    assert list(labels.y) == [0.96]
    assert round(labels.x[0]) == 0
    assert list(drawn.layout.xaxis.ticktext) == ["2", "8"]


def test_methods_stand_side_by_side_not_on_each_other(results: StudyResults) -> None:
    drawn = size_figure(results)
    best = [trace for trace in drawn.data if (trace.name or "").startswith("best of")]
    assert not set(best[0].x) & set(best[1].x)


def test_colour_is_the_gain_over_labels_only_at_the_same_width(tmp_path: Path) -> None:
    trials = [MadeTrial(accuracy=0.97), replace(KD, accuracy=0.975), replace(KD, accuracy=0.968, temperature=2.0)]
    drawn = temperature_figure(read_study(write_study(tmp_path, trials)))
    (points,) = (trace for trace in drawn.data if trace.marker.coloraxis)
    assert list(points.marker.color) == pytest.approx([0.5, -0.2])
    assert drawn.layout.coloraxis.cmin == -drawn.layout.coloraxis.cmax
    assert "gain" in drawn.layout.coloraxis.colorbar.title.text


def test_colour_is_the_accuracy_where_a_width_has_no_labels_only_student(tmp_path: Path) -> None:
    drawn = temperature_figure(read_study(write_study(tmp_path, [MadeTrial(width=2), replace(KD, width=8)])))
    (points,) = (trace for trace in drawn.data if trace.marker.coloraxis)
    assert list(points.marker.color) == [0.98]
    assert "accuracy" in drawn.layout.coloraxis.colorbar.title.text


def test_larger_students_are_larger_circles(results: StudyResults) -> None:
    drawn = temperature_figure(results)
    diameters = [traces(drawn, f"width {width}")[0].marker.size for width in WIDTHS]
    assert diameters == sorted(set(diameters))


def test_study_without_distilled_students_says_so_in_place_of_temperatures(tmp_path: Path) -> None:
    drawn = temperature_figure(read_study(write_study(tmp_path, [MadeTrial()])))
    assert notes(drawn) == ["No finished student has a temperature and an alpha."]


def test_latency_is_drawn_for_each_inference_batch_up_to_its_tail(results: StudyResults) -> None:
    drawn = latency_figure(results)
    students, teacher = traces(drawn, "batch 1")
    assert list(students.y) == [0.074, 0.081, 0.102, 0.171, 0.39]
    assert list(students.error_y.array) == pytest.approx([0.22 * each for each in students.y])
    assert list(teacher.y) == [1.2]
    assert {trace.name for trace in drawn.data} == {"batch 1", "batch 8", "batch 64"}


def test_unstable_measurement_is_an_open_marker(tmp_path: Path) -> None:
    """The fixture calls batch 8 unstable from 0.4 ms on."""
    drawn = latency_figure(read_study(write_study(tmp_path, [MadeTrial(width=16, latency_ms=0.39)])))
    assert [traces(drawn, f"batch {size}")[0].marker.symbol[0] for size in (1, 8)] == ["circle", "circle-open"]


def test_utilisation_is_of_the_gpu_where_there_is_one_and_of_the_cpu_elsewhere(tmp_path: Path) -> None:
    on_cpu = utilization_figure(read_study(write_study(tmp_path / "cpu", realistic_trials())))
    on_gpu = utilization_figure(read_study(write_study(tmp_path / "gpu", realistic_trials(), has_gpu=True)))
    assert notes(on_cpu) == ["work done (MFU)", "CPU busy"]
    assert notes(on_gpu) == ["work done (MFU)", "GPU busy"]
    assert list(on_gpu.data[-1].y) == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])


def test_timeline_shows_each_trial_that_ran_on_its_slot(results: StudyResults) -> None:
    drawn = timeline_figure(results)
    shown = {int(text): slot for trace in drawn.data for text, slot in zip(trace.text, trace.y, strict=True)}
    assert shown == {trial.number: trial.slot for trial in results.trials if trial.spans}


def test_timeline_cuts_out_the_hour_between_two_launches(results: StudyResults) -> None:
    drawn = timeline_figure(results)
    ends = [base + length for trace in drawn.data for base, length in zip(trace.base, trace.x, strict=True)]
    assert max(ends) < 3_600.0
    assert len(drawn.layout.shapes) == 1


def test_timeline_draws_no_trial_over_another_where_one_was_paused(tmp_path: Path) -> None:
    drawn = timeline_figure(read_study(write_study(tmp_path, A_SEARCH)))
    shown = sorted(
        (slot, base, base + length, text)
        for trace in drawn.data
        for slot, base, length, text in zip(trace.y, trace.base, trace.x, trace.text, strict=True)
    )
    assert [text for *_, text in shown].count("1") == 2
    assert all(one[0] != other[0] or one[2] <= other[1] for one, other in pairwise(shown))


def test_learning_curves_stand_at_the_epochs_that_were_trained_whole_or_not(tmp_path: Path) -> None:
    drawn = learning_figure(read_study(write_study(tmp_path, [in_full(), stopped(0.5)])))
    assert [list(trace.x) for trace in drawn.data] == [[0.5, 1, 2, 3, 4, None], [0.5, None]]


def test_learning_curves_show_stopped_students_apart(results: StudyResults) -> None:
    drawn = learning_figure(results)
    (in_full,), (stopped,) = traces(drawn, "kd (distilled)"), traces(drawn, "kd (distilled), not trained in full")
    assert in_full.line.dash == "solid"
    assert stopped.line.dash == "dot"
    assert "x" in stopped.marker.symbol


def test_hypervolume_never_falls(results: StudyResults) -> None:
    by_trial, by_second = hypervolume_figure(results).data
    assert list(by_trial.y) == sorted(by_trial.y)
    assert list(by_second.x) == sorted(by_second.x)
