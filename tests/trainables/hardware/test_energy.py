"""A board's energy shared out: laws that any such sharing must keep, and the model's own numbers."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.hardware.energy import EnergySplit, drawn_joules, split_energy
from trainables.hardware.telemetry import Reading, energies
from trainables.metrics import METRICS, Source

JOULES = st.floats(0.0, 1e7)
WATTS = st.floats(0.0, 1e3)
SECONDS = st.floats(0.0, 1e5)
BUSY = st.dictionaries(st.integers(1, 2**22), st.floats(0.0, 1e4), max_size=9)


def split(joules: float, idle_watts: float, seconds: float, busy: dict[int, float]) -> EnergySplit:
    found = split_energy(joules, idle_watts=idle_watts, seconds=seconds, busy_by_pid=busy)
    assert found is not None
    return found


@given(JOULES, WATTS, SECONDS, BUSY)
def test_parts_and_residual_are_the_board_s_energy_and_none_is_negative(
    joules: float, idle_watts: float, seconds: float, busy: dict[int, float]
) -> None:
    found = split(joules, idle_watts, seconds, busy)
    total = math.fsum(found.joules_by_pid.values()) + found.residual_joules
    assert total == pytest.approx(joules, rel=1e-9, abs=1e-9)
    assert min([found.residual_joules, *found.joules_by_pid.values()]) >= 0.0


@given(JOULES, WATTS, SECONDS, BUSY)
def test_idle_power_is_nobody_s(joules: float, idle_watts: float, seconds: float, busy: dict[int, float]) -> None:
    found = split(joules, idle_watts, seconds, busy)
    idle = min(joules, idle_watts * seconds)
    assert found.residual_joules == pytest.approx(idle if sum(busy.values()) > 0.0 else joules, rel=1e-9, abs=1e-6)


@given(JOULES, WATTS, SECONDS, st.lists(st.floats(0.0, 1e4), min_size=2, max_size=9), st.randoms())
def test_a_part_hangs_on_the_time_that_a_process_ran_not_on_which_it_is(
    joules: float, idle_watts: float, seconds: float, times: list[float], random: Random
) -> None:
    order = list(range(len(times)))
    random.shuffle(order)
    first = split(joules, idle_watts, seconds, dict(enumerate(times)))
    other = split(joules, idle_watts, seconds, {place: times[place] for place in order})
    renamed = split(joules, idle_watts, seconds, {place + 100: each for place, each in enumerate(times)})
    assert other.joules_by_pid == pytest.approx(first.joules_by_pid)
    assert {pid - 100: each for pid, each in renamed.joules_by_pid.items()} == first.joules_by_pid


@given(JOULES, WATTS, SECONDS, st.floats(0.001, 1e4))
def test_processes_that_ran_as_long_have_equal_parts(
    joules: float, idle_watts: float, seconds: float, time: float
) -> None:
    parts = split(joules, idle_watts, seconds, {1: time, 2: time, 3: time}).joules_by_pid
    assert parts[1] == parts[2] == parts[3]


def test_three_times_as_long_on_the_board_costs_three_times_as_much() -> None:
    """1,000 J in 5 s over 40 W: 800 J, of which 0.9 of 1.2 periods; nothing for a process that had a context alone."""
    found = split(1_000.0, 40.0, 5.0, {1: 0.3, 2: 0.9, 3: 0.0})
    assert found.joules_by_pid == pytest.approx({1: 200.0, 2: 600.0, 3: 0.0})
    assert found.residual_joules == pytest.approx(200.0)


@pytest.mark.parametrize("busy", [{}, {7: 0.0}])
def test_where_no_process_was_seen_running_all_is_nobody_s_and_nobody_s_part_is_made_up(busy: dict[int, float]) -> None:
    assert split(1_000.0, 40.0, 5.0, busy) == EnergySplit({}, 1_000.0)


@pytest.mark.parametrize(
    ("joules", "idle_watts", "busy"), [(None, 40.0, {1: 0.5}), (9.0, None, {1: 0.5}), (9.0, 40.0, None)]
)
def test_what_is_unknown_makes_the_split_unknown(
    joules: float | None, idle_watts: float | None, busy: dict[int, float] | None
) -> None:
    assert split_energy(joules, idle_watts=idle_watts, seconds=5.0, busy_by_pid=busy) is None


@pytest.mark.parametrize(
    ("begin", "end", "seconds", "joules"),
    [
        (100.0, 350.0, 2.0, 250.0),
        (100.0, 100.0, 2.0, 0.0),
        (100.0, 350.0, 1.9, None),
        (350.0, 100.0, 2.0, None),
        (None, 350.0, 2.0, None),
        (100.0, None, 2.0, None),
    ],
    ids=["drawn", "nothing drawn", "too short", "counted anew", "no begin", "no end"],
)
def test_energy_is_the_counter_s_rise_over_two_seconds_or_more(
    begin: float | None, end: float | None, seconds: float, joules: float | None
) -> None:
    assert drawn_joules(begin, end, seconds=seconds) == joules


def of_window(*readings: Reading, idle_watts: float | None = 40.0) -> list[float | None]:
    """The board's, this process's and nobody's joules over 5 s."""
    told = energies(readings[0], readings[1:], seconds=5.0, idle_watts=idle_watts)
    assert {METRICS[name].source for name in told} == {Source.SHARED}
    return [told[f"shared_{name}"] for name in ("board_energy_joules", "energy_joules", "energy_residual_joules")]


def look(joules: float | None, busy: dict[int, float] | None, pid: int | None = 1) -> Reading:
    return Reading(energy_joules=joules, busy_by_pid=busy, pid=pid)


def test_a_trial_s_energy_is_by_all_that_was_read_in_the_window_and_nothing_before_it() -> None:
    """Of 1,000 J less 200 J idle: 0.2 + 0.4 periods of 2.4. What was busy until the window began is of another."""
    told = of_window(look(50.0, {1: 9.0}), look(500.0, {1: 0.2, 2: 0.9}), look(1_050.0, {1: 0.4, 2: 0.9}))
    assert told == pytest.approx([1_000.0, 800.0 * 0.6 / 2.4, 200.0])


def test_a_look_that_failed_is_made_up_for_by_the_next() -> None:
    assert of_window(look(50.0, {}), look(None, None), look(1_050.0, {1: 0.6, 2: 1.8}))[1] == pytest.approx(200.0)


def test_in_a_container_the_trial_s_part_is_unknown_and_the_board_s_is_not() -> None:
    assert of_window(look(50.0, {}, None), look(1_050.0, {1: 0.6}, None)) == [1_000.0, None, 200.0]


def test_a_trial_that_no_sample_is_of_has_an_unknown_part_not_none_of_it() -> None:
    assert of_window(look(50.0, {}), look(1_050.0, {2: 0.6})) == [1_000.0, None, 200.0]


def test_without_idle_power_or_samples_the_board_s_energy_is_all_that_is_known() -> None:
    assert of_window(look(50.0, {}), look(1_050.0, {1: 0.6}), idle_watts=None) == [1_000.0, None, None]
    assert of_window(look(50.0, None), look(1_050.0, None)) == [1_000.0, None, None]
