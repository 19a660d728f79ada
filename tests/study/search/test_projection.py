"""Projected ends against NumPy's least squares, and where they must not follow it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from study.search.projection import end_line, projected_ends

Array = NDArray[np.float64]
NAN = float("nan")


def values(*numbers: float) -> Array:
    return np.array(numbers, dtype=np.float64)


def test_line_is_that_of_least_squares() -> None:
    """NumPy's polyfit; the variance is its residual sum of squares over N - 2."""
    stream = np.random.default_rng(0)
    shown = stream.random(20)
    ends = 0.4 + 0.6 * shown + 0.05 * stream.standard_normal(20)
    line = end_line(shown, ends)
    (slope, intercept), residuals, *_ = np.polyfit(shown, ends, 1, full=True)
    assert (line.slope, line.intercept) == pytest.approx((slope, intercept))
    assert line.variance == pytest.approx(residuals[0] / 18)


@pytest.mark.parametrize(("ends", "slope"), [(values(0.1, 0.4, 0.9), 1.0), (values(0.9, 0.5, 0.4), 0.0)])
def test_slope_is_held_and_the_line_still_goes_through_the_means(ends: Array, slope: float) -> None:
    shown = values(0.1, 0.2, 0.3)
    line = end_line(shown, ends)
    assert line.slope == slope
    assert line.intercept + line.slope * shown.mean() == pytest.approx(ends.mean())


def test_where_all_showed_the_same_each_keeps_its_distance() -> None:
    line = end_line(values(0.5, 0.5, 0.5), values(0.7, 0.8, 0.9))
    assert line.intercept + line.slope * 0.2 == pytest.approx(0.5)  # 0.3 below, as it was


def curve(*shown: float) -> dict[float, Array]:
    """At budgets 1, 2, ...; of one objective."""
    return {float(index + 1): values(each) for index, each in enumerate(shown)}


COMPLETE = [curve(0.2, 0.4, 0.5), curve(0.4, 0.5, 0.6), curve(0.6, 0.6, 0.7)]
ENDS = [0.5, 0.6, 0.7]


def project(*curves: dict[float, Array], complete: int = 3) -> list[float]:
    ends = np.array([*ENDS[:complete], *[NAN] * len(curves)])[:, np.newaxis]
    filled, _ = projected_ends([*COMPLETE[:complete], *curves], ends)
    return [float(each) for each in filled[complete:, 0]]


def test_last_shown_value_is_carried_along_the_line_of_that_budget() -> None:
    """By hand: at budget 1 the ends are 0.4 + shown / 2, at budget 2 they are 0.1 + shown."""
    assert project(curve(0.1), curve(0.1, 0.3)) == pytest.approx([0.45, 0.4])


def test_trial_that_has_shown_its_full_budget_is_projected_to_what_it_showed() -> None:
    assert project(curve(0.0, 0.1, 0.2)) == pytest.approx([0.2])


def test_budget_that_too_few_complete_trials_showed_is_passed_over_for_an_earlier_one() -> None:
    assert project({1.0: values(0.1), 1.5: values(0.9)}) == pytest.approx([0.45])
    assert project({1.0: values(0.1), 2.0: values(NAN)}) == pytest.approx([0.45])


def test_with_fewer_than_three_complete_trials_nothing_is_projected() -> None:
    assert np.isnan(project(curve(0.1), complete=2)).all()
    assert np.isnan(project({0.5: values(0.1)}, {})).all()


def test_ends_that_are_known_stay_and_do_not_vary() -> None:
    curves = [curve(0.2), curve(0.5), curve(0.3), curve(0.9), curve(0.4)]
    ends = np.array([[0.5, 0.6, 0.9, 0.7, NAN]]).T
    filled, variances = projected_ends(curves, ends)
    assert filled[:4] == pytest.approx(ends[:4])
    assert variances[:4].tolist() == [[0.0]] * 4
    assert variances[4, 0] == end_line(values(0.2, 0.5, 0.3, 0.9), values(0.5, 0.6, 0.9, 0.7)).variance > 0.0


def test_objectives_are_projected_each_by_its_own_line() -> None:
    """One keeps its value, the other doubles its distance to 1 less; a third is not shown."""
    shown = np.array([[0.1, 0.2, NAN], [0.2, 0.4, NAN], [0.4, 0.6, NAN], [0.3, 0.8, NAN]])
    ends = np.column_stack([shown[:, 0], 0.5 + 0.5 * shown[:, 1], [1.0, 2.0, 3.0, 4.0]])
    ends[3] = NAN
    filled, _ = projected_ends([{1.0: row} for row in shown], ends)
    assert filled[3, :2] == pytest.approx([0.3, 0.9])
    assert np.isnan(filled[3, 2])


@given(
    shown=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    ends=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    more=st.floats(0, 1),
)
def test_who_has_shown_more_is_projected_no_lower_and_no_lead_grows(
    shown: list[float], ends: list[float], more: float
) -> None:
    curves = [curve(each) for each in (*shown, shown[-1] + more)]
    filled, _ = projected_ends(curves, np.array([*ends, NAN, NAN])[:, np.newaxis])
    assert -1e-9 <= filled[4, 0] - filled[3, 0] <= more + 1e-9
