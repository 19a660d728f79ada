"""A replayed search against the production proposer, searcher and scheduler on the same curves, and by closed forms."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.samplers import RandomSampler

import search_spaces
from search_spaces.space import SearchSpace
from study.config import StudyConfig
from study.search.replay import Curve, Replay, ReplayedTrial
from study.search.samplers import Proposals, SamplingContext
from tests.study.halving_study import curve, driver, halving_config, halving_space, isolated
from tests.study.test_proposer import TwoStudents
from trainables.config import NamedConfig, StudentConfig
from trainables.records import TrialState

SECONDS = 2.0
FIELDS: dict[str, dict[str, Any]] = {
    "random": {"sampler": "random"},
    "tpe": {"sampler": "tpe", "num_startup_trials": 7, "num_trials": 16},
}


def answer_for(config: StudyConfig) -> Any:
    """The curves of `halving_study`, with a report at each rung where there are any; each takes as long."""
    halving = config.search.early_stopping != "none"

    def answer(_: Mapping[str, Any], student: StudentConfig) -> Curve:
        rungs = config.search.halving.epochs_of_rungs(student.training.epochs) if halving else ()
        metrics = curve(student, rungs)
        return Curve(metrics, [SECONDS] * len(metrics), isolated(student))

    return answer


def replayed(
    config: StudyConfig, space: SearchSpace | None = None, *, num_workers: int = 1
) -> dict[int, ReplayedTrial]:
    replay = Replay(config, space or halving_space(), answer_for(config), isolated, num_workers=num_workers)
    return {trial.number: trial for trial in replay.run()}


def seen(trials: Mapping[int, ReplayedTrial]) -> dict[int, tuple[Any, ...]]:
    return {
        number: (dict(trial.parameters), trial.state, trial.num_reports, trial.decisions, trial.ended_at_s)
        for number, trial in trials.items()
    }


@pytest.mark.parametrize("num_workers", [1, 3])
def test_same_arguments_go_the_same_way(num_workers: int) -> None:
    config = halving_config()
    assert seen(replayed(config, num_workers=num_workers)) == seen(replayed(config, num_workers=num_workers))


@pytest.mark.parametrize("num_workers", [1, 2, 5, 12, 20])
def test_search_lasts_as_many_rounds_of_one_curve_as_workers_need(num_workers: int) -> None:
    """12 students of 4 reports at 2 s: ceil(12 / workers) * 8 s."""
    trials = replayed(halving_config(early_stopping="none"), num_workers=num_workers)
    ends = [trial.ended_at_s for trial in trials.values() if trial.ended_at_s is not None]
    assert len(ends) == 12
    assert max(ends) == math.ceil(12 / num_workers) * 4 * SECONDS


@pytest.mark.parametrize("early_stopping", ["none", "pareto_halving"])
def test_epochs_that_were_spent_add_up(early_stopping: str) -> None:
    trials = replayed(halving_config(early_stopping=early_stopping), num_workers=2)
    spent = sum(trial.epochs for trial in trials.values())
    assert max(trial.epochs_spent_by_all for trial in trials.values()) == pytest.approx(spent)
    complete = [trial for trial in trials.values() if trial.state is TrialState.COMPLETE]
    assert {trial.epochs for trial in complete} == {4.0}
    assert (len(complete) == 12) == (early_stopping == "none")
    assert (spent < 48.0) == (early_stopping != "none")


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS.keys())
@pytest.mark.parametrize("early_stopping", ["none", "pareto_halving"])
def test_one_worker_asks_trains_and_decides_as_a_study_does(
    tmp_path: Path, fields: dict[str, Any], early_stopping: str
) -> None:
    config = halving_config(early_stopping=early_stopping, **fields)
    with driver(tmp_path, config) as each:
        each.run()
        records = each.records()
    trials = replayed(config)
    assert {number: (trial.parameters, trial.state, trial.decisions) for number, trial in trials.items()} == {
        number: (record.parameters, record.state, list(record.decisions)) for number, record in records.items()
    }
    for number, record in records.items():
        reports = trials[number].curve.metrics[: trials[number].num_reports]
        told = [{name: epoch[name] for name in ("epoch", "validation_accuracy")} for epoch in record.epochs]
        assert told == list(reports)
    states = {record.state for record in records.values()}
    assert (TrialState.PRUNED in states) == (early_stopping != "none")


def test_study_without_pauses_stops_as_its_replay(tmp_path: Path) -> None:
    config = halving_config(halving={"first_rung": 0.5, "pauses": False, "spares_baselines": True})
    with driver(tmp_path, config) as each:
        each.run()
        records = each.records()
    trials = replayed(config)
    assert {n: (t.state, t.decisions) for n, t in trials.items()} == {
        n: (r.state, list(r.decisions)) for n, r in records.items()
    }
    assert all(trial.ended_at_s is not None for trial in trials.values())


def test_duplicates_are_not_counted_and_an_exhausted_space_ends_the_search() -> None:
    config = halving_config(num_trials=5, early_stopping="none")
    trials = replayed(config, TwoStudents())
    assert sorted(trial.parameters["width"] for trial in trials.values()) == [1, 2]


def test_grid_is_replayed_whole_and_no_student_twice() -> None:
    options = {"widths": (1, 2), "batch_sizes": (64,), "steps": 2, "epochs": 2}
    space = search_spaces.build(NamedConfig(name="cnn_distillation", options=options))
    trials = replayed(halving_config(sampler="grid", num_trials=20, early_stopping="none"), space)
    assert len({tuple(sorted(trial.parameters.items())) for trial in trials.values()}) == len(trials) == 20


def stubborn(_: SamplingContext) -> Proposals:
    """Asks for the same student again and again."""
    return lambda _seed, _fixed: RandomSampler(seed=0)


def test_sampler_that_repeats_itself_does_not_end_the_search_of_a_space_that_holds_others() -> None:
    options = {"widths": (1, 2), "batch_sizes": (64,), "steps": 2, "epochs": 2}
    space = search_spaces.build(NamedConfig(name="cnn_distillation", options=options))
    config = halving_config(
        sampler=f"{__name__}:stubborn",
        num_trials=20,
        trials_per_method={"labels": 4, "kd": 16},
        early_stopping="none",
    )
    assert len(replayed(config, space)) == 20
