"""A finite space with a known cost and an error to learn, in a plain Optuna study; and trials told as one wants."""

from collections.abc import Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from study.search.candidates import enumerate_space
from study.search.known_cost import KnownCostSampler

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


def sampler(**settings: Any) -> KnownCostSampler:
    return KnownCostSampler(suggest, {1: cost}, **{"num_startup_trials": 6, **settings})


def study_of(made: optuna.samplers.BaseSampler) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=["minimize", "minimize"], sampler=made)


def ask(study: optuna.Study) -> Trial:
    trial = study.ask()
    suggest(trial)
    return trial


def told(
    parameters: Parameters,
    values: list[float] | None = None,
    *,
    shown: Mapping[float, float] | None = None,
    state: TrialState = TrialState.COMPLETE,
) -> FrozenTrial:
    """A trial at a point of the space; `shown` are its errors by budget, for `shown_errors`."""
    points = enumerate_space(suggest, at_most=480) or []
    point = next(each for each in points if each.parameters == parameters)
    return create_trial(
        params=dict(parameters),
        distributions=dict(point.distributions),
        values=values,
        state=state,
        user_attrs={"shown": [[budget, value] for budget, value in (shown or {}).items()]},
    )


def complete(parameters: Parameters, **settings: Any) -> FrozenTrial:
    return told(parameters, [error(parameters), cost(parameters)], **settings)


def shown_errors(trial: FrozenTrial) -> list[tuple[float, list[float]]]:
    """The learning curve of a trial that was `told`."""
    return [(budget, [value, float("nan")]) for budget, value in trial.user_attrs.get("shown", [])]


def labels(width: int, rate: int) -> dict[str, Any]:
    return {"width": width, "method": "labels", "rate": rate}
