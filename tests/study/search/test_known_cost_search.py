"""The known-cost sampler as a study of ours configures it."""

import math
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from study.search.constraints import parse_constraints
from study.search.known_cost import KnownCostSampler
from study.search.known_cost_search import known_cost, learning_curve
from study.search.samplers import SamplingContext
from study.search.settings import SearchConfig
from tests.study.search.toy_space import complete, cost, error, labels, study_of, suggest
from trainables.records import METRICS_ATTRIBUTE, epoch_attribute

OBJECTIVES = ("validation_nll", "latency_p50_ms_batch1")


def trained(epochs: Mapping[float, float | None]) -> FrozenTrial:
    told = {
        epoch_attribute(epoch): {"epoch": epoch, "validation_nll": nll, OBJECTIVES[1]: 1.0}
        for epoch, nll in epochs.items()
    }
    return create_trial(state=TrialState.PRUNED, user_attrs={"reason": "slow", **told})


def test_curve_is_what_the_stored_epochs_say_in_their_order() -> None:
    """The tenth epoch comes after the second; what is known beforehand is not in it."""
    curve = learning_curve(OBJECTIVES, known={1: None})(trained({10.0: 0.2, 0.25: 0.9, 2.0: None}))
    assert [epoch for epoch, _ in curve] == [0.25, 2.0, 10.0]
    assert [values[0] for _, values in curve] == pytest.approx([0.9, math.nan, 0.2], nan_ok=True)
    assert all(math.isnan(values[1]) for _, values in curve)
    assert learning_curve(OBJECTIVES, known={1: None})(trained({})) == []


def context(**settings: Any) -> SamplingContext:
    return SamplingContext(SearchConfig(num_startup_trials=4), 0, suggest, {1: cost}, **settings)


def made(**settings: Any) -> KnownCostSampler:
    proposal = known_cost(context(**settings))(1, {})
    assert isinstance(proposal, KnownCostSampler)
    return proposal


def ask_next(sampler: KnownCostSampler, trials: list[FrozenTrial]) -> dict[str, Any]:
    study = study_of(sampler)
    study.add_trials(trials)
    trial = study.ask()
    suggest(trial)
    return trial.params


FOUR = [complete(labels(width, rate)) for width, rate in ((1, 5), (4, 1), (16, 6), (32, 2))]


def test_stopped_trials_of_a_study_tell_once_the_objectives_are_named() -> None:
    """Three complete trials and two stopped: enough with the curve, too few without."""
    trials = FOUR[:3] + [
        create_trial(state=TrialState.PRUNED, params=e.params, distributions=e.distributions) for e in FOUR[2:]
    ]
    for each in trials:
        each.user_attrs[epoch_attribute(1.0)] = {"epoch": 1.0, "validation_nll": error(each.params) + 0.5}
    for objectives, is_modelled in ((OBJECTIVES, True), ((), False)):
        sampler = made(objectives=objectives)
        ask_next(sampler, trials)
        assert bool(sampler._models.objectives) is is_modelled


def test_isolated_constraint_is_known_and_one_of_training_is_read_off_the_trials() -> None:
    asked_of = []

    def metric_of(parameters: Mapping[str, Any], name: str) -> float:
        asked_of.append(name)
        return cost(parameters)

    constraints = parse_constraints({"latency_p99_ms_batch1": "<= 4.0", "validation_accuracy": ">= 0.5"})
    sampler = made(constraints=constraints, metric_of=metric_of)
    trials = [complete(labels(width, rate)) for width, rate in ((1, 5), (2, 1), (4, 6), (4, 2))]
    for each, accuracy in zip(trials, (0.4, 0.7, None, 0.8), strict=True):
        each.user_attrs[METRICS_ATTRIBUTE] = {"validation_accuracy": accuracy}
    del trials[3].user_attrs[METRICS_ATTRIBUTE]
    study = study_of(sampler)
    study.add_trials(trials)
    margins = sampler._reading.history(study, number=99).margins_NK
    assert margins[:, 0] == pytest.approx([-0.1, 0.2, math.nan, math.nan], nan_ok=True)
    assert cost(ask_next(sampler, trials)) <= 4.0
    assert set(asked_of) == {"latency_p99_ms_batch1"}


def test_evidence_is_handed_on() -> None:
    sampler = made(evidence=tuple(FOUR))
    assert sampler._reading.history(study_of(optuna.samplers.RandomSampler()), number=0).num_evidence == 4


def test_isolated_constraint_without_its_metric_is_refused_by_name() -> None:
    constraints = parse_constraints({"num_parameters": "<= 1e5"})
    with pytest.raises(ValueError, match='constraint "num_parameters <= 100000": the sampler is not told isolated'):
        known_cost(context(constraints=constraints))
