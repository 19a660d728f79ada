"""The known-cost sampler in plain Optuna studies: what it asks, and what it never asks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
import pytest

from study.search.known_cost import KnownCostSampler, van_der_corput

Parameters = Mapping[str, Any]


def suggest(trial: Any) -> dict[str, Any]:
    """480 points; the error falls with width and has its lowest value at rate 3."""
    width = trial.suggest_categorical("width", [1, 2, 4, 8, 16, 32])
    method = trial.suggest_categorical("method", ["labels", "kd"])
    rate = trial.suggest_int("rate", 0, 9)
    parameters = {"width": width, "method": method, "rate": rate}
    if method == "kd":
        parameters["alpha"] = trial.suggest_float("alpha", 0.0, 1.0, step=0.5)
    return parameters


def cost(parameters: Parameters) -> float:
    return float(float(parameters["width"]) ** 0.7 + 0.1 * (parameters["method"] == "kd"))


def error(parameters: Parameters) -> float:
    distance = float(parameters["rate"] - 3)
    return float(1.0 / parameters["width"] + 0.02 * distance**2 - 0.05 * parameters.get("alpha", 0.0))


def study_of(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)


def run(
    sampler: optuna.samplers.BaseSampler, num_trials: int, space: Callable[[Any], Any] = suggest
) -> list[Parameters]:
    study = study_of(sampler)
    for _ in range(num_trials):
        trial = study.ask()
        parameters = space(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    return [trial.params for trial in study.trials]


def sampler(**settings: Any) -> KnownCostSampler:
    return KnownCostSampler(suggest, {1: cost}, **{"num_startup_trials": 6, **settings})


def test_first_trials_spread_over_the_known_cost() -> None:
    """Both ends, then the middle, then the quarters: of a range from 1 to 11.4."""
    costs = [cost(parameters) for parameters in run(sampler(), 5)]
    assert costs[0] < 2.0
    assert costs[1] > 11.0
    assert sorted(costs)[2] == pytest.approx(6.2, abs=1.9)


def test_no_point_of_a_finite_space_is_asked_twice_while_others_are_left() -> None:
    asked = [tuple(sorted(parameters.items())) for parameters in run(sampler(), 60)]
    assert len(set(asked)) == 60


def test_same_seed_and_history_same_suggestions_and_another_seed_others() -> None:
    assert run(sampler(seed=3), 12) == run(sampler(seed=3), 12)
    assert run(sampler(seed=3), 12) != run(sampler(seed=4), 12)


def test_new_process_goes_on_as_the_old_one_would_have() -> None:
    """A sampler made anew for every ask, as after a crash, asks what one for the whole study does."""
    study = study_of(sampler(seed=1))
    for _ in range(14):
        study.sampler = sampler(seed=1)
        trial = study.ask()
        parameters = suggest(trial)
        study.tell(trial, [error(parameters), cost(parameters)])
    assert [trial.params for trial in study.trials] == run(sampler(seed=1), 14)


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
    asked = run(sampler(constraints=[lambda parameters: cost(parameters) - 4.0]), 40)
    assert max(map(cost, asked)) <= 4.0


def test_fixed_parameters_are_kept_and_what_hangs_on_them_fits() -> None:
    fixed = sampler()
    study = study_of(fixed)
    for index in range(20):
        fixed.fix({"method": ("labels", "kd")[index % 2]})
        trial = study.ask()
        parameters = suggest(trial)
        assert parameters["method"] == ("labels", "kd")[index % 2]
        study.tell(trial, [error(parameters), cost(parameters)])


def dominated(asked: list[Parameters]) -> float:
    points = np.array([[error(each), cost(each)] for each in asked])
    hypervolume: float = optuna._hypervolume.compute_hypervolume(points, np.array([2.0, 12.0]))
    return hypervolume


def test_it_finds_more_than_chance_does() -> None:
    """6 seeds, paired: ahead in every one, which by chance has p = 1 / 64."""
    pairs = [
        (dominated(run(sampler(seed=seed), 20)), dominated(run(optuna.samplers.RandomSampler(seed=seed), 20)))
        for seed in range(6)
    ]
    assert all(ours > theirs for ours, theirs in pairs)


def mixed(trial: Any) -> dict[str, Any]:
    return {"width": trial.suggest_int("width", 1, 64, log=True), "rate": trial.suggest_float("rate", 0.0, 9.0)}


def width_cost(parameters: Parameters) -> float:
    return float(parameters["width"])


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
    """The best rate, 3, is approached: the last eight are nearer to it than chance, whose mean is 2.5 away."""
    study = study_of(made())
    for _ in range(18):
        trial = study.ask()
        parameters = mixed(trial)
        study.tell(trial, [1.0 / parameters["width"] + 0.02 * (parameters["rate"] - 3) ** 2, width_cost(parameters)])
    assert np.mean([abs(trial.params["rate"] - 3.0) for trial in study.trials[-8:]]) < 1.7


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
