"""Spans without an end, and the clock that stands still between launches."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results import read_study
from analysis.timeline import SearchClock, Span, closed_spans
from tests.analysis.study_directory import MadeTrial, write_study


def spans_of(root: Path, trials: list[MadeTrial]) -> dict[int, tuple[Span, ...]]:
    return closed_spans(read_study(write_study(root, trials)).trials)


def test_running_trial_reaches_to_the_last_moment_that_any_trial_recorded(tmp_path: Path) -> None:
    trials = [MadeTrial(state="running", spans=((10.0, None),)), MadeTrial(spans=((5.0, 42.0),))]
    assert spans_of(tmp_path, trials)[0] == (Span(10.0, 42.0),)


def test_killed_launch_ends_at_its_last_sign_of_life_not_at_the_resume(tmp_path: Path) -> None:
    killed = MadeTrial(spans=((10.0, None), (5000.0, 5020.0)))
    other = MadeTrial(spans=((12.0, 30.0),))
    assert spans_of(tmp_path, [killed, other])[0] == (Span(10.0, 30.0), Span(5000.0, 5020.0))


def test_lone_running_trial_has_an_empty_span(tmp_path: Path) -> None:
    assert spans_of(tmp_path, [MadeTrial(state="running", spans=((10.0, None),))])[0] == (Span(10.0, 10.0),)


def test_trial_that_never_ran_has_no_spans(tmp_path: Path) -> None:
    assert spans_of(tmp_path, [MadeTrial(spans=())]) == {}


def test_clock_leaves_out_the_pause_between_two_launches() -> None:
    clock = SearchClock.over([Span(100.0, 160.0), Span(4000.0, 4010.0)])
    assert clock.seconds(160.0) == 60.0
    assert clock.seconds(2000.0) == 60.0
    assert clock.seconds(4010.0) == 70.0
    assert clock.pauses == (60.0,)


def test_clock_counts_the_short_gap_between_two_trials_of_a_launch() -> None:
    clock = SearchClock.over([Span(0.0, 10.0), Span(15.0, 20.0)])
    assert clock.seconds(20.0) == 20.0
    assert clock.pauses == ()


def test_clock_counts_trials_side_by_side_once() -> None:
    assert SearchClock.over([Span(0.0, 10.0), Span(2.0, 8.0), Span(5.0, 12.0)]).seconds(12.0) == 12.0


def test_clock_stands_at_zero_before_the_search() -> None:
    assert SearchClock.over([Span(10.0, 20.0)]).seconds(3.0) == 0.0
    assert SearchClock.over([]).seconds(3.0) == 0.0


@given(
    spans=st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 200)), min_size=1, max_size=8),
    moments=st.lists(st.integers(-10, 1300), min_size=2, max_size=10),
)
def test_clock_never_runs_backwards_and_ends_at_the_time_covered(
    spans: list[tuple[int, int]], moments: list[int]
) -> None:
    clock = SearchClock.over([Span(start, start + length) for start, length in spans], longest_gap_s=0.0)
    readings = [clock.seconds(moment) for moment in sorted(moments)]
    assert readings == sorted(readings)
    covered = {second for start, length in spans for second in range(start, start + length)}
    assert clock.seconds(2000.0) == pytest.approx(len(covered))
