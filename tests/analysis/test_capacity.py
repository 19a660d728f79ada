"""Curves: who stands where, paired by seed, corrected for all comparisons, chosen without the test images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.capacity import Curves, Line, Point, curves, omitted_curves, ordered, with_differences
from analysis.kinds import further_names
from analysis.ranking import ranking
from analysis.results import StudyResults, read_study
from tests.analysis.kinds_study import Kind, write_kinds
from tests.analysis.study_directory import OBJECTIVES, MadeTrial, frozen_trial
from trainables.records import TrialRecord

# Errors out of 10,000, seed by seed.
LABELS = {1: (700, 720, 710), 2: (400, 404, 399), 8: (200, 199, 207)}
KD = {1: (500, 530, 505), 2: (380, 390, 384), 8: (201, 197, 209)}


def reached(errors: Sequence[int | None]) -> list[float | None]:
    return [None if count is None else 1.0 - count / 10_000 for count in errors]


def kind(width: int, method: str, errors: Sequence[int | None], *, validation: float = 0.97, **made: float) -> Kind:
    return Kind(MadeTrial(width=width, method=method, accuracy=validation, **made), reached(errors))  # type: ignore[arg-type]


@pytest.fixture
def by_width(tmp_path: Path) -> StudyResults:
    kinds = [kind(width, "labels", LABELS[width]) for width in (8, 1, 2)]
    kinds += [kind(width, "kd", KD[width], temperature=4.0, alpha=0.5) for width in (1, 2, 8)]
    return write_kinds(tmp_path, kinds, ("method", "width"))


def found(results: StudyResults) -> Curves:
    made = curves(results)
    assert made is not None
    return made


def test_points_stand_by_width_with_labels_first(by_width: StudyResults) -> None:
    made = found(by_width)
    assert made.parameter == "width"
    assert made.values == (1, 2, 8)
    assert [(line.name, [point.x for point in line.points]) for line in made.lines] == [
        ("labels only", [1, 2, 8]),
        ("kd", [1, 2, 8]),
    ]
    for width, point in zip((1, 2, 8), made.lines[1].points, strict=True):
        assert point.accuracy.mean == pytest.approx(1.0 - np.mean(KD[width]) / 10_000)


def test_differences_are_paired_and_corrected_over_the_whole_figure(by_width: StudyResults) -> None:
    """Holm by hand over scipy's paired t tests: the k-th smallest of three times 4 - k, never falling."""
    raw = {width: float(stats.ttest_rel(KD[width], LABELS[width]).pvalue) for width in KD}
    least, expected = 0.0, {}
    for rank, (width, value) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, (3 - rank) * value))
        expected[width] = least
    made = found(by_width).differences
    assert {each.x: each.p_value for each in made} == pytest.approx(expected)
    assert {each.x: each.gain.mean for each in made} == pytest.approx(
        {width: float(np.mean(np.subtract(LABELS[width], KD[width]))) / 10_000 for width in KD}
    )
    assert {(each.line, each.reference) for each in made} == {("kd", "labels only")}


def test_temperature_is_chosen_by_what_the_search_saw_and_not_by_the_test_images(tmp_path: Path) -> None:
    """The better one on test images was the worse one on validation: it is not the curve's point."""
    kinds = [kind(width, "labels", LABELS[width]) for width in LABELS]
    for width, errors in KD.items():
        kinds.append(kind(width, "kd", errors, temperature=2.0, alpha=0.9, validation=0.98))
        better = [each - 50 for each in errors]
        kinds.append(kind(width, "kd", better, temperature=8.0, alpha=0.9, validation=0.975))
    results = write_kinds(tmp_path, kinds, ("method", "width", "temperature"))
    line = found(results).lines[1]
    assert [point.accuracy.mean for point in line.points] == pytest.approx(
        [1.0 - np.mean(KD[width]) / 10_000 for width in (1, 2, 8)]
    )
    assert {point.num_rivals for point in line.points} == {2}
    assert further_names(results) == ("temperature",)
    assert ranking(results) == {}


def test_seed_that_failed_is_left_out_of_its_pair_alone(tmp_path: Path) -> None:
    kinds = [kind(width, "labels", LABELS[width]) for width in LABELS]
    kinds += [kind(width, "kd", KD[width], temperature=4.0) for width in (1, 2)]
    kinds.append(kind(8, "kd", (201, None, 209), temperature=4.0))
    by_x = {
        each.x: each.gain.num_values for each in found(write_kinds(tmp_path, kinds, ("method", "width"))).differences
    }
    assert by_x == {1: 3, 2: 3, 8: 2}


def test_two_widths_under_many_methods_are_a_ranking_and_no_curve(tmp_path: Path) -> None:
    kinds = [kind(width, "labels", LABELS[width]) for width in (1, 8)]
    kinds += [kind(width, "kd", KD[width], temperature=4.0) for width in (1, 8)]
    results = write_kinds(tmp_path, kinds, ("method", "width"))
    assert curves(results) is None
    assert len(ranking(results)) == 2


def test_study_without_kinds_has_no_curve(realistic_study: Path) -> None:
    assert curves(read_study(realistic_study)) is None
    assert omitted_curves(read_study(realistic_study)) is None


def with_share(method: str, width: int, share: float, errors: Sequence[int], name: str = "transfer_share") -> Kind:
    made = MadeTrial(width=width, method=method, temperature=4.0 if method == "kd" else None)
    return Kind(made, reached(errors), {name: share})


def test_parameter_with_the_most_values_stands_along_the_axis_and_the_others_make_lines(tmp_path: Path) -> None:
    kinds = [
        with_share(method, width, share, (300 + width, 302, 301))
        for share in (1.0, 0.01, 0.1)
        for method in ("labels", "kd")
        for width in (2, 8)
    ]
    made = found(write_kinds(tmp_path, kinds, ("method", "width", "transfer_share")))
    assert (made.parameter, made.values) == ("transfer_share", (0.01, 0.1, 1.0))
    assert [line.name for line in made.lines] == [
        "labels only, width 2",
        "labels only, width 8",
        "kd, width 2",
        "kd, width 8",
    ]
    assert {(each.line, each.reference) for each in made.differences} == {
        ("kd, width 2", "labels only, width 2"),
        ("kd, width 8", "labels only, width 8"),
    }


def test_share_that_one_method_cannot_do_with_is_compared_with_nothing(tmp_path: Path) -> None:
    kinds = [with_share("kd", 2, share, (300, 301, 302), "label_share") for share in (0.0, 0.5, 1.0)]
    kinds += [with_share("labels", 2, share, (310, 315, 312), "labels_label_share") for share in (0.5, 1.0)]
    made = found(write_kinds(tmp_path, kinds, ("method", "label_share")))
    assert made.values == (0.0, 0.5, 1.0)
    assert [point.x for point in made.lines[0].points] == [0.5, 1.0]
    assert [each.x for each in made.differences] == [0.5, 1.0]


def test_accuracy_on_the_omitted_class_is_that_of_the_very_class(tmp_path: Path) -> None:
    """By seed and class 0.1 * class + 0.01 * seed: of class 2 the mean is 0.2 + 0.02."""
    by_class = [[0.1 * each + 0.01 * seed for each in range(10)] for seed in (1, 2, 3)]
    kinds = [
        Kind(MadeTrial(width=2, method=method), reached((900, 910, 905)), {"omitted_class": omitted}, by_class)
        for omitted in ("7", "none", "2")
        for method in ("labels", "kd")
    ]
    results = write_kinds(tmp_path, kinds, ("method", "omitted_class"))
    assert found(results).values == ("none", "2", "7")
    on_omitted = omitted_curves(results)
    assert on_omitted is not None
    assert on_omitted.values == ("2", "7")
    assert [point.accuracy.mean for point in on_omitted.lines[0].points] == pytest.approx([0.22, 0.72])
    assert [point.step for point in on_omitted.lines[0].points] == pytest.approx([1e-3, 1e-3])
    assert len(on_omitted.differences) == 2


@given(st.lists(st.one_of(st.integers(-5, 5), st.floats(-5, 5), st.sampled_from(["none", "b", "a"])), max_size=12))
def test_values_stand_once_with_numbers_ascending_before_text(values: list[float | str]) -> None:
    placed = ordered(values)
    assert set(placed) == set(values)
    assert len(placed) == len(set(values))
    numbers = [each for each in placed if not isinstance(each, str)]
    texts = [each for each in placed if isinstance(each, str)]
    assert placed == (*numbers, *texts)
    assert numbers == sorted(numbers)
    assert "none" not in texts[1:]


@given(shift=st.floats(0.0, 0.2), accuracies=st.lists(st.floats(0.3, 0.7), min_size=2, max_size=6))
def test_difference_is_the_shift_whatever_the_seeds_and_its_sign_turns_with_the_sides(
    shift: float, accuracies: list[float]
) -> None:
    trial = read_trial()
    below, above = (
        Line(name, name, (), (Point(1, trial, {seed: value + moved for seed, value in enumerate(accuracies)}, 1e-4),))
        for name, moved in (("labels", 0.0), ("kd", shift))
    )
    (gain,) = with_differences("width", [below, above]).differences
    assert gain.gain.mean == pytest.approx(shift, abs=1e-12)
    assert gain.gain.standard_error == pytest.approx(1e-4 / len(accuracies) ** 0.5)
    (point,), (other,) = below.points, above.points
    turned = point.less(other)
    assert turned is not None
    assert turned.mean == pytest.approx(-shift, abs=1e-12)


def read_trial() -> TrialRecord:
    return TrialRecord.from_optuna(frozen_trial(MadeTrial(), OBJECTIVES))
