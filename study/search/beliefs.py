"""What is known and believed of a space's points, given a history of trials; and which point promises most."""

# Shapes: N points, M objectives. Every objective is better when it is more, and a constraint is kept from 0 on.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from moocore import is_nondominated
from numpy.typing import NDArray
from scipy.special import log_ndtr

from study.search.candidates import Candidate
from study.search.encoding import Encoder
from study.search.history import History
from study.search.improvement import expected_improvement
from study.search.known_functions import KnownFunctions
from study.search.models import Models
from study.search.projection import projected_ends
from study.search.surrogate import Conditioned, Posterior, Surrogate

Array = NDArray[np.float64]

MARGIN_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class Belief:
    """Of points: means and deviations of the objectives, (points, objectives); of what is known, the value and 0.

    The chance that a point keeps every unknown constraint, (points,), as its logarithm; and whether it would if each
    came to be what is believed of it.
    """

    means_NM: Array
    deviations_NM: Array
    log_feasible_N: Array
    is_feasible_N: NDArray[np.bool_]


@final
class Beliefs:
    """A history with its models.

    Running trials count on the front as if they had reached what is believed of them, whatever they have shown so far
    and even if they are paused: what another worker could add there is what goes beyond it. Stopped ones will reach
    nothing, and another study's are not on this one's front: these tell the models alone.
    """

    def __init__(
        self, history: History, known: KnownFunctions, models: Models, signs: Array, encoder: Encoder, worst_M: Array
    ) -> None:
        """Condition on `history`.

        Args:
            history: with a complete trial at least, of the study or of another.
            known: the known objectives by index.
            models: up to date with the history.
            signs: 1 where an objective is maximised, -1 where it is minimised.
            encoder: of every point that will be asked about.
            worst_M: of each objective, the worst value that should count, if that of the front is better; infinite:
                only that.
        """
        self._known, self._signs, self._encoder = known, signs, encoder
        ends_NM, variances_NM = projected_ends(history.curves, history.ends_NM)
        told, silent = encoder.encode(history.points), encoder.encode(history.silent)
        is_running_N = np.arange(len(told)) >= history.num_ended

        def given(surrogate: Surrogate, values: Array, variances: Array | None) -> Conditioned:
            """The running points of which nothing is known count as what is believed of them."""
            knows = np.isfinite(values)
            conditioned = surrogate.given(told[knows], values[knows], None if variances is None else variances[knows])
            return conditioned.expecting(np.vstack([told[is_running_N & ~knows], silent]))

        self._objectives = {
            index: given(surrogate, ends_NM[:, index], variances_NM[:, index])
            for index, surrogate in models.objectives.items()
        }
        self._constraints = [
            given(surrogate, history.margins_NK[:, index], None) for index, surrogate in models.constraints.items()
        ]
        reached_NM = history.ends_NM[history.standing]
        if history.running:
            believed = self.of(history.running)
            reached_NM = np.vstack([reached_NM, believed.means_NM[believed.is_feasible_N]])
        self._front_KM = nondominated(reached_NM)
        complete_NM = history.ends_NM[history.is_complete_N]
        self._reference_M = reference(self._front_KM if len(self._front_KM) else nondominated(complete_NM), worst_M)

    def of(self, points: Sequence[Candidate]) -> Belief:
        """What is known and believed of points."""
        means_NM, deviations_NM = np.zeros((2, len(points), len(self._signs)))
        for index in self._known.indices:
            means_NM[:, index] = self._signs[index] * self._known.values(index, points)
        at = self._encoder.encode(points)
        for index, conditioned in self._objectives.items():
            told = conditioned.at(at)
            means_NM[:, index], deviations_NM[:, index] = told.means, told.deviations
        log_feasible_N, is_feasible_N = np.zeros(len(points)), np.ones(len(points), dtype=bool)
        for conditioned in self._constraints:
            told = conditioned.at(at)
            log_feasible_N += log_chance_of_feasibility(told)
            is_feasible_N &= told.means >= 0.0
        return Belief(means_NM, deviations_NM, log_feasible_N, is_feasible_N)

    def log_promise(self, points: Sequence[Candidate]) -> Array:
        """Logarithm of what each point promises, (points,).

        That is its expected hypervolume improvement, times the chance that it keeps the unknown constraints (Gardner et
        al. 2014). While no point is known to keep them there is no front to improve on, and it is that chance alone
        (Gelbart et al. 2014).
        """
        belief = self.of(points)
        if self._constraints and not len(self._front_KM):
            return belief.log_feasible_N
        growth_N = expected_improvement(belief.means_NM, belief.deviations_NM, self._front_KM, self._reference_M)
        with np.errstate(divide="ignore"):
            log_promise: Array = np.log(growth_N) + belief.log_feasible_N
        return log_promise


def log_chance_of_feasibility(margin: Posterior) -> Array:
    """Logarithm of the probability that a normal margin is at least 0; finite where the probability itself is 0."""
    logarithms: Array = log_ndtr(margin.means / margin.deviations)
    return logarithms


def nondominated(values_NM: Array) -> Array:
    """The rows that no other one dominates."""
    return values_NM[is_nondominated(-values_NM)] if len(values_NM) else values_NM


def reference(front_KM: Array, worst_M: Array) -> Array:
    """A tenth of the front's range below its worst value, or below the worst that should count."""
    low, high = front_KM.min(axis=0), front_KM.max(axis=0)
    ranges = np.where(high > low, high - low, np.maximum(np.abs(low), 1e-12))
    below: Array = np.minimum(low, worst_M) - MARGIN_FRACTION * ranges
    return below
