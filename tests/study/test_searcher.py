"""The searcher as Tune calls it, over a real storage; no Ray is started."""

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

import search_spaces
from study import store as stores
from study.search.proposer import Proposal, Proposer
from study.search.searcher import StudySearcher
from study.search.slots import Slots
from tests.factories import study_config
from trainables.config import TrialAssignment
from trainables.records import TrialState


class Harness:
    """A searcher, its proposer, and Tune's part played by hand."""

    def __init__(self, store: stores.StudyStore, num_slots: int) -> None:
        space = search_spaces.build(store.config.space)
        self.proposer = Proposer(store, space, lambda _: {"latency_p50_ms_batch1": 0.2})
        self.searcher = StudySearcher(self.proposer, assign, Slots(), num_slots)

    def start(self, trial_id: str) -> dict[str, Any]:
        given = self.searcher.suggest(trial_id)
        while given is None and self.searcher._asked is not None:  # Tune asks again in its next step
            self.searcher._asked.result()
            given = self.searcher.suggest(trial_id)
        assert isinstance(given, dict)
        return given

    def num_asked(self) -> int:
        if self.searcher._asked is not None:
            self.searcher._asked.result()
        return sum(record.student is not None for record in self.proposer.records())


def assign(proposal: Proposal) -> TrialAssignment:
    return TrialAssignment(
        number=proposal.number,
        student=proposal.student,
        isolated=dict(proposal.isolated),
        num_stored_reports=proposal.num_stored_reports,
        checkpoint="c",
        weights="w",
    )


def result(number: int, epoch: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "number": number,
        "epoch": epoch,
        "validation_accuracy": 0.9,
        "latency_p50_ms_batch1": 0.2,
        "finished": False,
        "failure": None,
        "done": False,
        "node_ip": "here",
        "hostname": "host",
        "time_total_s": 3.0,
        **fields,
    }


@pytest.fixture
def one_slot(tmp_path: Path) -> Iterator[Harness]:
    with stores.create(tmp_path, study_config(search={"num_trials": 3, "sampler": "random"})) as store:
        yield Harness(store, num_slots=1)


def test_never_more_trials_at_once_than_slots_and_one_asked_ahead(one_slot: Harness) -> None:
    one_slot.start("a")
    assert one_slot.searcher.suggest("b") is None
    assert one_slot.num_asked() == 2
    assert one_slot.searcher.suggest("b") is None
    assert one_slot.num_asked() == 2


def test_search_ends_when_the_study_has_its_trials(one_slot: Harness) -> None:
    for trial_id in "abc":
        number = one_slot.start(trial_id)["number"]
        one_slot.searcher.on_trial_complete(trial_id, result(number, finished=True, done=True))
    assert one_slot.searcher.suggest("d") == Searcher.FINISHED
    assert one_slot.proposer.is_finished
    assert [record.state for record in one_slot.proposer.records()] == [TrialState.COMPLETE] * 3


def test_epochs_are_stored_as_they_come_and_the_last_with_the_end(one_slot: Harness) -> None:
    number = one_slot.start("a")["number"]
    one_slot.searcher.on_trial_result("a", result(number, epoch=1))
    one_slot.searcher.on_trial_complete("a", result(number, epoch=2, finished=True, done=True))
    record = one_slot.proposer.records()[number]
    assert [epoch["epoch"] for epoch in record.epochs] == [1, 2]
    assert "latency_p50_ms_batch1" not in record.epochs[0]
    assert record.epochs[0]["num_co_tenants"] == 0.0
    assert record.metrics["latency_p50_ms_batch1"] == 0.2
    assert record.metrics["epoch"] == 2
    assert "time_total_s" not in record.metrics
    assert record.facts == {"hostname": "host"}


def test_trial_that_tune_stopped_is_pruned_not_complete(one_slot: Harness) -> None:
    """Stock OptunaSearch tells it as COMPLETE, with its half-trained values."""
    number = one_slot.start("a")["number"]
    one_slot.searcher.on_trial_complete("a", result(number, epoch=1, done=True))
    record = one_slot.proposer.records()[number]
    assert record.state is TrialState.PRUNED
    assert record.reason == "stopped after epoch 1"


def test_failure_that_a_trial_reports_is_its_reason(one_slot: Harness) -> None:
    number = one_slot.start("a")["number"]
    one_slot.searcher.on_trial_complete("a", result(number, failure="OutOfMemoryError: 2 GiB", done=True))
    record = one_slot.proposer.records()[number]
    assert (record.state, record.reason) == (TrialState.FAILED, "OutOfMemoryError: 2 GiB")


@pytest.mark.parametrize("told", [{"error": True}, {"result": None}, {"result": {"done": True}}])
def test_trial_whose_process_ended_without_a_result_goes_on_at_once(one_slot: Harness, told: dict[str, Any]) -> None:
    number = one_slot.start("a")["number"]
    one_slot.searcher.on_trial_result("a", result(number, epoch=1))
    one_slot.searcher.on_trial_complete("a", **told)
    again = one_slot.start("b")
    assert (again["number"], again["num_stored_reports"]) == (number, 1)
    assert one_slot.proposer.records()[number].state is TrialState.RUNNING


def test_trial_whose_process_ends_too_often_failed_and_the_next_one_begins(one_slot: Harness) -> None:
    """`resources.max_failures` restarts: six processes in all where nothing else is asked for."""
    numbers = []
    for trial_id in "abcdef":
        numbers.append(one_slot.start(trial_id)["number"])
        one_slot.searcher.on_trial_complete(trial_id, error=True)
    assert numbers == [numbers[0]] * 6
    record = one_slot.proposer.records()[numbers[0]]
    assert record.state is TrialState.FAILED
    assert "its process ended 6 times (resources.max_failures = 5)" in str(record.reason)
    assert one_slot.start("g")["number"] != numbers[0]


def test_next_trial_is_asked_before_the_end_of_its_predecessor_is_told(one_slot: Harness) -> None:
    """Whichever is the faster: with one worker the history that the sampler sees is always the same."""
    seen: list[TrialState] = []
    slow_sampler = threading.Event()
    ask = one_slot.proposer._ask

    def watched() -> Any:
        if one_slot.proposer.records():
            slow_sampler.wait(10)
            seen.append(one_slot.proposer.records()[0].state)
        return ask()

    one_slot.proposer._ask = watched  # type: ignore[method-assign]
    number = one_slot.start("a")["number"]
    threading.Timer(0.3, slow_sampler.set).start()
    one_slot.searcher.on_trial_complete("a", result(number, finished=True, done=True))
    assert seen == [TrialState.RUNNING]
    assert one_slot.proposer.records()[0].state is TrialState.COMPLETE


def test_tune_may_pickle_it_and_carries_nothing_away(one_slot: Harness) -> None:
    assert pickle.loads(pickle.dumps(one_slot.searcher)).__dict__ == {}  # noqa: S301 - our own bytes


def test_successor_of_an_interrupted_trial_is_asked_when_it_starts_again(tmp_path: Path) -> None:
    """Asked after its end instead, a sampler that models would know more and ask for another."""
    config = study_config(search={"num_trials": 3, "sampler": "random"})
    with stores.create(tmp_path, config) as store:
        harness = Harness(store, num_slots=1)
        proposal = harness.proposer.next()
        assert proposal is not None
        harness.proposer.started(proposal.number, 0)
    with stores.reopen(tmp_path) as store:
        again = Harness(store, num_slots=1)
        assert again.start("a")["number"] == proposal.number
        assert again.num_asked() == 2


def test_trial_waits_for_the_share_of_a_gpu_that_it_asks_for(tmp_path: Path) -> None:
    """On one GPU: a half, then a whole one, which waits, then the half ends; the slots alone would hold four."""
    gpus = {0: 0.5, 1: 1.0, 2: 0.25}

    def with_share(proposal: Proposal) -> TrialAssignment:
        return assign(proposal).model_copy(update={"gpus": gpus[proposal.number]})

    with stores.create(tmp_path, study_config(search={"num_trials": 3, "sampler": "random"})) as store:
        harness = Harness(store, num_slots=4)
        harness.searcher = StudySearcher(harness.proposer, with_share, Slots(), 4, num_gpus=1)
        assert harness.start("a")["gpus"] == 0.5
        harness.num_asked()
        assert harness.searcher.suggest("b") is None
        harness.searcher.on_trial_complete("a", result(0, finished=True, done=True))
        assert harness.start("b")["gpus"] == 1.0
        harness.num_asked()
        assert harness.searcher.suggest("c") is None
        harness.searcher.on_trial_complete("b", result(1, finished=True, done=True))
        assert harness.start("c")["gpus"] == 0.25
