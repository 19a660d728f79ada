"""Slot use of searches whose every second is known."""

import pytest

from tests.benchmarks.slot_use import slot_use
from tests.factories import student
from tests.profiles import architecture_profile
from trainables.records import TrialRecord, TrialState

IMAGES = 10_000
SPEED = 5_000.0  # images a second of every profile in `tests.profiles`
PROFILES = {"cnn(width=2)": architecture_profile(student(width=2).model)}


def trial(
    number: int, span: tuple[float, float | None] | None, *, slot: int = 0, num_epochs: int = 1, batch_size: int = 64
) -> TrialRecord:
    epoch: dict[str, float | None] = {"train_seconds": 2.5, "evaluation_seconds": 0.5}
    return TrialRecord(
        number=number,
        state=TrialState.COMPLETE,
        parameters={},
        student=student(width=2, batch_size=batch_size),
        metrics={},
        epochs=tuple({"epoch": float(n + 1), **epoch} for n in range(num_epochs)),
        origin="search",
        duplicate_of=None if span else 0,
        reason=None,
        slot=slot if span else None,
        spans=(span,) if span else (),
        facts={},
    )


def test_slots_that_only_train_as_fast_as_alone_are_used_fully() -> None:
    alone = IMAGES / SPEED
    trials = [trial(0, (100.0, 100.0 + alone)), trial(1, (100.0, 100.0 + alone), slot=1)]
    assert slot_use(trials, PROFILES, IMAGES).fraction == pytest.approx(1.0)


def test_idle_time_of_one_of_two_slots_counts_against_the_search() -> None:
    used = slot_use([trial(0, (0.0, 4.0), num_epochs=2), trial(1, (0.0, 2.0), slot=1)], PROFILES, IMAGES)
    assert (used.num_slots, used.wall_s, used.alone_s) == (2, 4.0, 6.0)
    assert used.fraction == pytest.approx(0.75)
    assert (used.training_s, used.evaluation_s) == (7.5, 1.5)


def test_duplicate_that_was_never_trained_counts_nothing() -> None:
    without = slot_use([trial(0, (0.0, 4.0))], PROFILES, IMAGES)
    assert slot_use([trial(0, (0.0, 4.0)), trial(1, None)], PROFILES, IMAGES) == without


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([trial(0, None)], "no trial has run"),
        ([trial(0, (0.0, None))], "trial 0 has not ended"),
        ([trial(0, (0.0, 1.0), batch_size=32)], r"cnn\(width=2\): its speed at batch 32 was not measured"),
    ],
)
def test_search_that_cannot_be_judged_is_refused(trials: list[TrialRecord], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        slot_use(trials, PROFILES, IMAGES)
