"""What a replayed search came to, held against all that was recorded: hypervolume by epochs, and what was lost."""

# Shapes: N students, M objectives. Every objective is better when it is less.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from moocore import hypervolume, is_nondominated
from numpy.typing import NDArray

from study.search.replay import ReplayedTrial, values_at
from trainables.metrics import Metric
from trainables.records import TrialState

Array = NDArray[np.float64]

REFERENCE = 1.1


@dataclass(frozen=True, slots=True)
class RecordedFront:
    """The front of everything that was recorded, which scales what a search reaches.

    Each objective is scaled by the front's own range to [0, 1]; volumes are taken up to 1.1 in each and told as a share
    of the recorded front's own.
    """

    front_NM: Array
    low_M: Array
    extent_M: Array

    @classmethod
    def of(cls, values_NM: Array) -> "RecordedFront":
        """The front of these students."""
        front = np.unique(values_NM[is_nondominated(values_NM)], axis=0)
        extent = np.ptp(front, axis=0)
        return cls(front, front.min(axis=0), np.where(extent > 0.0, extent, 1.0))

    def hypervolume_fraction(self, values_NM: Array) -> float:
        """Of these students; 0 where there are none."""
        if len(values_NM) == 0:
            return 0.0
        return self._volume(values_NM) / self._volume(self.front_NM)

    def holds(self, values_M: Array) -> bool:
        """Whether a student stands on it."""
        return bool((self.front_NM == values_M).all(axis=1).any())

    def _volume(self, values_NM: Array) -> float:
        return float(hypervolume((values_NM - self.low_M) / self.extent_M, ref=np.full(len(self.low_M), REFERENCE)))


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a student was stopped, and whether it would have come to stand on the recorded front."""

    epoch: float
    is_of_front: bool


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """One replayed search; hypervolumes are shares of the recorded front's."""

    num_asked: int
    num_complete: int
    epochs: float
    full_epochs: float
    seconds: float
    hypervolume: float
    hypervolume_unstopped: float
    num_front_found: int
    stops: tuple[Stop, ...]
    steps: tuple[tuple[float, float], ...]

    @property
    def num_front_stopped(self) -> int:
        """Students that were stopped and would have come to stand on the recorded front."""
        return sum(each.is_of_front for each in self.stops)

    @property
    def lost_fraction(self) -> float:
        """Of the hypervolume that the same students would have reached trained to their ends: what stopping lost."""
        if self.hypervolume_unstopped == 0.0:
            return 0.0
        return 1.0 - self.hypervolume / self.hypervolume_unstopped

    def epochs_until(self, target: float) -> float | None:
        """Epochs that all trials together had been trained for when the hypervolume was that; None: it never was."""
        return next((epochs for epochs, reached in self.steps if reached >= target), None)


def summarise(trials: Sequence[ReplayedTrial], objectives: Sequence[Metric], front: RecordedFront) -> ReplaySummary:
    """What came of the trials of one replay."""
    complete = sorted((each for each in trials if each.state is TrialState.COMPLETE), key=_spent)
    stopped = [each for each in trials if each.state is TrialState.PRUNED]
    reached = np.array([_end(each, objectives) for each in complete]).reshape(-1, len(objectives))
    missed = np.array([_end(each, objectives) for each in stopped]).reshape(-1, len(objectives))
    steps = [
        (each.epochs_spent_by_all, front.hypervolume_fraction(reached[: index + 1]))
        for index, each in enumerate(complete)
    ]
    return ReplaySummary(
        num_asked=len(trials),
        num_complete=len(complete),
        epochs=sum(each.epochs for each in trials),
        full_epochs=sum(float(each.curve.metrics[-1]["epoch"] or 0.0) for each in trials),
        seconds=max((each.ended_at_s or 0.0 for each in trials), default=0.0),
        hypervolume=front.hypervolume_fraction(reached),
        hypervolume_unstopped=front.hypervolume_fraction(np.concatenate([reached, missed])),
        num_front_found=sum(map(front.holds, reached)),
        stops=tuple(Stop(each.epochs, front.holds(end)) for each, end in zip(stopped, missed, strict=True)),
        steps=tuple(steps),
    )


def _spent(trial: ReplayedTrial) -> float:
    return trial.epochs_spent_by_all


def _end(trial: ReplayedTrial, objectives: Sequence[Metric]) -> Array:
    return values_at({**trial.curve.metrics[-1], **trial.curve.isolated}, objectives)
