"""The verification's figures: what they ask, where the markers stand, and how far the bars reach."""

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.plots_verified import GAIN_QUESTION, VERIFIED_QUESTION, gain_figure, verified_figure
from analysis.results import read_study
from tests.analysis.study_directory import realistic_trials, write_study
from tests.analysis.test_verified import SMALL, SMALL_KD, P, S, results, usual
from tests.verifications import Sides, verification


def traces(drawn: object) -> dict[str, object]:
    return {trace.name: trace for trace in drawn.data}  # type: ignore[attr-defined]


def test_both_ask_their_question_and_say_when_there_is_nothing_yet(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, realistic_trials()))
    for drawn, question in ((verified_figure(study), VERIFIED_QUESTION), (gain_figure(study), GAIN_QUESTION)):
        assert drawn.layout.title.text == question
        assert "not been read" in drawn.layout.annotations[0].text


def test_bars_end_where_the_interval_does(tmp_path: Path) -> None:
    """0.987 with a standard deviation of 0.001 over three seeds: 4.303 x 0.001 / sqrt(3) each way."""
    drawn = verified_figure(usual(tmp_path))
    student = traces(drawn)["kd (distilled), on the front"]
    arm = 4.303 * 0.001 / 3**0.5
    is_error = "error" in drawn.layout.yaxis.title.text
    assert student.y[0] == pytest.approx(1 - 0.987 if is_error else 0.987)  # type: ignore[attr-defined]
    assert student.error_y.array[0] == pytest.approx(arm, rel=1e-3)  # type: ignore[attr-defined]
    assert student.error_y.arrayminus[0] == pytest.approx(arm, rel=1e-3)  # type: ignore[attr-defined]


def test_interval_beyond_all_images_right_is_cut_short_of_it(tmp_path: Path) -> None:
    """0.9895 with t(1) = 12.706: from 0.8688 to beyond 1, drawn to half an image short of 1; on either scale."""
    sides: Sides = {(0, S): (SMALL.student, [0.999, 0.98]), (0, P): (SMALL_KD, [0.998, 0.9])}
    drawn = verified_figure(results(tmp_path, verification(sides)))
    bars = traces(drawn)["labels only, on the front"].error_y  # type: ignore[attr-defined]
    is_error = "error" in drawn.layout.yaxis.title.text
    up, down = (bars.arrayminus[0], bars.array[0]) if is_error else (bars.array[0], bars.arrayminus[0])
    assert up == pytest.approx(1 - 0.5 / 10_000 - 0.9895)
    assert down == pytest.approx(12.706 * 0.0095, rel=1e-3)


def test_partner_stands_a_little_to_the_right_of_its_student(tmp_path: Path) -> None:
    drawn = traces(verified_figure(usual(tmp_path)))
    student, partner = drawn["kd (distilled), on the front"], drawn["labels only, partner"]
    assert student.x[0] == 0.2  # type: ignore[attr-defined]
    assert 0.2 < partner.x[0] < 0.21  # type: ignore[attr-defined]


def test_gains_are_in_points_with_a_row_for_all_pairs(tmp_path: Path) -> None:
    mean = traces(gain_figure(usual(tmp_path)))["mean and 95 % interval"]
    assert list(mean.y) == ["width 2 (trial 0)", "width 8 (trial 1)", "all pairs"]  # type: ignore[attr-defined]
    assert list(mean.x) == pytest.approx([-1.0, 0.3, -0.35])  # type: ignore[attr-defined]


def test_runs_that_all_failed_are_left_out(tmp_path: Path) -> None:
    study = replace(usual(tmp_path))
    sides: Sides = {(0, S): (SMALL.student, [None, None]), (0, P): (SMALL_KD, [0.96, 0.95])}
    study = replace(study, verification=verification(sides))
    assert "labels only, on the front" not in traces(verified_figure(study))
    assert "not been read" in gain_figure(study).layout.annotations[0].text
