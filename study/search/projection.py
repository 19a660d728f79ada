"""What a trial that did not run to its end would have come to: learning curves carried on by straight lines."""

# Shapes: N trials, M objectives.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Curve = Mapping[float, Array]  # by budget, the values then, one for each objective; NaN where unknown

MIN_COMPLETE = 3


@dataclass(frozen=True, slots=True)
class Line:
    """Ends as a linear function of what was shown, and the variance of the ends about it."""

    slope: float
    intercept: float
    variance: float


def end_line(shown_N: Array, ends_N: Array) -> Line:
    """Ordinary least squares of ends on what was shown, the slope held within [0, 1].

    A slope above 1 would say that leads grow, one below 0 that they turn: where so few points say so, it is chance. The
    intercept is that of the slope as it was held: the line goes through the means. Where all showed the same, nothing
    tells the slope, and each keeps its distance (slope 1).
    """
    apart_N = shown_N - shown_N.mean()
    spread = float(apart_N @ apart_N)
    slope = float(np.clip(apart_N @ (ends_N - ends_N.mean()) / spread, 0.0, 1.0)) if spread > 0.0 else 1.0
    intercept = float(ends_N.mean() - slope * shown_N.mean())
    missed_N = ends_N - intercept - slope * shown_N
    return Line(slope, intercept, float(missed_N @ missed_N) / max(1, len(ends_N) - 2))


def projected_ends(curves: Sequence[Curve], ends_NM: Array) -> tuple[Array, Array]:
    """The ends, and where they are unknown (NaN) what the curves lead to; and the variance of each, 0 where known.

    An end is projected from the latest budget that the trial has shown and at least three trials with a known end have
    shown too. Without such a budget it stays unknown.

    Args:
        curves: one a trial.
        ends_NM: shape (trials, objectives); NaN where a trial has not come to its end.
    """
    lines = _Lines(curves, ends_NM)
    filled_NM, variances_NM = ends_NM.copy(), np.zeros_like(ends_NM)
    for row, objective in np.argwhere(np.isnan(ends_NM)):
        for budget in sorted(curves[row], reverse=True):
            shown = curves[row][budget][objective]
            line = lines.at(budget, objective) if np.isfinite(shown) else None
            if line is not None:
                filled_NM[row, objective] = line.intercept + line.slope * shown
                variances_NM[row, objective] = line.variance
                break
    return filled_NM, variances_NM


@final
class _Lines:
    """The lines of each budget and objective, drawn when they are first asked for."""

    def __init__(self, curves: Sequence[Curve], ends_NM: Array) -> None:
        self._curves = curves
        self._ends_NM = ends_NM
        self._rows: dict[float, list[int]] = {}
        for row, curve in enumerate(curves):
            for budget in curve:
                self._rows.setdefault(budget, []).append(row)
        self._drawn: dict[tuple[float, int], Line | None] = {}

    def at(self, budget: float, objective: int) -> Line | None:
        """None where fewer than three trials with a known end have shown something then."""
        if (budget, objective) not in self._drawn:
            rows = self._rows[budget]
            shown_N = np.array([self._curves[row][budget][objective] for row in rows])
            ends_N = self._ends_NM[rows, objective]
            told_N = np.isfinite(shown_N) & np.isfinite(ends_N)
            self._drawn[budget, objective] = (
                end_line(shown_N[told_N], ends_N[told_N]) if told_N.sum() >= MIN_COMPLETE else None
            )
        return self._drawn[budget, objective]
