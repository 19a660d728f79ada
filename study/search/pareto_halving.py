"""Asynchronous halving for several objectives: who goes on at a rung, and who may later. No Ray, no storage."""

# Shapes: N trials at a rung, M objectives. Every objective is better when it is more.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from moocore import hypervolume, is_nondominated
from numpy.typing import NDArray

from study.search.candidates import Candidate
from study.search.endings import Endings, Traits
from study.search.improvement import expected_improvement
from study.search.projection import MIN_COMPLETE
from trainables.records import RungAction, RungDecision

Array = NDArray[np.float64]

NUM_PEERS = 32
MARGIN_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class Standing:
    """Each trial of a rung, by number, as it is believed to end: mean and deviation of each objective."""

    numbers: tuple[int, ...]
    means_NM: Array
    deviations_NM: Array
    num_ended: int


@final
class ParetoHalving:
    """At each rung a trial goes on while it is expected to add enough to the front, at its own cost.

    What a trial will be worth at its end is projected from what it shows at the rung and from what it is, its
    parameters, as those of like cost have done that have shown something there and have come to their end. Known
    objectives need no projection. What it is expected to add is its expected hypervolume improvement over the others
    that came to the rung, as they ended or are projected to end, as a share of the hypervolume of them all; it goes on
    where that is at least `least_gain`.

    Until three trials that came to the rung have come to their end nothing can be projected. As in ASHA (Li et al.
    2020, "A system for massively parallel hyperparameter tuning") the `keep_fraction` that adds most at the rung itself
    then goes on, and the first in any case; a trial that has passed one rung so passes the later ones.

    A trial that does not go on is paused, and goes on once it would be let through; or it is stopped for good.

    Args:
        is_known_M: which objectives are known before training; not all.
        least_gain: of the hypervolume; a trial that is expected to add less does not go on.
        keep_fraction: of the trials that came to a rung, those that go on while nothing can be projected.
        pauses: whether a trial that does not go on may later.
        point_of: the parameters of the trial that has this number; None: trials are told apart by what they show alone.

    Raises:
        ValueError: every objective is known.
    """

    def __init__(
        self,
        is_known_M: Sequence[bool],
        *,
        least_gain: float,
        keep_fraction: float,
        pauses: bool,
        point_of: Callable[[int], Candidate] | None = None,
    ) -> None:
        if all(is_known_M):
            raise ValueError("every objective is known before training: there is nothing to judge a trial by")
        self._is_known_M = np.array(is_known_M)
        self._least_gain = least_gain
        self._keep_fraction = keep_fraction
        self._pauses = pauses
        self._traits = Traits(point_of)
        self._endings: dict[tuple[float, int, tuple[int, ...], int], Endings] = {}
        self._rungs: dict[float, dict[int, tuple[float, ...]]] = {}  # by epoch, what each trial showed there
        self._ends: dict[int, tuple[float, ...]] = {}
        self._decisions: dict[tuple[int, float], RungDecision] = {}

    def restore(self, number: int, values: Sequence[float], decision: RungDecision) -> None:
        """A trial that has come to a rung already, and what was decided; in any order."""
        self._enter(number, decision.epoch, values)
        self._decisions[number, decision.epoch] = decision

    def ended(self, number: int, values: Sequence[float]) -> None:
        """A trial has come to its end with these values."""
        self._ends[number] = tuple(values)

    def judge(self, number: int, epoch: float, values: Sequence[float], *, spared: str | None = None) -> RungDecision:
        """Decide about a trial that comes to the rung at `epoch`; one that comes again is told the same again.

        Args:
            number: of the trial.
            epoch: of the rung.
            values: one for each objective, better when more, finite.
            spared: why it goes on whatever it adds; None: it does not.
        """
        decided = self._decisions.get((number, epoch))
        if decided is not None:
            return decided.model_copy(update={"action": RungAction.GO_ON}) if decided.promoted else decided
        self._enter(number, epoch, values)
        standing = self._standing(epoch)
        gain = self._gains(standing, [number])[0]
        passes, reason = self._passes(standing, number, epoch, gain)
        action = RungAction.GO_ON if passes or spared else RungAction.PAUSE if self._pauses else RungAction.STOP
        decision = RungDecision(
            epoch=epoch,
            action=action,
            reason=reason if passes or spared is None else f"{reason}; {spared}",
            gain_fraction=gain,
            num_judged=len(standing.numbers),
            num_ended=standing.num_ended,
        )
        self._decisions[number, epoch] = decision
        return decision

    def promotion(self, paused: Mapping[int, float]) -> tuple[int, RungDecision] | None:
        """Which of the paused trials (number: epoch) goes on now, the one that adds most; None: none of them.

        The latest rung comes first. Where a trial goes on, the decision is taken, and is to be acted on.
        """
        for epoch in sorted(set(paused.values()), reverse=True):
            standing = self._standing(epoch)
            waiting = [number for number, at in paused.items() if at == epoch]
            gains = self._gains(standing, waiting)
            gain, number = max(zip(gains, waiting, strict=True), key=lambda pair: (pair[0], -pair[1]))
            passes, reason = self._passes(standing, number, epoch, gain)
            if passes:
                changes = {
                    "reason": f"paused, then {reason}",
                    "gain_fraction": gain,
                    "num_judged": len(standing.numbers),
                    "num_ended": standing.num_ended,
                    "promoted": True,
                }
                decision = self._decisions[number, epoch].model_copy(update=changes)
                self._decisions[number, epoch] = decision
                return number, decision
        return None

    def _enter(self, number: int, epoch: float, values: Sequence[float]) -> None:
        self._rungs.setdefault(epoch, {})[number] = tuple(values)

    def _standing(self, epoch: float) -> Standing:
        rung = dict(sorted(self._rungs[epoch].items()))  # whoever came first: after a restart that is forgotten
        shown_NM: Array = np.array(list(rung.values()), dtype=np.float64)
        numbers_N = np.array(list(rung))
        has_ended_N = np.array([number in self._ends for number in rung])
        ends_NM: Array = np.array([self._ends.get(number, (np.nan,) * shown_NM.shape[1]) for number in rung])
        num_ended = int(has_ended_N.sum())
        means_NM, deviations_NM = np.where(has_ended_N[:, None], ends_NM, shown_NM), np.zeros_like(shown_NM)
        if num_ended >= MIN_COMPLETE:
            unended = np.flatnonzero(~has_ended_N)
            known = sorted({number for each in self._rungs.values() for number in each})
            of_all = dict(zip(known, self._traits.of(known), strict=True))  # whichever rung is asked about first
            traits = np.array([of_all[number] for number in rung])
            costs, kinds = np.unique(shown_NM[np.ix_(unended, self._is_known_M)], axis=0, return_inverse=True)
            for kind, cost in enumerate(costs):
                rows = unended[kinds.reshape(-1) == kind]  # trials of one cost have the same peers
                peers = self._peers(shown_NM, has_ended_N, cost)
                for objective in np.flatnonzero(~self._is_known_M):
                    key = epoch, int(objective), tuple(numbers_N[peers].tolist()), traits.shape[1]
                    if key not in self._endings:
                        arrays = shown_NM[peers, objective], ends_NM[peers, objective], traits[peers]
                        self._endings[key] = Endings(*arrays)
                    told = self._endings[key].of(shown_NM[rows, objective], traits[rows])
                    means_NM[rows, objective], deviations_NM[rows, objective] = told
        else:
            means_NM = shown_NM  # all as they were here: an end is no match for a beginning
        return Standing(tuple(rung), means_NM, deviations_NM, num_ended)

    def _peers(self, shown_NM: Array, has_ended_N: NDArray[np.bool_], cost: Array) -> NDArray[np.intp]:
        """The trials that have come to their end whose cost is most like this one."""
        ended = np.flatnonzero(has_ended_N)
        costs = shown_NM[:, self._is_known_M]
        extents = np.ptp(costs, axis=0)
        apart = np.abs(costs[ended] - cost) / np.where(extents > 0.0, extents, 1.0)
        return ended[np.argsort(apart.sum(axis=1), kind="stable")[:NUM_PEERS]]

    def _gains(self, standing: Standing, numbers: Sequence[int]) -> list[float]:
        """What each of these trials of the rung is expected to add, as a share of the hypervolume of all."""
        means_NM = standing.means_NM
        is_best_N = is_nondominated(-means_NM, keep_weakly=True)
        front = means_NM[is_best_N]
        low, extent, extent_of_all = front.min(axis=0), np.ptp(front, axis=0), np.ptp(means_NM, axis=0)
        rounding = 1e-9 * np.abs(means_NM).max(axis=0)  # projected ends that are the same differ by less
        extent = np.where(extent > rounding, extent, np.where(extent_of_all > rounding, extent_of_all, 1.0))
        reference = low - MARGIN_FRACTION * extent
        total = hypervolume(-front, ref=-reference)
        rows = np.array([standing.numbers.index(number) for number in numbers])

        def grown(rows: NDArray[np.intp], others: Array) -> Array:
            return expected_improvement(means_NM[rows], standing.deviations_NM[rows], others, reference)

        gains = grown(rows, front[is_nondominated(-front)])
        for index in np.flatnonzero(is_best_N[rows]):  # one of the front itself adds to the others of it
            others = np.delete(means_NM, rows[index], axis=0)
            others = others[is_nondominated(-others)] if len(others) else others
            gains[index] = grown(rows[[index]], others)[0]
        return [round(float(gain) / total, 12) for gain in gains]  # of a front of two both add the same, to rounding

    def _passes(self, standing: Standing, number: int, epoch: float, gain: float) -> tuple[bool, str]:
        """Whether the trial goes on, and the reason."""
        if standing.num_ended >= MIN_COMPLETE:
            expected = f"expected to add {gain:.2%} to the hypervolume, at least {self._least_gain:.2%} is asked"
            return gain >= self._least_gain, expected
        if any(judged == number and earlier < epoch for judged, earlier in self._decisions):
            return True, "it has passed an earlier rung, and none can be projected yet"
        num_judged = len(standing.numbers)
        num_kept = max(1, int(num_judged * self._keep_fraction))
        gains = self._gains(standing, standing.numbers)
        place = 1 + sum(
            other > gain or (other == gain and rival < number)
            for other, rival in zip(gains, standing.numbers, strict=True)
        )
        return place <= num_kept, f"place {place} of {num_judged}, of which {num_kept} go on: none can be projected yet"
