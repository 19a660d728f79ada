"""Another study's students as evidence for a search: which of them are students of its space too, as Optuna trials."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from analysis.curves import RecordedTrial
from search_spaces.space import SearchSpace
from study.search.candidates import Candidate, trace
from study.search.constraints import IsolatedMetrics
from trainables.config import StudentConfig
from trainables.metrics import Metric, Source
from trainables.records import METRICS_ATTRIBUTE, epoch_attribute


def point_of(trial: RecordedTrial, space: SearchSpace) -> Candidate:
    """The point of the space that has the trial's parameters and leads to its very student, training seeds aside.

    Raises:
        ValueError: there is none; the message says why.
    """
    students: list[StudentConfig] = []

    def recorded(name: str, distribution: BaseDistribution) -> Any:
        if name not in trial.parameters:
            raise ValueError(f"{name} is not among its parameters")
        value = trial.parameters[name]
        if not _holds(distribution, value):
            raise ValueError(f"{name} lies outside the space")
        return value

    point = trace(lambda asked: students.append(space.suggest(asked)), recorded)
    differing = differences(_seedless(trial.student), _seedless(students[0]))
    if differing:
        raise ValueError(differing[0])
    return point


def evidence_trials(
    trials: Sequence[RecordedTrial], space: SearchSpace, objectives: Sequence[Metric], isolated: IsolatedMetrics
) -> tuple[FrozenTrial, ...]:
    """COMPLETE trials of an Optuna study that hold what the recorded students have shown, their curves too.

    Isolated objectives are those of this study's own profile, for its device is what counts. A student that does not
    know every objective tells nothing.

    Raises:
        ValueError: one is not a student of the space.
    """
    told = []
    for trial in trials:
        known = isolated(trial.student)
        metrics = {**trial.epochs[-1], **known}
        values = [
            known.get(each.name) if each.source is Source.ISOLATED else metrics.get(each.name) for each in objectives
        ]
        ends = [value for value in values if value is not None]
        if len(ends) == len(values):
            point = point_of(trial, space)
            told.append(_complete(point, ends, metrics, trial.epochs))
    return tuple(told)


def differences(there: Any, here: Any, path: str = "") -> list[str]:
    """Where two nests of plain data differ, a sentence for each field: "training.epochs is 3 there and 2 here"."""
    if not isinstance(there, Mapping) or not isinstance(here, Mapping):
        return [] if there == here else [f"{path} is {_shown(there)} there and {_shown(here)} here"]
    names = [*here, *(name for name in there if name not in here)]
    return [
        sentence
        for name in names
        for sentence in differences(there.get(name), here.get(name), f"{path}.{name}" if path else name)
    ]


def _complete(
    point: Candidate,
    values: Sequence[float],
    metrics: Mapping[str, float | None],
    epochs: Sequence[Mapping[str, float | None]],
) -> FrozenTrial:
    attributes: dict[str, Any] = {METRICS_ATTRIBUTE: dict(metrics)}
    attributes |= {epoch_attribute(float(each["epoch"] or 0.0)): dict(each) for each in epochs}
    return create_trial(
        state=TrialState.COMPLETE,
        params=dict(point.parameters),
        distributions=dict(point.distributions),
        values=list(values),
        user_attrs=attributes,
    )


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a trial may have this value, by Optuna's own check."""
    try:
        create_trial(params={"value": value}, distributions={"value": distribution}, value=0.0)
    except ValueError:
        return False
    return True


def _seedless(student: StudentConfig) -> dict[str, Any]:
    dumped = student.model_dump(mode="json")
    del dumped["training"]["seed"]
    return dumped


def _shown(value: Any) -> str:
    return "not set" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
