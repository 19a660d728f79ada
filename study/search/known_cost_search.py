"""The known-cost sampler in a study of ours: one for the whole search, told of each ask what is fixed."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from study.search.constraints import Constraint
from study.search.known_cost import KnownCostSampler
from study.search.samplers import Proposals, SamplingContext
from trainables.metrics import Source
from trainables.records import EPOCH_PREFIX, METRICS_ATTRIBUTE


def known_cost(context: SamplingContext) -> Proposals:
    """Expected hypervolume improvement with every isolated objective known; see `KnownCostSampler`.

    A constraint on an isolated metric is known too; one on any other is read off the trials.

    Raises:
        ValueError: a constraint is on an isolated metric, and the context tells none.
    """
    isolated = [each for each in context.constraints if each.metric.source is Source.ISOLATED]
    others = [each for each in context.constraints if each.metric.source is not Source.ISOLATED]
    sampler = KnownCostSampler(
        context.suggest,
        context.known,
        constraints=[_known_constraint(each, context.metric_of) for each in isolated],
        unknown_constraints=[_told_constraint(each) for each in others],
        curve=learning_curve(context.objectives, known=context.known) if context.objectives else None,
        evidence=context.evidence,
        num_startup_trials=context.config.num_startup_trials,
        seed=context.seed,
    )

    def proposals(seed: int, fixed: Mapping[str, object]) -> BaseSampler:  # noqa: ARG001 - its own is a function of it
        sampler.fix(fixed)
        return sampler

    return proposals


def learning_curve(
    objectives: Sequence[str], *, known: Mapping[int, object]
) -> Callable[[FrozenTrial], Sequence[tuple[float, Sequence[float]]]]:
    """What a trial's stored epochs show of the objectives that are not known beforehand.

    The attributes are read as they are: records would be checked anew at every ask.
    """
    names = [None if index in known else name for index, name in enumerate(objectives)]

    def curve(trial: FrozenTrial) -> Sequence[tuple[float, Sequence[float]]]:
        shown = [
            (float(name.removeprefix(EPOCH_PREFIX)), metrics)
            for name, metrics in trial.user_attrs.items()
            if name.startswith(EPOCH_PREFIX)
        ]
        return [(epoch, [_told(metrics, name) for name in names]) for epoch, metrics in sorted(shown, key=_epoch)]

    return curve


def _epoch(shown: tuple[float, object]) -> float:
    return shown[0]


def _told(metrics: Mapping[str, float | None], name: str | None) -> float:
    value = None if name is None else metrics.get(name)
    return math.nan if value is None else value


def _known_constraint(
    constraint: Constraint, metric_of: Callable[[Mapping[str, Any], str], float] | None
) -> Callable[[Mapping[str, Any]], float]:
    if metric_of is None:
        raise ValueError(f'constraint "{constraint.text}": the sampler is not told isolated metrics')
    name = constraint.metric.name
    return lambda parameters: constraint.violation(metric_of(parameters, name))


def _told_constraint(constraint: Constraint) -> Callable[[FrozenTrial], float | None]:
    def read(trial: FrozenTrial) -> float | None:
        value = (trial.user_attrs.get(METRICS_ATTRIBUTE) or {}).get(constraint.metric.name)
        return None if value is None else constraint.violation(value)

    return read
