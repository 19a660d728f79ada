"""What early stopping did, counted by hand: epochs trained and saved, what became of whom at each rung."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.results import read_study
from analysis.stopping import (
    MIN_ENDED_TO_PROJECT,
    Fate,
    Rung,
    epochs_trained,
    epochs_within,
    paused_at_epoch,
    rungs,
    seconds_per_epoch,
    spent,
    stopped_at_epoch,
    stopping_decision,
    stretches,
)
from study.search.projection import MIN_COMPLETE
from tests.analysis.stopped_trials import A_SEARCH, PAUSE, STOP, decision, in_full, stopped, waiting
from tests.analysis.study_directory import MadeTrial, write_study
from trainables.records import TrialRecord


def records(root: Path, trials: list[MadeTrial]) -> tuple[TrialRecord, ...]:
    return read_study(write_study(root, trials)).trials


def test_epochs_trained_are_those_of_the_last_report_not_the_number_of_reports(tmp_path: Path) -> None:
    quarter, whole, none = records(
        tmp_path, [stopped(0.5), in_full(), MadeTrial(state="running", num_epochs=0, full_epochs=4)]
    )
    assert [epochs_trained(each) for each in (quarter, whole, none)] == [0.5, 4.0, 0.0]
    assert [len(each.epochs) for each in (quarter, whole)] == [1, 5]


def test_each_trial_that_came_to_a_rung_has_one_fate_there(tmp_path: Path) -> None:
    at_half, at_one, at_two = rungs(records(tmp_path, [*A_SEARCH, waiting(0.5)]))
    fates = dict.fromkeys(Fate, 0)
    assert at_half == Rung(0.5, 7, fates | {Fate.WENT_ON: 4, Fate.PROMOTED: 1, Fate.STOPPED: 1, Fate.WAITS: 1})
    assert at_one == Rung(1.0, 4, fates | {Fate.WENT_ON: 3, Fate.STOPPED: 1})
    assert at_two == Rung(2.0, 3, fates | {Fate.WENT_ON: 2, Fate.STOPPED: 1})


def test_trial_that_was_paused_and_then_trained_went_on_whoever_promoted_it(tmp_path: Path) -> None:
    """A study that is resumed without early stopping trains what was paused, and no decision says so."""
    made = MadeTrial(full_epochs=4, told_at=(0.5, 4), decisions=[decision(0.5, PAUSE)])
    (rung,) = rungs(records(tmp_path, [made]))
    assert rung.num_by_fate[Fate.PROMOTED] == 1


def test_stop_without_a_pause_is_a_stop(tmp_path: Path) -> None:
    made = MadeTrial(state="pruned", full_epochs=4, told_at=(0.5,), decisions=[decision(0.5, STOP)])
    (trial,) = records(tmp_path, [made])
    assert rungs([trial])[0].num_by_fate[Fate.STOPPED] == 1
    assert stopping_decision(trial) == trial.decisions[0]
    assert paused_at_epoch(trial) is None


def test_duplicate_of_a_stopped_trial_was_not_stopped_and_saved_nothing(tmp_path: Path) -> None:
    trials = records(tmp_path, [stopped(1.0), MadeTrial(state="pruned", num_epochs=0, duplicate_of=0)])
    assert [stopped_at_epoch(each) for each in trials] == [1.0, None]
    assert spent(trials).full_epochs == 4.0


def test_student_that_was_refused_was_not_stopped_and_saved_nothing(tmp_path: Path) -> None:
    """What is known to break a constraint would not have been trained without early stopping either."""
    refused = MadeTrial(state="pruned", num_epochs=0, breaks="latency_p50_ms_batch1 <= 0.1")
    trials = records(tmp_path, [stopped(1.0), refused])
    assert [stopped_at_epoch(each) for each in trials] == [1.0, None]
    assert spent(trials).full_epochs == 4.0


def test_pause_is_remembered_once_the_trial_has_gone_on(tmp_path: Path) -> None:
    promoted, waits, never = records(tmp_path, [in_full(paused_at=(0.5, 1)), waiting(2.0), in_full()])
    assert [paused_at_epoch(each) for each in (promoted, waits, never)] == [1.0, 2.0, None]
    assert stopped_at_epoch(waits) is None


def test_epochs_that_were_not_trained_are_told_apart_by_why(tmp_path: Path) -> None:
    told = spent(records(tmp_path, [*A_SEARCH, waiting(0.5)]))
    assert told.trained_epochs == 12.0 + 0.5
    assert told.full_epochs == 24.0 + 4.0
    assert told.saved_epochs == 3.0 + 3.5 + 2.0
    assert told.failed_epochs == 3.5
    assert told.open_epochs == 3.5


def test_seconds_saved_are_by_the_trials_own_speed_less_the_validations_at_rungs(tmp_path: Path) -> None:
    """2 s an epoch and 0.1 s a validation: in full 4 x 2.1 s; trained were 2 epochs, validated 3 times."""
    (trial,) = trials = records(tmp_path, [stopped(2.0, seconds=(2.0, 0.1))])
    told = spent(trials)
    assert seconds_per_epoch(trial) == pytest.approx(2.0)
    assert told.seconds == pytest.approx(4.3)
    assert told.full_seconds == pytest.approx(8.4)


def test_rungs_within_an_epoch_cost_a_student_that_is_trained_in_full_a_validation_each(tmp_path: Path) -> None:
    told = spent(records(tmp_path, [in_full(seconds=(2.0, 0.1))]))
    assert told.seconds is not None
    assert told.full_seconds is not None
    assert told.seconds - told.full_seconds == pytest.approx(0.1)


def test_seconds_are_unknown_where_one_trial_did_not_tell(tmp_path: Path) -> None:
    told = spent(records(tmp_path, [stopped(2.0, seconds=(2.0, 0.1)), stopped(2.0)]))
    assert told.seconds is None
    assert told.full_seconds is None


def test_stretches_reach_from_rung_to_rung_up_to_the_longest_training(tmp_path: Path) -> None:
    assert stretches(records(tmp_path, A_SEARCH)) == ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 4.0))


@given(
    epochs=st.floats(0.0, 20.0),
    cuts=st.lists(st.floats(0.01, 20.0), min_size=1, max_size=6, unique=True).map(sorted),
)
def test_epochs_of_all_stretches_add_up_to_what_was_trained(epochs: float, cuts: list[float]) -> None:
    ends = [0.0, *cuts, 20.0]
    total = sum(epochs_within(epochs, start, end) for start, end in pairwise(ends))
    assert total == pytest.approx(epochs)


def test_a_gain_counts_as_projected_from_where_the_search_projects() -> None:
    assert MIN_ENDED_TO_PROJECT == MIN_COMPLETE
