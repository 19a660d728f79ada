"""Spans without an end, and the clock that stands still between launches."""

from collections import deque
from heapq import heappop, heappush
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results import read_study
from analysis.timeline import SearchClock, Span, closed_spans, slots_of_spans
from study.search.slots import Slots
from tests.analysis.study_directory import OBJECTIVES, MadeTrial, frozen_trial, write_study
from trainables.records import TrialRecord


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


def slots_of(root: Path, trials: list[MadeTrial]) -> dict[int, tuple[int, ...]]:
    records = read_study(write_study(root, trials)).trials
    return slots_of_spans(records, closed_spans(records))


def test_paused_trial_ran_before_on_the_slot_that_was_free_then(tmp_path: Path) -> None:
    """It stores slot 0, where it ended; there the other trial ran while it began."""
    beside = MadeTrial(spans=((0.0, 10.0),), slot=0)
    moved = MadeTrial(spans=((1.0, 4.0), (10.0, 12.0)), slot=0)
    assert slots_of(tmp_path, [beside, moved]) == {0: (0,), 1: (1, 0)}


def test_slot_is_free_once_a_trial_is_paused(tmp_path: Path) -> None:
    paused = MadeTrial(spans=((0.0, 4.0), (9.0, 12.0)), slot=1)
    beside = MadeTrial(spans=((1.0, 9.0),), slot=1)
    after = MadeTrial(spans=((4.0, 5.0), (5.0, 13.0)), slot=0)
    assert slots_of(tmp_path, [paused, beside, after]) == {0: (0, 1), 1: (1,), 2: (0, 0)}


def test_trial_without_a_slot_has_none(tmp_path: Path) -> None:
    assert slots_of(tmp_path, [MadeTrial(spans=((0.0, 4.0),), slot=None)]) == {}


@given(
    lengths=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3), min_size=1, max_size=12),
    num_slots=st.integers(1, 4),
)
def test_slots_of_paused_trials_are_those_on_which_they_ran(lengths: list[list[int]], num_slots: int) -> None:
    """A search as it goes: what waits takes the lowest free slot; after each of its stretches a trial pauses."""
    slots = Slots()
    spans: dict[int, list[Span]] = {number: [] for number in range(len(lengths))}
    ran_on: dict[int, list[int]] = {number: [] for number in spans}
    waiting, running = deque(spans), list[tuple[float, int]]()
    now = 0.0
    while waiting or running:
        while waiting and len(running) < num_slots:
            number = waiting.popleft()
            ran_on[number].append(slots.start(number))
            spans[number].append(Span(now, now + lengths[number][len(spans[number])]))
            heappush(running, (spans[number][-1].end, number))
            now += 0.001  # no two begin at once
        now, number = heappop(running)
        slots.stop(number)
        if len(spans[number]) < len(lengths[number]):
            waiting.append(number)
    records = [
        TrialRecord.from_optuna(frozen_trial(MadeTrial(slot=ran_on[number][-1]), OBJECTIVES)).model_copy(
            update={"number": number}
        )
        for number in spans
    ]
    known = slots_of_spans(records, spans)
    assert known == {number: tuple(each) for number, each in ran_on.items()}


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
