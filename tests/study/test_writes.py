"""How often a trial makes its driver wait for the disk, and what a write that was torn leaves."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from study.search.samplers import Proposals, SamplingContext
from tests.study.test_proposer import FACTS, cnn_space, finish, metrics, proposer, run_all
from trainables.records import METRICS_ATTRIBUTE

SEEN: list[Mapping[str, object]] = []


class Seeing(optuna.samplers.RandomSampler):
    """Looks at a trial before its state is told, as a function of constraints does."""

    def after_trial(
        self,
        study: optuna.Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,
        state: TrialState,  # noqa: ARG002
        values: Sequence[float] | None,  # noqa: ARG002
    ) -> None:
        SEEN.append(trial.user_attrs[METRICS_ATTRIBUTE])


def seeing(context: SamplingContext) -> Proposals:  # noqa: ARG001 - one signature
    return lambda seed, fixed: Seeing(seed % 2**32)  # noqa: ARG005 - as above


def test_an_epoch_is_one_write_and_an_end_with_all_its_facts_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits for the disk: what is written apart would be most of what a trial costs its driver."""
    fsync, flushed = os.fsync, list[int]()

    def writes() -> int:
        counted = len(flushed)
        flushed.clear()
        return counted

    def flush(descriptor: int) -> None:
        flushed.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    with proposer(tmp_path, cnn_space(), search={"num_trials": 8, "sampler": "random"}) as each:
        for _ in range(7):
            proposal = each.next()
            assert proposal is not None
            finish(each, proposal)
        writes()
        last = each.next()
        assert last is not None
        assert writes() == 2  # the trial, and what it is
        each.started(last.number, 0)
        assert writes() == 1
        each.record_epoch(last.number, metrics(last.number))
        assert writes() == 1
        each.complete(last.number, metrics(last.number), FACTS, {**metrics(last.number), "epoch": 2.0})
        assert writes() == 1  # the last epoch with the end
        assert [epoch["epoch"] for epoch in each.records()[last.number].epochs] == [1.0, 2.0]


def test_end_that_was_torn_at_any_record_is_told_again(tmp_path: Path) -> None:
    """Its records are written in one piece; a machine that loses power may still leave some of them."""
    journal = tmp_path / "study" / "optuna.journal"
    with proposer(tmp_path / "study", cnn_space(), search={"num_trials": 1, "sampler": "random"}) as each:
        only = each.next()
        assert only is not None
        each.started(only.number, 0)
        before = journal.read_bytes()
        each.complete(only.number, metrics(only.number), FACTS, metrics(only.number))
        expected = each.records()[only.number]
    records = journal.read_bytes()[len(before) :].splitlines(keepends=True)
    assert len(records) == 5  # epoch, metrics, facts, spans, state
    for count in range(len(records)):
        journal.write_bytes(before + b"".join(records[:count]) + records[count][:5])
        with proposer(tmp_path / "study", cnn_space(), search={"num_trials": 1, "sampler": "random"}) as each:
            again = each.going_on() or each.next()
            assert again is not None
            assert again.number == only.number
            each.complete(only.number, metrics(only.number), FACTS, metrics(only.number))
            told = each.records()[only.number]
        assert (told.state, told.metrics, told.facts) == (expected.state, expected.metrics, expected.facts)
        assert told.epochs == expected.epochs


def test_sampler_of_ones_own_sees_what_a_trial_came_to_before_its_end_is_told(tmp_path: Path) -> None:
    SEEN.clear()
    search: dict[str, Any] = {"num_trials": 3, "sampler": "tests.study.test_writes:seeing"}
    with proposer(tmp_path, cnn_space(), search=search) as each:
        told = [metrics(proposal.number) for proposal in run_all(each)]
    assert told == SEEN
