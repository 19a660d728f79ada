"""What is told to Prometheus, held against numbers by hand."""

import itertools
import math
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given

from study.watch.readings import (
    GAUGES,
    SPEED_BUCKETS,
    SPEEDS,
    StudyView,
    images_per_second,
    readings,
    running,
    shown_objectives,
)
from tests.study.watch.views import epochs, finished, status, trial, view
from trainables.config import TransferConfig
from trainables.metrics import Direction, Metric, Source, metric
from trainables.records import TrialState


def values(seen: StudyView, name: str) -> dict[tuple[str, ...], float]:
    """By the values of the tags other than the study."""
    found = [each for each in readings(seen) if each.name == name]
    return {tuple(text for tag, text in each.tags.items() if tag != "study"): each.value for each in found}


def busy() -> StudyView:
    """Two at work, one stopped after one of its four epochs, one failed after two, one finished."""
    return view(
        [
            finished(0, 0.9, 2.0),
            trial(1, TrialState.PRUNED, epochs=epochs(1)),
            trial(2, TrialState.FAILED, epochs=epochs(1, 2)),
            trial(3, TrialState.RUNNING, slot=0, epochs=epochs(1, 2, 3, shared_cpu_utilization_fraction=0.75)),
            trial(4, TrialState.RUNNING, slot=1),
        ],
        status=status(num_trials={"complete": 1, "running": 2}, front=({},), seconds_left=90.0),
    )


def test_every_reading_is_declared_with_its_tags() -> None:
    told = readings(busy())
    assert {each.name for each in told} == set(GAUGES)
    for each in told:
        assert set(each.tags) == set(GAUGES[each.name].tags)
        assert each.tags["study"] == "/studies/a"
        assert math.isfinite(each.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kd_study_stage", {("search",): 1.0}),
        ("kd_study_target_trials", {(): 24.0}),
        ("kd_study_front_students", {(): 1.0}),
        ("kd_study_seconds_left", {(): 90.0}),
        ("kd_study_epochs", {("trained",): 10.0, ("saved",): 3.0, ("failed",): 2.0, ("open",): 5.0}),
        ("kd_study_device_share_fraction", {("CPU",): 0.5}),
        ("kd_study_slot_trial", {("0",): 3.0, ("1",): 4.0}),
        ("kd_study_slot_epoch", {("0",): 3.0, ("1",): 0.0}),
        ("kd_study_slot_objective", {("0", "validation_accuracy"): 0.5}),
        ("kd_study_slot_train_loss", {("0",): 1.5}),
        ("kd_study_slot_images_per_second", {("0",): 500.0}),
        ("kd_study_slot_utilization_fraction", {("0", "CPU"): 0.75}),
    ],
)
def test_readings_of_a_busy_study(name: str, expected: Mapping[tuple[str, ...], float]) -> None:
    assert values(busy(), name) == expected


def test_state_that_no_trial_is_in_any_more_is_told_as_none() -> None:
    """A line that ended would stand at its last value."""
    assert values(busy(), "kd_study_trials") == {
        ("waiting",): 0.0, ("running",): 2.0, ("complete",): 1.0, ("pruned",): 0.0, ("fail",): 0.0, ("paused",): 0.0,
    }  # fmt: skip


def test_what_is_unknown_is_not_told() -> None:
    told = {each.name for each in readings(view([], devices={}))}
    assert told == {
        "kd_study_stage", "kd_study_trials", "kd_study_target_trials", "kd_study_front_students", "kd_study_epochs",
    }  # fmt: skip
    assert (
        values(view([trial(0, TrialState.RUNNING, epochs=epochs(1, train_loss=None))]), "kd_study_slot_train_loss")
        == {}
    )


def test_number_of_series_does_not_grow_with_the_study() -> None:
    few = [*(finished(number, 0.9, 2.0) for number in range(3)), *busy().trials[3:]]
    many = [*(finished(number, 0.9, 2.0) for number in range(300)), *busy().trials[3:]]
    first, second = ({(each.name, *each.tags.values()) for each in readings(view(trials))} for trials in (few, many))
    assert first == second


def test_hypervolume_is_the_area_up_to_the_reference() -> None:
    """Points (0.9, 2) and (0.5, 1): the reference lies 10 % of each range beyond the worst, at (0.46, 2.1)."""
    seen = view([finished(0, 0.9, 2.0), finished(1, 0.5, 1.0)])
    area = (0.9 - 0.46) * (2.1 - 2.0) + (0.5 - 0.46) * (2.0 - 1.0)
    assert values(seen, "kd_study_hypervolume")[()] == pytest.approx(area)
    assert values(view([trial(0, TrialState.PRUNED)]), "kd_study_hypervolume") == {}


OBJECTIVE_PAIRS = st.tuples(st.floats(0.0, 1.0), st.floats(0.1, 10.0))


@given(more=st.lists(OBJECTIVE_PAIRS, min_size=1, max_size=8))
def test_hypervolume_never_falls_once_two_students_differ(more: list[tuple[float, float]]) -> None:
    pairs = [(0.9, 2.0), (0.5, 1.0), *more]
    areas = [
        values(view([finished(number, *pair) for number, pair in enumerate(pairs[:count])]), "kd_study_hypervolume")[()]
        for count in range(2, len(pairs) + 1)
    ]
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(areas))


def test_slot_is_that_of_the_trial_that_began_last() -> None:
    """A process that died leaves its trial running until Tune has begun it again, elsewhere."""
    died, next_one = trial(0, TrialState.RUNNING, began_s=1.0), trial(1, TrialState.RUNNING, began_s=2.0)
    assert running(view([next_one, died])) == [next_one]


@pytest.mark.parametrize(
    "idle",
    [
        trial(0, TrialState.RUNNING, began_s=-5.0),
        trial(0, TrialState.RUNNING, paused_at_epoch=2.0),
        trial(0, TrialState.RUNNING, spans=(), slot=None),
        finished(0, 0.9, 1.0),
    ],
    ids=["an earlier launch's", "paused", "asked ahead", "ended"],
)
def test_trial_that_is_not_at_work_holds_no_slot(idle: object) -> None:
    assert running(view([idle])) == []  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("numbers", "place", "expected"),
    [((1.0,), 0, 500.0), ((0.25,), 0, 125.0), ((0.5, 2.0), 1, 750.0)],
)
def test_speed_is_of_the_images_between_two_reports(numbers: tuple[float, ...], place: int, expected: float) -> None:
    """1,000 images an epoch, 2 s between reports."""
    seen = trial(0, TrialState.RUNNING, epochs=epochs(*numbers))
    assert images_per_second(seen, place, lambda _: 1_000) == expected


def test_speed_counts_the_images_of_the_students_own_transfer_set() -> None:
    whole = trial(0, TrialState.RUNNING, epochs=epochs(1.0))
    assert whole.student is not None
    part = whole.model_copy(
        update={"student": whole.student.model_copy(update={"transfer": TransferConfig(share=0.1)})}
    )
    assert images_per_second(part, 0, view([]).images_per_epoch) == 50.0
    assert (
        images_per_second(trial(0, TrialState.RUNNING, epochs=epochs(1.0, train_seconds=None)), 0, lambda _: 9) is None
    )


def test_objectives_shown_are_those_that_training_moves() -> None:
    own = Metric("validation_macro_f1", "macro F1", "fraction", Direction.MAXIMIZE, Source.TRAINING)
    latency, accuracy = metric("latency_p50_ms_batch1"), metric("validation_accuracy")
    assert shown_objectives([own, latency]) == (own,)
    assert shown_objectives([accuracy, own]) == (accuracy, own)
    assert shown_objectives([latency]) == (accuracy,)


def test_buckets_rise_and_reach_from_a_busy_core_to_a_whole_gpu() -> None:
    assert list(SPEED_BUCKETS) == sorted(SPEED_BUCKETS)
    assert SPEED_BUCKETS[0] <= 10.0
    assert SPEED_BUCKETS[-1] >= 300_000.0
    assert SPEEDS.name not in GAUGES
