"""How far a search has come: the hypervolume that its front dominates, after each finished trial."""

from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from analysis.pareto import candidates, values_of
from analysis.results import StudyResults
from analysis.timeline import SearchClock, closed_spans
from trainables.metrics import Metric, as_minimized

_MARGIN_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class HypervolumeStep:
    """The front once one more trial had finished."""

    trial_number: int
    num_finished: int
    search_seconds: float | None
    hypervolume: float
    box_fraction: float


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference point in the objectives' own units, shape (objectives,), and where it comes from."""

    values: NDArray[np.float64]
    is_stored: bool


def study_reference(
    values: NDArray[np.float64], metrics: Sequence[Metric], stored: Sequence[float] | None = None
) -> Reference:
    """The reference point that a study's hypervolume is measured from: the stored one, else the `reference_point`.

    Args:
        values: of the finished trials, as for `reference_point`.
        metrics: one for each column.
        stored: shape (metrics,), in their own units; None where the study has none.
    """
    if stored is not None:
        return Reference(np.array(stored, dtype=np.float64), is_stored=True)
    return Reference(reference_point(values, metrics), is_stored=False)


def reference_point(values: NDArray[np.float64], metrics: Sequence[Metric]) -> NDArray[np.float64]:
    """The worst value of each metric, moved outward by 10 % of the metric's range.

    Where all values are equal there is no range, and 10 % of the value itself is taken (0.1 where it is 0).

    Args:
        values: shape (points, metrics), in the metrics' own units, finite, at least one point.
        metrics: one for each column.

    Returns:
        Shape (metrics,), in the metrics' own units.
    """
    costs = as_minimized(values, metrics)
    worst = costs.max(axis=0)
    extent = worst - costs.min(axis=0)
    stand_in = np.where(worst == 0.0, 1.0, np.abs(worst))
    return as_minimized(worst + _MARGIN_FRACTION * np.where(extent > 0.0, extent, stand_in), metrics)


def hypervolume(values: NDArray[np.float64], metrics: Sequence[Metric], reference: NDArray[np.float64]) -> float:
    """Volume that the points dominate up to `reference`, in the product of the metrics' units; 0 without points.

    Args:
        values: shape (points, metrics), in the metrics' own units.
        metrics: one for each column.
        reference: shape (metrics,), in the metrics' own units; a point beyond it adds nothing.
    """
    if len(values) == 0:
        return 0.0
    return float(moocore.hypervolume(as_minimized(values, metrics), ref=as_minimized(reference, metrics)))


def hypervolume_steps(
    results: StudyResults, reference: NDArray[np.float64] | None = None
) -> tuple[HypervolumeStep, ...]:
    """Hypervolume after each trial that may stand on the front, in the order in which they finished.

    `box_fraction` is the share of the box between the reference point and the best value of each objective: 1 would be
    one student that is best in everything.

    Args:
        results: the study.
        reference: shape (objectives,), in their own units; None for the `study_reference`. To compare studies, give all
            of them the same one.
    """
    finished_trials = candidates(results.trials, results.objectives)
    if not finished_trials:
        return ()
    if reference is None:
        known = values_of(finished_trials, results.objectives)
        reference = study_reference(known, results.objectives, results.stored_reference).values
    spans = closed_spans(results.trials)
    clock = SearchClock.over(span for each in spans.values() for span in each)
    finished = [(spans[trial.number][-1].end if trial.number in spans else None, trial) for trial in finished_trials]
    finished.sort(key=lambda pair: (pair[0] is not None, pair[0] or 0.0, pair[1].number))
    values = values_of([trial for _, trial in finished], results.objectives)
    box = _box(values, results.objectives, reference)
    steps = []
    for index, (moment, trial) in enumerate(finished):
        volume = hypervolume(values[: index + 1], results.objectives, reference)
        seconds = None if moment is None else clock.seconds(moment)
        fraction = volume / box if box > 0.0 else 0.0
        steps.append(HypervolumeStep(trial.number, index + 1, seconds, volume, fraction))
    return tuple(steps)


def box_fraction(values: NDArray[np.float64], metrics: Sequence[Metric], reference: NDArray[np.float64]) -> float:
    """The `hypervolume` as a share of the box between `reference` and the best value of each metric; 0 without a box.

    Args:
        values: shape (points, metrics), in the metrics' own units, at least one point.
        metrics: one for each column.
        reference: shape (metrics,), in the metrics' own units.
    """
    box = _box(values, metrics, reference)
    return hypervolume(values, metrics, reference) / box if box > 0.0 else 0.0


def _box(values: NDArray[np.float64], metrics: Sequence[Metric], reference: NDArray[np.float64]) -> float:
    ideal = as_minimized(values, metrics).min(axis=0)
    return float(np.prod(np.maximum(as_minimized(reference, metrics) - ideal, 0.0)))
