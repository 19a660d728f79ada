"""A store that refuses for a while, on a clock made by hand."""

import errno
import os
from collections.abc import Callable

import pytest

from trainables.patience import LONGEST_WAIT_S, Patience, StoreUnwritableError


class Store:
    """Refuses so many times, then takes what it is given; time passes while it is waited for."""

    def __init__(self, num_refusals: int, number: int = errno.ENOSPC) -> None:
        self.num_refusals = num_refusals
        self.number = number
        self.now = 0.0
        self.waits: list[float] = []
        self.told: list[str] = []

    def write(self) -> str:
        if self.num_refusals == 0:
            return "written"
        self.num_refusals -= 1
        raise OSError(self.number, os.strerror(self.number))

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def patience(self, seconds: float) -> Patience:
        return Patience("DIR", seconds, tell=self.told.append, sleep=self.sleep, clock=lambda: self.now)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ESTALE, errno.EDQUOT, errno.EIO])
def test_write_that_is_refused_for_a_while_is_made_and_told_of_twice(number: int) -> None:
    store = Store(6, number)
    assert store.patience(60.0).run(store.write) == "written"
    assert store.waits == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_WAIT_S]
    assert store.told == [
        f"DIR cannot be written to ({os.strerror(number)}): trying again for 1 min",
        "DIR can be written to again",
    ]


def test_work_between_two_refusals_is_counted_as_a_minute_of_waiting_at_most() -> None:
    """A stage that goes on for an hour after its first refusal has not waited for one."""
    store = Store(3)

    def work() -> str:
        store.now += 3_600.0
        return store.write()

    assert store.patience(600.0).run(work) == "written"
    assert store.waits == [0.5, 1.0, 2.0]
    always = Store(1_000)

    def always_in_vain() -> str:
        always.now += 3_600.0
        return always.write()

    with pytest.raises(StoreUnwritableError, match="for 10 min"):
        always.patience(600.0).run(always_in_vain)
    assert always.now <= 12 * 3_600.0


def test_what_is_refused_for_all_the_time_is_given_up_and_the_next_refusal_is_final_at_once() -> None:
    store = Store(1_000)
    patience = store.patience(60.0)
    with pytest.raises(StoreUnwritableError, match=r"DIR cannot be written to \(No space left on device\), for 1 min"):
        patience.run(store.write)
    assert sum(store.waits) == pytest.approx(60.0)
    num_waits = len(store.waits)
    with pytest.raises(StoreUnwritableError, match="for 1 min"):
        patience.run(store.write)
    assert len(store.waits) == num_waits
    assert patience.given_up is not None
    assert patience.given_up.errno == errno.ENOSPC


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_write_that_is_taken_at_once_is_not_told_of(seconds: float) -> None:
    store = Store(0)
    assert store.patience(seconds).run(store.write) == "written"
    assert (store.waits, store.told) == ([], [])


@pytest.mark.parametrize(
    ("seconds", "number"), [(60.0, errno.EACCES), (60.0, errno.ENOENT), (0.0, errno.ENOSPC)], ids=str
)
def test_what_does_not_pass_or_may_not_be_waited_for_is_told_as_it_is(seconds: float, number: int) -> None:
    store = Store(1, number)
    act: Callable[[], str] = store.write
    with pytest.raises(OSError, match=os.strerror(number)) as raised:
        store.patience(seconds).run(act)
    assert not isinstance(raised.value, StoreUnwritableError)
    assert store.waits == []
