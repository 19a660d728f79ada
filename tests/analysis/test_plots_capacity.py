"""Figures and words of curves: what is drawn where, with which unit, and what is said of it."""

from math import log10
from pathlib import Path
from typing import cast

import pytest

from analysis.capacity import Curves, curves, omitted_curves
from analysis.capacity_axes import place_name, place_text, places_of, question
from analysis.plots import report_figures
from analysis.plots_capacity import curves_figure
from analysis.report import write_report
from analysis.report_capacity import capacity_tables, capacity_words
from analysis.results import StudyResults, read_study
from tests.analysis.kinds_study import Kind, write_kinds
from tests.analysis.study_directory import MadeTrial

BY_CLASS = [[0.9] * 10, [0.91] * 10, [0.92] * 10]


def shares(root: Path, values: tuple[float, ...], name: str = "transfer_share") -> StudyResults:
    kinds = []
    for share in values:
        for method, errors in (("labels", (500, 520, 510)), ("kd", (300, 321, 309))):
            made = MadeTrial(width=2, method=method)
            if share > 0.0 or method == "kd":
                own = name if method == "kd" or 0.0 not in values else f"labels_{name}"
                kinds.append(
                    Kind(made, [1.0 - (count + 100 * (1.0 - share)) / 10_000 for count in errors], {own: share})
                )
    return write_kinds(root, kinds, ("method", name))


def found(results: StudyResults) -> Curves:
    made = curves(results)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("values", "places", "scale"),
    [
        ((1, 2, 3), [1.0, 2.0, 3.0], ""),
        ((1, 2, 4), [0.0, log10(2), log10(4)], "log scale"),
        ((0.0, 0.01, 1.0), [-4.0, -2.0, 0.0], "log scale, 0 set apart"),
        ((0.0, 0.5, 1.0), [0.0, 0.5, 1.0], ""),
        (("none", "3"), [0.0, 1.0], ""),
        ((5,), [5.0], ""),
    ],
)
def test_values_far_apart_stand_by_their_logarithm(
    values: tuple[float | str, ...], places: list[float], scale: str
) -> None:
    made = places_of("depth", values)
    assert [made.at[value] for value in values] == pytest.approx(places)
    assert made.settings["title_text"] == (f"depth ({scale})" if scale else "depth")
    low, high = cast("list[float]", made.settings["range"])
    assert low < min(places) <= max(places) < high
    assert made.extent > 0.0


@pytest.mark.parametrize(
    ("parameter", "value", "tick", "name"),
    [
        ("width", 8, "8", "width 8"),
        ("transfer_share", 0.01, "1 %", "1 %"),
        ("label_share", 0.0, "0 %", "0 %"),
        ("omitted_class", "none", "none", "no class left out"),
        ("omitted_class", "3", "3", "class 3"),
        ("teacher_parameters", 51_200, "51,200", "51,200 parameters"),
        ("teacher_width", 32, "32", "teacher width 32"),
        ("learning_rate", 0.004, "0.004", "learning rate 0.004"),
    ],
)
def test_value_reads_as_a_tick_and_in_a_sentence(parameter: str, value: float | str, tick: str, name: str) -> None:
    assert place_text(parameter, value) == tick
    assert place_name(parameter, value) == name


def test_figure_has_both_lines_and_by_how_much_one_is_ahead(tmp_path: Path) -> None:
    drawn = curves_figure(found(shares(tmp_path, (0.01, 0.1, 1.0))), teacher=0.99)
    assert drawn.layout.title.text == question("transfer_share")
    assert {trace.name for trace in drawn.data if trace.name} == {"labels only", "kd", "teacher, 99.00 %"}
    assert drawn.layout.xaxis2.title.text == "share of the training images that are shown (%, log scale)"
    assert list(drawn.layout.xaxis2.ticktext) == ["1", "10", "100"]
    assert drawn.layout.yaxis2.title.text == "ahead of labels only (points)"
    (gains,) = [trace for trace in drawn.data if trace.yaxis == "y2"]
    assert list(gains.y) == pytest.approx([2.0, 2.0, 2.0])


def test_difference_that_is_not_decided_has_an_open_marker(tmp_path: Path) -> None:
    errors = {
        1: ((500, 501, 502), (300, 301, 302)),
        2: ((200, 210, 190), (199, 185, 212)),
        4: ((100, 101, 99), (90, 91, 90)),
    }
    kinds = [
        Kind(MadeTrial(width=width, method=method), [1.0 - count / 10_000 for count in counts])
        for width, both in errors.items()
        for method, counts in zip(("labels", "kd"), both, strict=True)
    ]
    made = found(write_kinds(tmp_path, kinds, ("method", "width")))
    (gains,) = [trace for trace in curves_figure(made).data if trace.yaxis == "y2"]
    assert [color == "#ffffff" for color in gains.marker.color] == [False, True, False]


def test_classes_are_not_joined_by_a_line(tmp_path: Path) -> None:
    kinds = [
        Kind(MadeTrial(width=2, method=method), (0.9, 0.91, 0.92), {"omitted_class": omitted}, BY_CLASS)
        for omitted in ("none", "3")
        for method in ("labels", "kd")
    ]
    results = write_kinds(tmp_path, kinds, ("method", "omitted_class"))
    assert all(
        "lines" not in trace.mode or trace.name.startswith("teacher") for trace in curves_figure(found(results)).data
    )
    on_omitted = omitted_curves(results)
    assert curves_figure(on_omitted).layout.yaxis.title.text == "accuracy on the class never shown (%)"
    names = {each.name for each in report_figures(results)}
    assert {"curves", "curves_on_omitted"} <= names
    assert "91.00 % (88.52 to 93.48) of class 3" in " ".join(capacity_words(results))


def test_words_say_where_the_teacher_helps_and_what_the_seeds_resolve(tmp_path: Path) -> None:
    text = " ".join(capacity_words(shares(tmp_path, (0.01, 0.1, 1.0))))
    assert "6 kinds of student, told apart by method and transfer share" in text
    assert "kd against labels only, by share of the training images that are shown, on all test images: " in text
    assert "Ahead of it at 1 % by +2.00 points (95 % interval" in text
    assert "drawn anew with each fresh seed" in text
    assert "one with fewer images takes fewer steps" in text
    assert "where all 3 comparisons are to hold together" in text
    assert "labels only +0.90 points (95 % interval +0.88 to +0.92) from 10 % to 100 %" in text


def test_labels_that_are_few_make_small_batches_and_the_report_says_so(tmp_path: Path) -> None:
    results = shares(tmp_path, (0.0, 0.1, 1.0), "label_share")
    assert "small batches for students of labels alone" in " ".join(capacity_words(results))
    assert [row[:2] for row in capacity_tables(results)[0].rows] == [
        ("0 %", "kd"), ("10 %", "labels only"), ("10 %", "kd"), ("100 %", "labels only"), ("100 %", "kd"),
    ]  # fmt: skip


def test_report_has_a_section_where_there_are_curves_and_none_where_there_are_not(
    tmp_path: Path, writable_study: Path
) -> None:
    shares(tmp_path / "kinds", (0.01, 0.1, 1.0))
    page = write_report(tmp_path / "kinds", images=False).read_text("utf-8")
    assert "What the curves say" in page
    assert question("transfer_share") in page
    assert "What the curves say" not in write_report(writable_study, images=False).read_text("utf-8")
    assert capacity_words(read_study(writable_study)) == []


def test_figure_without_curves_says_so() -> None:
    assert "No kinds of student" in curves_figure(None).layout.annotations[0].text
