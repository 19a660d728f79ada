"""Slots and co-tenants, from Tune's events."""

from hypothesis import given
from hypothesis import strategies as st

from study.search.slots import Slots


def test_a_freed_slot_is_taken_again() -> None:
    slots = Slots()
    assert [slots.start(number) for number in (10, 11, 12)] == [0, 1, 2]
    slots.stop(11)
    assert slots.start(13) == 1


def test_a_trial_started_again_after_a_failure_is_not_its_own_neighbour() -> None:
    slots = Slots()
    assert slots.start(1) == 0
    assert slots.start(1) == 0
    assert slots.num_co_tenants(1, "node a") == 0


def test_trials_on_another_node_are_no_co_tenants() -> None:
    slots = Slots()
    for number in (1, 2, 3):
        slots.start(number)
    slots.num_co_tenants(1, "a")
    slots.num_co_tenants(2, "b")
    assert slots.num_co_tenants(3, "a") == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5))))
def test_running_trials_never_share_a_slot_and_slots_stay_dense(events: list[tuple[bool, int]]) -> None:
    slots, running = Slots(), dict[int, int]()
    for starts, number in events:
        if starts:
            running[number] = slots.start(number)
        else:
            slots.stop(number)
            running.pop(number, None)
        assert len(set(running.values())) == len(running)
        assert all(slot <= 5 for slot in running.values())
