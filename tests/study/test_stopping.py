"""Early stopping in a study: what is decided is stored first, and a driver that died anywhere decides alike."""

from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from study.search.ledger import Ledger
from study.search.pareto_halving import ParetoHalving
from tests.study.halving_study import Driver, Metrics, PowerCutError, curve, driver, halving_config, power_cut
from trainables.config import TrialAssignment
from trainables.records import RungAction, TrialRecord, TrialState


def handed_out(each: Driver) -> TrialAssignment:
    assignment = each.hand_out()
    assert assignment is not None
    return assignment


def run_until_pause(each: Driver, number: int) -> TrialAssignment:
    """Until this trial waits at a rung."""
    while True:
        assignment = handed_out(each)
        for result in each.results(assignment):
            if not each.tell(result):
                break
        if assignment.number == number:
            assert each.records()[number].is_paused
            return assignment


def summary(record: TrialRecord) -> tuple[Any, ...]:
    return record.state, record.decisions, record.reason, record.epochs, record.metrics


def test_decision_is_stored_before_it_is_told(tmp_path: Path) -> None:
    with driver(tmp_path) as each:
        assignment = handed_out(each)
        result = next(iter(each.results(assignment)))
        told = []
        with power_cut(0):
            told.append(each.scheduler.on_trial_result(None, None, result))
        assert told == []
        assert each.scheduler.on_trial_result(None, None, result) == TrialScheduler.CONTINUE
        record = each.records()[assignment.number]
    assert [(decision.epoch, decision.action) for decision in record.decisions] == [(0.5, RungAction.GO_ON)]
    assert record.epochs == ()


def test_driver_that_died_between_a_decision_and_its_epoch_decides_the_same_and_counts_once(tmp_path: Path) -> None:
    trained: dict[int, int] = {}
    with driver(tmp_path, trained=trained) as each:
        run_until_pause(each, 1)
        assignment = handed_out(each)
        told = each.proposer.judge(assignment.number, next(iter(each.results(assignment))))  # and it dies
    with driver(tmp_path, trained=trained) as each:
        again = handed_out(each)
        assert (again.number, again.num_stored_reports) == (assignment.number, 0)
        result = next(iter(each.results(again)))
        assert [each.proposer.judge(again.number, result) for _ in range(2)] == [told, told]
        each.tell(result)
        following = each.proposer.next()
        assert following is not None
        decision = each.proposer.judge(following.number, curve(following.student, following.report_at)[0])
    assert told is not None
    assert decision is not None
    assert (told.num_judged, decision.num_judged) == (3, 4)


def test_decision_that_is_told_again_is_the_stored_one_whoever_came_meanwhile(tmp_path: Path) -> None:
    """With several workers a better one may be at the rung first: anew, the trial would be second of two."""
    with driver(tmp_path) as each:
        first = handed_out(each)
        told = each.proposer.judge(first.number, curve(first.student, first.report_at)[0])  # and it dies
    with driver(tmp_path) as each:
        rival = each.proposer.next()
        while rival is not None and rival.student.model != first.student.model:
            rival = each.proposer.next()
        assert rival is not None
        better: Metrics = {**curve(rival.student, rival.report_at)[0], "validation_accuracy": 0.99}
        assert each.proposer.judge(rival.number, better) is not None
        again = handed_out(each)
        assert again.number == first.number
        assert each.proposer.judge(again.number, next(iter(each.results(again)))) == told
    assert told is not None
    assert told.num_judged == 1


def test_driver_that_died_between_the_decision_to_pause_and_the_pause_has_paused_it_when_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise PowerCutError

    with monkeypatch.context() as patch, driver(tmp_path) as each:
        patch.setattr(Ledger, "pause", die)
        with pytest.raises(PowerCutError):
            each.run()
        cut_off = next(number for number, record in each.records().items() if record.pending_decision is not None)
        assert not each.records()[cut_off].is_paused
    with driver(tmp_path) as each:
        record = each.records()[cut_off]
        assert (record.is_paused, record.paused_at_epoch, record.pending_decision) == (True, 0.5, None)
        assert record.spans[-1][1] is not None
        assert handed_out(each).number != cut_off


def test_driver_that_died_between_the_decision_to_stop_and_the_stop_has_stopped_it_when_reopened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise PowerCutError

    config = halving_config(halving={"first_rung": 0.5, "pauses": False})
    with monkeypatch.context() as patch, driver(tmp_path, config) as each:
        patch.setattr("study.search.proposer.Proposer.prune", die)
        with pytest.raises(PowerCutError):
            each.run()
        cut_off = max(number for number, record in each.records().items() if record.decisions)
    with driver(tmp_path) as each:
        record = each.records()[cut_off]
    assert record.state is TrialState.PRUNED
    assert record.reason == record.decisions[-1].reason
    assert record.metrics["epoch"] == 0.5
    assert record.metrics["latency_p50_ms_batch1"] == 2.0


def test_driver_that_died_between_a_promotion_and_unpausing_hands_the_trial_out_as_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage says that it is promoted, and that it is paused: it is not promoted a second time."""

    def die(*_: object) -> None:
        raise PowerCutError

    with driver(tmp_path) as each:
        run_until_pause(each, 2)
        monkeypatch.setattr(Ledger, "unpause", die)
        with pytest.raises(PowerCutError):
            each.hand_out()
        monkeypatch.undo()
        promoted = next(
            record for record in each.records().values() if record.decisions and record.decisions[0].promoted
        )
        assert promoted.is_paused
    with driver(tmp_path) as each:
        monkeypatch.setattr(ParetoHalving, "promotion", die)
        again = handed_out(each)
        assert (again.number, again.num_stored_reports) == (promoted.number, 1)
        assert not each.records()[promoted.number].is_paused


def test_paused_trial_is_running_without_a_slot_survives_reopening_and_goes_on_in_a_new_span(tmp_path: Path) -> None:
    with driver(tmp_path) as each:
        run_until_pause(each, 2)
    with driver(tmp_path) as each:
        record = each.records()[1]
        assert (record.state, record.is_paused, record.paused_at_epoch) == (TrialState.RUNNING, True, 0.5)
        assert record.facts == {"hostname": "here"}
        assert [end is None for _, end in record.spans] == [False]
        assert handed_out(each).number == 1
        record = each.records()[1]
        assert (record.is_paused, record.paused_at_epoch) == (False, None)
        assert [end is None for _, end in record.spans] == [False, True]
        assert record.spans[0][1] is not None
        assert record.spans[0][1] <= record.spans[1][0]


def test_what_is_paused_when_the_search_ends_is_pruned_with_the_reason_and_its_checkpoint_goes(tmp_path: Path) -> None:
    with driver(tmp_path) as each:
        each.paths.checkpoint(0).parent.mkdir()
        for number in range(12):
            each.paths.checkpoint(number).touch()
        handed = each.run()
        assert each.proposer.is_finished
        records = each.records()
        left = [number for number in range(12) if each.paths.checkpoint(number).exists()]
    assert left == []
    assert {assignment.number for assignment in handed} == set(range(12))
    stopped = [record for record in records.values() if record.state is TrialState.PRUNED]
    assert stopped
    for record in stopped:
        decision = record.decisions[-1]
        assert record.reason == f"paused after epoch {decision.epoch:g} ({decision.reason}) until the search ended"
        assert record.metrics["epoch"] == decision.epoch
        assert "latency_p50_ms_batch1" in record.metrics
        assert not record.may_stand_on_a_front


def test_interrupted_come_before_promoted_and_those_before_new_ones(tmp_path: Path) -> None:
    with driver(tmp_path) as each:
        run_until_pause(each, 2)
        interrupted = each.proposer.next()
        assert interrupted is not None
        each.proposer.started(interrupted.number, 0)
        paused = [number for number, record in each.records().items() if record.is_paused]
    with driver(tmp_path) as each:
        first, second, third = each.proposer.going_on(), each.proposer.going_on(), each.proposer.going_on()
        new = each.proposer.next()
    assert first is not None
    assert second is not None
    assert new is not None
    assert first.number == interrupted.number
    assert second.number in paused
    assert third is None
    assert new.num_stored_reports == 0
    assert new.number not in {*paused, interrupted.number}


@pytest.mark.parametrize("writes", [7, 8, 9, 11, 13])
def test_study_whose_driver_dies_again_and_again_decides_as_an_undisturbed_one(tmp_path: Path, writes: int) -> None:
    """Each life makes so many writes, and the next one is lost: in the end everything stands as if none had died."""
    with driver(tmp_path / "whole") as each:
        each.run()
        whole = each.records()
    num_lives, is_finished, trained = 0, False, dict[int, int]()
    while not is_finished:
        num_lives += 1
        assert num_lives < 100
        with power_cut(writes), driver(tmp_path / "cut", trained=trained) as each:
            each.run()
            is_finished = True
            cut = each.records()
    assert num_lives > 10
    assert {number: summary(record) for number, record in cut.items()} == {
        number: summary(record) for number, record in whole.items()
    }
    actions = {decision.action for record in whole.values() for decision in record.decisions}
    assert actions == {RungAction.GO_ON, RungAction.PAUSE}
    assert any(decision.promoted for record in whole.values() for decision in record.decisions)


def test_baselines_are_spared_where_that_is_asked(tmp_path: Path) -> None:
    config = halving_config(halving={"first_rung": 0.5, "least_gain": 0.02, "spares_baselines": True})
    with driver(tmp_path, config) as each:
        each.run()
        records = each.records()
    baselines = [record for record in records.values() if record.origin == "baseline"]
    assert len(baselines) == 6
    assert {record.state for record in baselines} == {TrialState.COMPLETE}
    assert any(decision.reason.endswith("; a baseline, spared") for each in baselines for decision in each.decisions)
    assert any(record.state is TrialState.PRUNED for record in records.values() if record.origin == "search")


@pytest.mark.parametrize("value", [None, float("nan")])
def test_trial_that_does_not_know_an_objective_is_not_judged(tmp_path: Path, value: float | None) -> None:
    with driver(tmp_path) as each:
        assignment = handed_out(each)
        metrics: Metrics = {**curve(assignment.student, (0.5,))[0], "validation_accuracy": value}
        assert each.proposer.judge(assignment.number, metrics) is None
        assert each.records()[assignment.number].decisions == ()


def test_search_without_early_stopping_judges_nobody_and_reports_whole_epochs(tmp_path: Path) -> None:
    with driver(tmp_path, halving_config(early_stopping="none", num_trials=3)) as each:
        assert {assignment.report_at for assignment in each.run()} == {()}
        records = each.records()
    assert [(record.state, record.decisions, len(record.epochs)) for record in records.values()] == [
        (TrialState.COMPLETE, (), 4)
    ] * 3
