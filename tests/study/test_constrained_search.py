"""Bounds that students must keep: what is known to break one is never trained, what turns out to is on no front."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import search_spaces
from search_spaces.space import SearchSpace
from study import store as stores
from study.config import StudyConfig
from study.search.baselines import enqueue_baselines
from study.search.proposer import Proposal, Proposer
from study.search.replay import Curve, Replay
from tests.factories import study_config
from trainables.config import NamedConfig, StudentConfig
from trainables.records import TrialState

BOUND = {"latency_p50_ms_batch1": "<= 2.0"}
SPACE = NamedConfig(
    name="cnn_distillation",
    options={"widths": (1, 2, 4), "batch_sizes": (64,), "learning_rates": (1e-3, 1e-2), "steps": 2, "epochs": 1},
)


def width(student: StudentConfig) -> int:
    return int(str(student.model.options["width"]))


def isolated(student: StudentConfig) -> dict[str, float | None]:
    """A network of width w takes w milliseconds."""
    return {"latency_p50_ms_batch1": float(width(student))}


def configured(**search: Any) -> StudyConfig:
    return study_config(space=SPACE, search={"num_startup_trials": 2, "constraints": BOUND, **search})


def space() -> SearchSpace:
    return search_spaces.build(SPACE)


def run(directory: Path, config: StudyConfig, *, baselines: bool = False) -> tuple[list[StudentConfig], Proposer]:
    """Every student that is handed out to be trained, and what was told of all."""
    with stores.create(directory, config) as store:
        if baselines:
            enqueue_baselines(store, space(), isolated)
        proposer = Proposer(store, space(), isolated)
        trained = []
        while (proposal := proposer.next()) is not None:
            trained.append(proposal.student)
            finish(proposer, proposal)
        return trained, proposer


def finish(proposer: Proposer, proposal: Proposal) -> None:
    told = {"epoch": 1.0, "validation_accuracy": 0.9 + proposal.number / 1000, **isolated(proposal.student)}
    proposer.record_epoch(proposal.number, told)
    proposer.complete(proposal.number, told, {})


@pytest.mark.parametrize("sampler", ["random", "tpe", "known_cost"])
def test_no_student_that_is_known_to_break_a_bound_is_trained(tmp_path: Path, sampler: str) -> None:
    trained, proposer = run(tmp_path, configured(num_trials=8, sampler=sampler))
    assert len(trained) == 8
    assert {width(each) for each in trained} <= {1, 2}
    assert proposer.is_finished


def test_sampler_that_knows_the_bound_does_not_even_ask_for_such_a_student(tmp_path: Path) -> None:
    _, proposer = run(tmp_path, configured(num_trials=8, sampler="known_cost"))
    assert not any(record.is_refused for record in proposer.records())


def test_grid_holds_every_student_that_keeps_the_bound(tmp_path: Path) -> None:
    """Per width: 2 learning rates for labels, 2 x 2 x 2 (temperature, alpha) for kd."""
    trained, proposer = run(tmp_path, configured(num_trials=100, sampler="grid"))
    assert Counter(map(width, trained)) == {1: 10, 2: 10}
    assert proposer.is_finished


def test_refused_ones_take_no_part_of_their_methods_share(tmp_path: Path) -> None:
    trained, _ = run(tmp_path, configured(num_trials=8, sampler="random"))
    assert Counter(each.loss.name for each in trained) == {"labels": 4, "kd": 4}


def test_baseline_that_breaks_the_bound_is_not_even_enqueued(tmp_path: Path) -> None:
    """Of widths 1, 2 and 4 under two methods, those of width 4 are left out; then as many more are asked."""
    trained, proposer = run(tmp_path, configured(num_trials=6, sampler="known_cost"), baselines=True)
    records = proposer.records()
    assert [record.origin for record in records] == ["baseline"] * 4 + ["search"] * 2
    assert {width(each) for each in trained} == {1, 2}


def test_student_that_is_asked_and_breaks_the_bound_says_why_it_was_not_trained(tmp_path: Path) -> None:
    _, proposer = run(tmp_path, configured(num_trials=8, sampler="random"))
    refused = [record for record in proposer.records() if record.is_refused]
    assert refused[0].reason == "not trained: it breaks latency_p50_ms_batch1 <= 2"
    assert not refused[0].epochs


def test_student_that_turns_out_to_break_a_bound_counts_and_stands_on_no_front(tmp_path: Path) -> None:
    config = configured(num_trials=3, sampler="random", constraints={"validation_accuracy": ">= 0.9015"})
    trained, proposer = run(tmp_path, config)
    assert len(trained) == 3
    counted = [record for record in proposer.records() if record.counts]
    assert [record.state for record in counted] == [TrialState.COMPLETE] * 3
    assert [record.may_stand_on_a_front for record in counted] == [record.number >= 2 for record in counted]


def test_refusal_that_a_driver_died_over_is_done_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    config = configured(num_trials=2, sampler="random")
    with stores.create(tmp_path, config) as store:
        store.study.enqueue_trial({"width": 4, "method": "labels", "batch_size": 64, "learning_rate": 1e-3})
        proposer = Proposer(store, space(), isolated)
        monkeypatch.setattr(Proposer, "prune", die)
        with pytest.raises(KeyboardInterrupt):
            proposer.next()
    monkeypatch.undo()
    with stores.reopen(tmp_path) as store:
        proposer = Proposer(store, space(), isolated)
        proposal = proposer.next()
        assert proposal is not None
        assert width(proposal.student) < 4
        assert proposer.records()[0].is_refused


def test_bound_on_what_this_device_does_not_tell_is_an_error_that_names_it(tmp_path: Path) -> None:
    with stores.create(tmp_path, configured(num_trials=2, sampler="random")) as store:
        proposer = Proposer(store, space(), lambda _: {"latency_p50_ms_batch1": None})
        with pytest.raises(ValueError, match="latency_p50_ms_batch1 is None on this device"):
            proposer.next()


def test_replay_trains_what_the_study_trains(tmp_path: Path) -> None:
    config = configured(num_trials=8, sampler="random")
    trained, _ = run(tmp_path, config, baselines=True)

    def answer(_: object, student: StudentConfig) -> Curve:
        return Curve([{"epoch": 1.0, "validation_accuracy": 0.9}], [1.0], isolated(student))

    found = Replay(config, space(), answer, isolated, num_workers=1).run()
    assert [each.parameters["width"] for each in found] == [width(each) for each in trained]


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"latency": "<= 2"}, 'unknown metric "latency"'),
        ({"validation_accuracy": "above .9"}, 'constraints.validation_accuracy = "above .9": it must be "<= number"'),
        ({"validation_accuracy": ">= nan"}, "it must be"),
        ({"num_co_tenants": "<= 1"}, "shown, never a constraint"),
        ({"latency_p50_ms_batch7": "<= 2"}, 'constraint "latency_p50_ms_batch7" is not measured'),
    ],
)
def test_bound_that_cannot_be_held_is_refused_when_it_is_read(constraints: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        study_config(search={"constraints": constraints})


def test_early_stopping_without_anything_to_judge_by_is_refused() -> None:
    with pytest.raises(ValueError, match='early_stopping = "pareto_halving" judges by what training shows'):
        study_config(
            objectives=("latency_p50_ms_batch1", "num_parameters"), search={"early_stopping": "pareto_halving"}
        )
