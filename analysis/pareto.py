"""The non-dominated students, among those that ran their full budget themselves and know every objective."""

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import NDArray

from trainables.metrics import Direction, Metric, Source, as_minimized
from trainables.records import TrialRecord


def candidates(trials: Sequence[TrialRecord], metrics: Sequence[Metric]) -> tuple[TrialRecord, ...]:
    """The trials that may stand on a front of `metrics`: full budget, not a duplicate, none of the metrics unknown."""
    return tuple(
        trial
        for trial in trials
        if trial.may_stand_on_a_front and all(trial.metrics.get(each.name) is not None for each in metrics)
    )


def values_of(trials: Sequence[TrialRecord], metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """The metrics of `trials` in their own units, shape (trials, metrics); an unknown one is NaN."""
    rows = [[trial.metrics.get(each.name) for each in metrics] for trial in trials]
    return np.array(rows, dtype=np.float64).reshape(len(trials), len(metrics))


def nondominated(values: NDArray[np.float64], metrics: Sequence[Metric]) -> NDArray[np.bool_]:
    """Which points no other point dominates.

    A point dominates another when it is at least as good in every metric and better in one. Equal points do not
    dominate each other, so that all of them stand on the front together.

    Args:
        values: shape (points, metrics), in the metrics' own units, finite.
        metrics: one for each column; at least one.

    Returns:
        Shape (points,).
    """
    mask: NDArray[np.bool_] = moocore.is_nondominated(as_minimized(values, metrics), keep_weakly=True)
    return mask


def cost_metric(metrics: Sequence[Metric]) -> Metric:
    """The metric that students are listed by: the first that is minimised, else the last.

    One that is known before training comes before what training shows: an error is no cost.
    """
    costs = [each for each in metrics if each.source is Source.ISOLATED] or metrics
    return next((each for each in costs if each.direction is Direction.MINIMIZE), costs[-1])


def front(trials: Sequence[TrialRecord], metrics: Sequence[Metric]) -> tuple[TrialRecord, ...]:
    """The non-dominated trials among the `candidates`, from the best to the worst in `cost_metric`, then by number."""
    looked_at = candidates(trials, metrics)
    values = values_of(looked_at, metrics)
    costs = as_minimized(values, metrics)[:, list(metrics).index(cost_metric(metrics))]
    chosen = np.flatnonzero(nondominated(values, metrics))
    return tuple(looked_at[index] for index in sorted(chosen, key=lambda each: (costs[each], looked_at[each].number)))
