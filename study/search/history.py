"""What trials tell a sampler: ends, what was shown on the way, what still runs, and what another study told."""

# Shapes: N trials that told something, M objectives, K unknown constraints.

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import final

import numpy as np
import optuna
from moocore import is_nondominated
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.search.candidates import Candidate, observed
from study.search.projection import Curve

Array = NDArray[np.float64]
CurveOf = Callable[[FrozenTrial], Sequence[tuple[float, Sequence[float]]]]
ConstraintOf = Callable[[FrozenTrial], float | None]


@dataclass(frozen=True, slots=True)
class History:
    """Trials that told something: another study's first, then those that ended, as they ended, then running ones.

    Objectives are better when more, constraints are kept from 0 on; NaN is unknown.
    """

    numbers: tuple[int, ...]
    points: tuple[Candidate, ...]
    ends_NM: Array
    margins_NK: Array
    curves: tuple[Curve, ...]
    num_evidence: int
    num_ended: int
    silent: tuple[Candidate, ...]

    @property
    def is_complete_N(self) -> NDArray[np.bool_]:
        """Which trials ran to the end."""
        return np.asarray(np.isfinite(self.ends_NM).all(axis=1), dtype=np.bool_)

    @property
    def num_complete(self) -> int:
        """How many trials ran to the end, another study's among them."""
        return int(self.is_complete_N.sum())

    @property
    def standing(self) -> NDArray[np.int64]:
        """Rows of the study's own complete trials that are not known to break a constraint."""
        is_own = np.arange(len(self.points)) >= self.num_evidence
        return np.flatnonzero(self.is_complete_N & is_own & ~(self.margins_NK < 0.0).any(axis=1))

    @property
    def front(self) -> list[Candidate]:
        """Of those, the points that no other one dominates."""
        rows = self.standing
        if not len(rows):
            return []
        return [self.points[row] for row in rows[is_nondominated(-self.ends_NM[rows])]]

    @property
    def own(self) -> tuple[Candidate, ...]:
        """All points of the study itself."""
        return (*self.points[self.num_evidence :], *self.silent)

    @property
    def running(self) -> tuple[Candidate, ...]:
        """The points that are being tried, whatever they have shown."""
        return (*self.points[self.num_ended :], *self.silent)

    def first(self, count: int) -> "History":
        """As it would be had only the first trials told something."""
        return replace(
            self,
            numbers=self.numbers[:count],
            points=self.points[:count],
            ends_NM=self.ends_NM[:count],
            margins_NK=self.margins_NK[:count],
            curves=self.curves[:count],
            num_evidence=min(count, self.num_evidence),
            num_ended=min(count, self.num_ended),
            silent=(),
        )


@final
class Reading:
    """How trials are read; one that has ended is read once, and evidence too.

    Args:
        curve: what a trial showed on its way; None: PRUNED trials tell nothing, running ones neither.
        constraints: the values of the unknown constraints.
        evidence: complete trials of another study with the same objectives.

    Raises:
        ValueError: a trial of the evidence is not COMPLETE.
    """

    def __init__(
        self, curve: CurveOf | None, constraints: Sequence[ConstraintOf], evidence: Sequence[FrozenTrial]
    ) -> None:
        for trial in evidence:
            if trial.state is not TrialState.COMPLETE:
                raise ValueError(f"evidence: trial {trial.number} is {trial.state.name}: it must be COMPLETE")
        self._curve = curve
        self._constraints = constraints
        self._evidence = tuple(evidence)
        self._read: dict[int, tuple[FrozenTrial, _Told]] = {}
        self._told_evidence: list[_Told] | None = None

    def history(self, study: optuna.Study, number: int) -> History:
        """Of all trials but the one that is asked for, `number`.

        Raises:
            ValueError: a trial of the evidence, or a curve, has not one value for each objective.
        """
        signs_M = signs(study)
        states = (TrialState.COMPLETE, TrialState.RUNNING, TrialState.PRUNED)
        others = [
            self._told_once(each, signs_M)
            for each in study.get_trials(deepcopy=False, states=states)
            if each.number != number and each.params
        ]
        if self._told_evidence is None:
            self._told_evidence = [self._told(each, signs_M) for each in self._evidence]
        evidence = self._told_evidence
        telling = [each for each in others if not each.is_silent]
        running = [each for each in telling if each.ended_at is None]
        ended = sorted(
            (each for each in telling if each.ended_at is not None), key=lambda each: (each.ended_at, each.number)
        )
        told = [*evidence, *ended, *running]
        return History(
            numbers=(*range(-len(evidence), 0), *(each.number for each in (*ended, *running))),
            points=tuple(each.point for each in told),
            ends_NM=np.array([each.ends_M for each in told]).reshape(len(told), len(signs_M)),
            margins_NK=np.array([each.margins for each in told]).reshape(len(told), len(self._constraints)),
            curves=tuple(each.curve for each in told),
            num_evidence=len(evidence),
            num_ended=len(evidence) + len(ended),
            silent=tuple(each.point for each in others if each.is_silent and each.ended_at is None),
        )

    def _told_once(self, trial: FrozenTrial, signs_M: Array) -> "_Told":
        """Optuna's storages hand out the same object for as long as nothing changes in it, after its end for ever."""
        kept = self._read.get(trial.number)
        if kept is not None and kept[0] is trial:
            return kept[1]
        told = self._told(trial, signs_M)
        if trial.state.is_finished():
            self._read[trial.number] = (trial, told)
        return told

    def _told(self, trial: FrozenTrial, signs_M: Array) -> "_Told":
        is_complete = trial.state is TrialState.COMPLETE
        ends_M = signs_M * _one_for_each(trial, trial.values, signs_M) if is_complete else np.full(len(signs_M), np.nan)
        values = [read(trial) if is_complete else None for read in self._constraints]
        return _Told(
            number=trial.number,
            point=observed(trial),
            ends_M=ends_M,
            margins=-np.array([np.nan if value is None else value for value in values], dtype=np.float64),
            curve={
                float(budget): signs_M * _one_for_each(trial, values, signs_M)
                for budget, values in (() if self._curve is None else self._curve(trial))
            },
            ended_at=(trial.datetime_complete or datetime.max) if trial.state.is_finished() else None,
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """One trial; `ended_at` is None while it runs."""

    number: int
    point: Candidate
    ends_M: Array
    margins: Array
    curve: Curve
    ended_at: datetime | None

    @property
    def is_silent(self) -> bool:
        """Whether it has told nothing yet, or ended before it did."""
        return not self.curve and bool(np.isnan(self.ends_M).any())


def _one_for_each(trial: FrozenTrial, values: Sequence[float], signs_M: Array) -> Array:
    if len(values) != len(signs_M):
        raise ValueError(
            f"trial {trial.number} has the values {list(values)}: it must have one for each of the study's "
            f"{len(signs_M)} objectives"
        )
    return np.array(values, dtype=np.float64)


def signs(study: optuna.Study) -> Array:
    """1 where an objective is maximised, -1 where it is minimised."""
    return np.array([1.0 if each is StudyDirection.MAXIMIZE else -1.0 for each in study.directions])
