"""The known-cost sampler in plain Optuna studies: what it asks, and what it never asks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest

from study.search import surrogate
from study.search.known_cost import KnownCostSampler, van_der_corput
from study.search.surrogate import MAX_FIT_STEPS
from tests.study.search.toy_space import Parameters, cost, error, sampler, study_of, suggest


@pytest.fixture(autouse=True)
def quick_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps of the optimiser are enough for what is tested here."""
    monkeypatch.setattr(surrogate, "MAX_FIT_STEPS", 10)


@pytest.fixture
def full_fits(quick_fits: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - takes it back
    """As in a search: how good it is is tested."""
    monkeypatch.setattr(surrogate, "MAX_FIT_STEPS", MAX_FIT_STEPS)


def run(
    sampler: optuna.samplers.BaseSampler, num_trials: int, space: Callable[[Any], Any] = suggest
) -> list[Parameters]:
    study = study_of(sampler)
    for _ in range(num_trials):
        trial = study.ask()
        parameters = space(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    return [trial.params for trial in study.trials]


def test_first_trials_spread_over_the_known_cost() -> None:
    """Both ends, then the middle, then the quarters: of a range from 1 to 11.4."""
    costs = [cost(parameters) for parameters in run(sampler(), 5)]
    assert costs[0] < 2.0
    assert costs[1] > 11.0
    assert sorted(costs)[2] == pytest.approx(6.2, abs=1.9)


def test_no_point_of_a_finite_space_is_asked_twice_while_others_are_left() -> None:
    """Of the 30 points that satisfy the constraint, 30 trials ask each once."""
    made = sampler(constraints=[lambda each: cost(each) - 3.0 + 9.0 * (each["method"] == "kd")])
    asked = [tuple(sorted(parameters.items())) for parameters in run(made, 30)]
    assert len(set(asked)) == 30


def test_same_seed_and_history_same_suggestions_and_another_seed_others() -> None:
    asked = run(sampler(seed=3), 9)
    assert asked == run(sampler(seed=3), 9)
    assert asked != run(sampler(seed=4), 9)


def test_new_process_goes_on_as_the_old_one_would_have() -> None:
    """A sampler made anew for every ask, as after a crash, asks what one for the whole study does."""
    study = study_of(sampler(seed=1))
    for _ in range(11):
        study.sampler = sampler(seed=1)
        trial = study.ask()
        parameters = suggest(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    assert [trial.params for trial in study.trials] == run(sampler(seed=1), 11)


def test_running_trials_are_not_asked_again_and_make_room_for_others() -> None:
    study = study_of(sampler())
    for _ in range(8):
        trial = study.ask()
        parameters = suggest(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    pending = [suggest(study.ask()) for _ in range(6)]
    assert len({tuple(sorted(each.items())) for each in pending}) == 6
    assert len({each["width"] for each in pending}) >= 2


def test_point_that_breaks_a_known_constraint_is_never_asked() -> None:
    asked = run(sampler(constraints=[lambda parameters: cost(parameters) - 4.0]), 14)
    assert max(map(cost, asked)) <= 4.0


def test_fixed_parameters_are_kept_and_what_hangs_on_them_fits() -> None:
    fixed = sampler()
    study = study_of(fixed)
    for index in range(12):
        fixed.fix({"method": ("labels", "kd")[index % 2]})
        trial = study.ask()
        parameters = suggest(trial)
        assert parameters["method"] == ("labels", "kd")[index % 2]
        study.tell(trial, [error(parameters), cost(parameters)])


def dominated(asked: list[Parameters]) -> float:
    points = np.array([[error(each), cost(each)] for each in asked])
    hypervolume: float = optuna._hypervolume.compute_hypervolume(points, np.array([2.0, 12.0]))
    return hypervolume


@pytest.mark.usefixtures("full_fits")
def test_it_finds_more_than_chance_does() -> None:
    """4 seeds, paired: ahead in every one, which by chance has p = 1 / 16."""
    pairs = [
        (dominated(run(sampler(seed=seed), 20)), dominated(run(optuna.samplers.RandomSampler(seed=seed), 20)))
        for seed in range(4)
    ]
    assert all(ours > theirs for ours, theirs in pairs)


def mixed(trial: Any) -> dict[str, Any]:
    return {"width": trial.suggest_int("width", 1, 64, log=True), "rate": trial.suggest_float("rate", 0.0, 9.0)}


def width_cost(parameters: Parameters) -> float:
    return float(parameters["width"])


@pytest.mark.usefixtures("full_fits")
@pytest.mark.parametrize(
    "made",
    [
        lambda: KnownCostSampler(mixed, {1: width_cost}, num_startup_trials=5),
        lambda: KnownCostSampler(mixed, num_startup_trials=5),
        lambda: KnownCostSampler(None, {1: width_cost}, num_startup_trials=5),
        lambda: KnownCostSampler(num_startup_trials=5),
    ],
    ids=["known", "nothing known", "no space", "neither"],
)
def test_ranges_are_searched_with_and_without_what_is_known(made: Callable[[], KnownCostSampler]) -> None:
    """The best rate, 3, is approached: half of the last eight are nearer than 1.2, where by chance it would be 2.25."""
    study = study_of(made())
    for _ in range(18):
        trial = study.ask()
        parameters = mixed(trial)
        study.tell(trial, [1.0 / parameters["width"] + 0.02 * (parameters["rate"] - 3) ** 2, width_cost(parameters)])
    assert np.median([abs(trial.params["rate"] - 3.0) for trial in study.trials[-8:]]) < 1.2


@pytest.mark.parametrize(
    ("known", "constraints", "message"),
    [
        ({1: lambda _: float("nan")}, [], "known objective 1 is nan at width = 1, .*: it must be a finite number"),
        ({2: cost}, [], "known objective 2: the study has objectives 0 to 1"),
        ({1: cost}, [lambda _: float("inf")], "constraint 0 is inf at width = 1, .*: it must be a finite number"),
        ({1: cost}, [lambda _: 1.0], "none of the 240 points of the space satisfies the constraints"),
    ],
)
def test_what_cannot_be_is_a_clear_error(
    known: dict[int, Callable[[Parameters], float]], constraints: list[Callable[[Parameters], float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(KnownCostSampler(suggest, known, constraints=constraints), 1)


def test_places_fill_the_range_from_its_ends_inward() -> None:
    assert [van_der_corput(index) for index in range(9)] == [0, 1, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]
