"""The scheduler as Tune calls it, and the searcher beside it, over a real storage; no Ray is started."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from study.search.scheduler import StudyScheduler
from tests.study.halving_study import Driver, driver, halving_config
from trainables.records import RungAction, RungDecision, TrialState


class Judge:
    """A proposer of which the scheduler asks nothing else."""

    own_metrics = ()

    def __init__(self, action: RungAction | None) -> None:
        self.asked: list[tuple[int, dict[str, float | None]]] = []
        self._action = action

    def judge(self, number: int, metrics: dict[str, float | None]) -> RungDecision | None:
        self.asked.append((number, metrics))
        if self._action is None:
            return None
        return RungDecision(epoch=1, action=self._action, reason="", gain_fraction=0, num_judged=1, num_ended=0)


def result(epoch: float | None) -> dict[str, Any]:
    return {"number": 3, "epoch": epoch, "validation_accuracy": 0.9, "latency_p50_ms_batch1": 0.2, "done": False}


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (None, TrialScheduler.CONTINUE),
        (RungAction.GO_ON, TrialScheduler.CONTINUE),
        (RungAction.PAUSE, TrialScheduler.STOP),
        (RungAction.STOP, TrialScheduler.STOP),
    ],
)
def test_what_does_not_go_on_ends_for_tune(action: RungAction | None, told: str) -> None:
    judge = Judge(action)
    assert StudyScheduler(judge).on_trial_result(None, None, result(0.5)) == told  # type: ignore[arg-type] # all it asks
    assert judge.asked == [(3, {"epoch": 0.5, "validation_accuracy": 0.9})]


def test_failure_is_not_judged() -> None:
    judge = Judge(RungAction.STOP)
    told = StudyScheduler(judge).on_trial_result(None, None, result(None))  # type: ignore[arg-type] # all it asks
    assert told == TrialScheduler.CONTINUE
    assert judge.asked == []


def test_tune_may_pickle_it_and_carries_nothing_away() -> None:
    scheduler = StudyScheduler(Judge(None))  # type: ignore[arg-type] # all it asks
    assert pickle.loads(pickle.dumps(scheduler)).__dict__ == {}  # noqa: S301 - our own bytes


def run_until(each: Driver, number: int) -> None:
    """Up to the end or the pause of this trial."""
    while True:
        assignment = each.hand_out()
        assert assignment is not None
        for told in each.results(assignment):
            if not each.tell(told):
                break
        if assignment.number == number:
            return


def test_slot_of_a_paused_trial_is_free_and_it_comes_again_after_its_stored_reports(tmp_path: Path) -> None:
    """The last of three at the rung lets the second go on; the slot has had another trial meanwhile."""
    with driver(tmp_path) as each:
        run_until(each, 1)
        assert each.records()[1].is_paused
        other = each.hand_out()
        assert other is not None
        assert other.number == 2
        assert each.searcher.suggest("b") is None  # the slot is taken
        told = next(iter(each.results(other)))
        assert not each.tell(told)
        again = each.hand_out()
        assert again is not None
        assert (again.number, again.num_stored_reports) == (1, 1)
        (second, *_) = each.results(again)
        assert second["epoch"] == 1.0  # 0.5 is stored, and not told again
        each.tell(second)
        record = each.records()[1]
    assert [epoch["epoch"] for epoch in record.epochs] == [0.5, 1.0]


def test_end_waits_for_those_that_run_and_then_stops_what_is_paused(tmp_path: Path) -> None:
    """What comes of a running trial may let a paused one go on."""
    with driver(tmp_path, halving_config(num_trials=3), num_slots=2) as each:
        first = each.hand_out("a")
        assert first is not None
        results = each.results(first)
        assert each.tell({**next(results), "validation_accuracy": 0.5}, "a")
        for accuracy in (0.4, 0.3):
            dominated = each.hand_out("b")
            assert dominated is not None
            assert not each.tell({**next(iter(each.results(dominated))), "validation_accuracy": accuracy}, "b")
        assert each.searcher.suggest("c") is None
        assert [record.is_paused for record in each.records().values()] == [False, True, True]
        assert [each.tell(told, "a") for told in results] == [True, True, True, False]
        assert each.searcher.suggest("c") == Searcher.FINISHED
        states = [record.state for record in each.records().values()]
        assert each.proposer.is_finished
    assert states == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED]
