"""Processes that end before their trial: counted in the storage over all launches, each with its reason; no Ray."""

import contextlib
import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import search_spaces
from study import store as stores
from study.search.proposer import Proposer
from tests.factories import study_config
from trainables.patience import StoreUnwritableError
from trainables.records import TrialState


@contextlib.contextmanager
def launch(directory: Path, **resources: Any) -> Iterator[Proposer]:
    """A driver's proposer: of a new study, or of the one that is there."""
    is_new = not (directory / "study.json").exists()
    config = study_config(search={"num_trials": 3, "sampler": "random"}, resources=resources)
    opened = stores.create(directory, config) if is_new else stores.reopen(directory)
    with opened as store:
        yield Proposer(store, search_spaces.build(store.config.space), lambda _: {"latency_p50_ms_batch1": 0.2})


def die(proposer: Proposer, number: int, error: BaseException | None = None, limit_s: float | None = None) -> None:
    proposer.started(number, 0)
    proposer.ends.note(number, error)
    proposer.process_ended(number, limit_s)


def first(proposer: Proposer) -> int:
    proposal = proposer.next()
    assert proposal is not None
    return proposal.number


def test_failures_are_counted_over_all_launches_and_the_last_one_is_the_reason(tmp_path: Path) -> None:
    with launch(tmp_path, max_failures=2) as proposer:
        number = first(proposer)
        die(proposer, number, RuntimeError("first"))
    for words in ("second", "third"):
        with launch(tmp_path) as proposer:
            again = proposer.going_on()
            assert again is not None
            assert again.number == number
            die(proposer, number, RuntimeError(words))
    with launch(tmp_path) as proposer:
        record = proposer.records()[number]
        assert proposer.going_on() is None
    assert record.state is TrialState.FAILED
    assert record.reason == "its process ended 3 times (resources.max_failures = 2), at last: RuntimeError: third"
    assert record.failures == ("RuntimeError: first", "RuntimeError: second", "RuntimeError: third")


def test_failures_between_which_the_trial_came_further_are_not_added_up(tmp_path: Path) -> None:
    with launch(tmp_path, max_failures=1) as proposer:
        number = first(proposer)
        for epoch in (1.0, 2.0, 3.0):
            proposer.record_epoch(number, {"epoch": epoch})
            die(proposer, number, RuntimeError("a machine was taken away"))
            assert proposer.going_on() is not None
        assert len(proposer.records()[number].failures) == 3
        die(proposer, number, RuntimeError("again, in the same epoch"))
        assert proposer.records()[number].state is TrialState.FAILED


def test_launch_that_was_interrupted_is_no_failure(tmp_path: Path) -> None:
    for _ in range(4):
        with launch(tmp_path, max_failures=0) as proposer:
            number = 0 if proposer.going_on() is not None else first(proposer)
            proposer.started(number, 0)
    with launch(tmp_path) as proposer:
        assert proposer.records()[0].failures == ()
        assert proposer.going_on() is not None


def test_driver_that_dies_between_the_last_failure_and_its_end_tries_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with launch(tmp_path, max_failures=0) as proposer:
        number = first(proposer)
        monkeypatch.setattr(Proposer, "fail", lambda *_: sys.exit(9))
        with pytest.raises(SystemExit):
            die(proposer, number, RuntimeError("poison"))
        monkeypatch.undo()
        assert proposer.records()[number].state is TrialState.RUNNING
    with launch(tmp_path) as proposer:
        assert proposer.going_on() is None
        record = proposer.records()[number]
    assert record.state is TrialState.FAILED
    assert record.reason == "its process ended once (resources.max_failures = 0), at last: RuntimeError: poison"


@pytest.mark.parametrize(
    ("silent_s", "expected"),
    [
        (61.0, "no epoch within 1 min (resources.max_minutes_per_epoch); its log says where"),
        (59.0, "ValueError: of something else"),
    ],
)
def test_process_that_was_silent_for_longer_than_the_limit_hung_and_no_other_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent_s: float, expected: str
) -> None:
    """The clock begins anew with each process and each epoch."""
    now = [0.0]
    monkeypatch.setattr("study.search.ledger.time.monotonic", lambda: now[0])
    with launch(tmp_path) as proposer:
        number = first(proposer)
        now[0] = 1_000.0
        proposer.started(number, 0)
        now[0] = 2_000.0
        proposer.record_epoch(number, {"epoch": 1, "validation_accuracy": 0.5})
        now[0] = 2_000.0 + silent_s
        proposer.ends.note(number, ValueError("of something else"))
        proposer.process_ended(number, 60.0)
        assert proposer.records()[number].failures == (expected,)


def test_store_that_a_trial_could_not_write_to_ends_the_launch_and_is_no_failure_of_the_trial(tmp_path: Path) -> None:
    with launch(tmp_path, max_failures=0) as proposer:
        number = first(proposer)
        proposer.started(number, 0)
        with pytest.raises(StoreUnwritableError, match="full"):
            proposer.ends.note(number, StoreUnwritableError(errno.ENOSPC, "full"))
    with launch(tmp_path) as proposer:
        assert proposer.records()[number].failures == ()
        assert proposer.going_on() is not None


def test_error_without_words_and_one_that_is_not_known_are_both_told_as_such(tmp_path: Path) -> None:
    with launch(tmp_path) as proposer:
        number = first(proposer)
        for error in (None, RuntimeError()):
            die(proposer, number, error)
        assert proposer.records()[number].failures == ("of what is not known",) * 2
