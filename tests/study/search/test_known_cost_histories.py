"""What the known-cost sampler makes of stopped and running trials, unknown constraints and another study's trials."""

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from study.search import surrogate
from study.search.known_cost import KnownCostSampler
from study.search.supply import NUM_FRESH, NUM_NEIGHBOURS, NUM_STARTS
from tests.study.search.toy_space import (
    Parameters,
    ask,
    complete,
    cost,
    error,
    labels,
    sampler,
    shown_errors,
    study_of,
    suggest,
    told,
)


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of the optimiser are enough for what is tested here."""
    monkeypatch.setattr(surrogate, "MAX_FIT_STEPS", 10)


def asked_next(made: KnownCostSampler, trials: Sequence[FrozenTrial], count: int = 1) -> list[dict[str, Any]]:
    """What a study that holds these trials asks for next, nothing of it told."""
    study = study_of(made)
    study.add_trials(trials)
    return [ask(study).params for _ in range(count)]


def stopped(parameters: Parameters, shown: float) -> FrozenTrial:
    return told(parameters, shown={1.0: shown}, state=TrialState.PRUNED)


def halved(parameters: Parameters) -> dict[float, float]:
    """Every trial shows twice its error after a budget of 1."""
    return {1.0: 2.0 * error(parameters)}


ENDED = [complete(each, shown=halved(each)) for each in (labels(1, 5), labels(4, 5), labels(16, 5))]
STOPPED = [
    stopped(each, halved(each)[1.0]) for each in (labels(width, rate) for width in (2, 8, 32) for rate in (0, 7))
]


@pytest.mark.parametrize(("low", "high", "is_low"), [(0.1, 1.5, True), (1.5, 0.1, False)])
def test_what_stopped_trials_have_shown_steers_the_next_ones(low: float, high: float, *, is_low: bool) -> None:
    """At rate 1 one is good and at 9 bad, or the other way round; of what ran to the end all had rate 5."""
    trials = [
        *ENDED,
        *(stopped(labels(width, 1), low) for width in (2, 8)),
        *(stopped(labels(w, 9), high) for w in (2, 8)),
    ]
    for seed in range(2):
        made = sampler(curve=shown_errors, seed=seed)
        made.fix({"width": 8, "method": "labels"})
        assert [each["rate"] < 5 for each in asked_next(made, trials, count=2)] == [is_low] * 2


def test_without_curves_stopped_trials_are_as_if_they_had_failed() -> None:
    eight = [complete(labels(width, rate)) for width in (1, 4, 16) for rate in (1, 5, 8)]
    failed = [told(each.params, state=TrialState.FAIL) for each in STOPPED]
    assert asked_next(sampler(), [*eight, *STOPPED]) == asked_next(sampler(), [*eight, *failed])


def is_startup(trials: Sequence[FrozenTrial], **settings: Any) -> bool:
    """Whether the next trial is one of those that spread: then no model is ever fitted."""
    made = sampler(**{"num_startup_trials": 8, **settings})
    asked_next(made, trials)
    return not made._models.objectives


def test_startup_ends_when_enough_trials_have_shown_something_and_three_of_them_are_complete() -> None:
    assert not is_startup([*ENDED, *STOPPED[:5]], curve=shown_errors)
    assert is_startup([*ENDED, *STOPPED[:4]], curve=shown_errors)
    assert is_startup([*ENDED[:2], *STOPPED], curve=shown_errors)
    assert is_startup([*ENDED, *STOPPED])  # without a curve: complete ones alone count


def test_evidence_counts_as_startup() -> None:
    evidence = [complete(labels(width, rate)) for width in (1, 4, 16, 32) for rate in (1, 6)]
    assert not is_startup([], evidence=evidence)
    assert is_startup([], evidence=evidence[1:])


def test_trial_that_runs_and_has_shown_something_is_not_asked_again() -> None:
    """Each of eight running trials shows the best error of all as soon as it is asked."""
    study = study_of(sampler(curve=shown_errors))
    study.add_trials([*ENDED, *STOPPED])
    asked = []
    for _ in range(8):
        trial = ask(study)
        trial.set_user_attr("shown", [[1.0, 0.0]])
        asked.append(tuple(sorted(trial.params.items())))
    assert len(set(asked)) == 8


def test_trials_that_run_are_not_asked_again_before_anything_has_ended() -> None:
    """There are ten points, and ten workers."""
    made = sampler()
    made.fix({"width": 8, "method": "labels"})
    assert {each["rate"] for each in asked_next(made, [], count=10)} == set(range(10))


def test_new_process_asks_the_same_of_trials_that_were_stopped_or_run() -> None:
    """At every ask, from one sampler and from one made anew; some are stopped, and some come to their end later."""
    studies = [study_of(sampler(curve=shown_errors, num_startup_trials=4)) for _ in range(2)]
    running: list[list[optuna.Trial]] = [[], []]
    for index in range(12):
        studies[1].sampler = sampler(curve=shown_errors, num_startup_trials=4)
        for study, trials in zip(studies, running, strict=True):
            trial = ask(study)
            trial.set_user_attr("shown", [[1.0, 2.0 * error(trial.params)]])
            trials.append(trial)
            if index % 3 == 1:
                study.tell(trials.pop(), state=TrialState.PRUNED)
            elif len(trials) > 2:
                first = trials.pop(0)
                study.tell(first, [error(first.params), cost(first.params)])
        assert studies[0].trials[-1].params == studies[1].trials[-1].params


def test_unknown_constraint_is_learned() -> None:
    """A third of the rates keep it, the best does not: by chance 8 of 24 trials would, and 18 of 24 has p < 1e-4."""
    num_kept = 0
    for seed in range(3):
        study = study_of(sampler(unknown_constraints=[lambda trial: 6.5 - trial.params["rate"]], seed=seed))
        for _ in range(20):
            trial = ask(study)
            study.tell(trial, [error(trial.params), cost(trial.params)])
        num_kept += sum(trial.params["rate"] >= 7 for trial in study.trials[-8:])
    assert num_kept >= 18


def test_constraint_that_nothing_has_kept_yet_is_approached() -> None:
    """All tried broke it, the less the higher the rate: the next trials go up."""
    trials = [complete(labels(width, rate)) for width in (1, 8) for rate in (0, 1, 2, 3)]
    made = sampler(unknown_constraints=[lambda trial: 7.0 - trial.params["rate"]])
    assert min(each["rate"] for each in asked_next(made, trials, count=3)) > 3


def test_evidence_points_to_the_best_from_the_first_trial_on_and_may_be_asked_again() -> None:
    """It holds every point of the method but the six worst."""
    evidence = [complete(labels(width, rate)) for width in (1, 2, 4, 8, 16, 32) for rate in range(9)]
    made = sampler(evidence=evidence, seed=1)
    made.fix({"method": "labels"})
    asked = asked_next(made, [], count=6)
    assert max(abs(each["rate"] - 3) for each in asked) <= 1
    assert len({each["width"] for each in asked}) >= 4


def ranges(trial: Any) -> dict[str, float]:
    return {name: trial.suggest_float(name, 0.0, 1.0) for name in "abcde"}


def test_points_of_a_range_that_break_a_constraint_are_never_asked() -> None:
    """3 % of the space satisfy it."""
    made = KnownCostSampler(ranges, constraints=[lambda each: 0.97 - each["a"]], num_startup_trials=5)
    study = optuna.create_study(sampler=made)
    for _ in range(9):
        trial = study.ask()
        study.tell(trial, sum(ranges(trial).values()))
    assert min(trial.params["a"] for trial in study.trials) >= 0.97


def test_constraints_that_could_not_be_kept_are_refused() -> None:
    with pytest.raises(ValueError, match="constraints are given without a space: what is drawn at random could break"):
        KnownCostSampler(constraints=[lambda _: 0.0])
    study = optuna.create_study(sampler=KnownCostSampler(ranges, constraints=[lambda _: 1.0]))
    with pytest.raises(ValueError, match="none of 8192 points drawn from the space satisfies the constraints"):
        ranges(study.ask())


def test_an_ask_draws_and_costs_few_points_anew() -> None:
    """Most of what is weighed is kept from one ask to the next, whichever method is due."""
    calls = {"space": 0, "cost": 0}
    drawn: list[set[float]] = []

    def counted(trial: Any) -> dict[str, Any]:
        calls["space"] += 1
        parameters = suggest(trial)
        parameters["decay"] = trial.suggest_float("decay", 0.0, 1.0)
        if drawn:
            drawn[-1].add(parameters["decay"])
        return parameters

    def counted_cost(parameters: Parameters) -> float:
        calls["cost"] += 1
        return cost(parameters)

    made = KnownCostSampler(counted, {1: counted_cost}, num_startup_trials=3)
    study = study_of(made)
    for index in range(10):
        made.fix({"method": ("labels", "kd")[index % 2]})
        calls.update(space=0, cost=0)
        drawn.append(set())
        trial = study.ask()
        parameters = counted(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    few = NUM_FRESH + 5 * NUM_STARTS * NUM_NEIGHBOURS
    assert 0 < calls["cost"] <= calls["space"] <= few < 400
    assert len(drawn[-1] - drawn[-3]) >= NUM_FRESH  # and not the same again


def test_trial_that_failed_badly_does_not_draw_the_search_to_the_ends_where_no_objective_is_known() -> None:
    """The front is all of x, y = 0: of 42 asks, half or so are in its inner four fifths, and not at its two ends."""
    space: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in "xy"}
    asked = []
    for seed in range(3):
        study = study_of(KnownCostSampler(space, num_startup_trials=8, seed=seed))
        for number in range(24):
            trial = study.ask(space)
            x, y = trial.params["x"], trial.params["y"]
            study.tell(trial, [1e4, 5.0] if number == 4 else [x + y / 2, 1 - x + y / 2])
        asked += [trial.params["x"] for trial in study.trials[-14:]]
    assert sum(0.1 < x < 0.9 for x in asked) >= 20
