"""An Optuna sampler that is told what some objectives of a point will be, and has to learn only the others."""

# Shapes: N points, M objectives.

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from study.search.beliefs import Beliefs
from study.search.candidates import Candidate, Space, draw
from study.search.encoding import Encoder
from study.search.history import ConstraintOf, CurveOf, History, Reading, signs
from study.search.known_functions import Known, KnownFunctions
from study.search.models import Models
from study.search.projection import MIN_COMPLETE
from study.search.supply import NUM_STARTS, Supply

Array = NDArray[np.float64]

NUM_CLIMBS = 3
NUM_NEAR_GOAL = 8
WORST_FRACTION = 0.1


@final
class KnownCostSampler(BaseSampler):
    """Asks for the point that is expected to grow the dominated hypervolume most, its cost known beforehand.

    Objectives in `known` enter exactly; each of the others is modelled by a Gaussian process of its own, of the
    COMPLETE trials' values. Given `curve`, also of what those would have come to that were stopped (PRUNED) or still
    run: their last values, carried on by a straight line over the COMPLETE trials that have shown theirs at the same
    budget (`projected_ends`). A running trial counts on the front as what is believed of it, so that parallel workers
    ask for different points; a stopped one does not count there. Unknown constraints are modelled too, and the
    improvement is multiplied by the chance that they are kept. The first trials spread over the range of the first
    known objective.

    Where no objective is known it has to learn what a point costs too: the models then have an additive part, and the
    ends of the front are looked for as far as nine tenths of what was seen.

    What it asks is a function of its seed, the trial's number and the history.

    Args:
        space: the function that suggests a point, or the distributions of a flat space. Without it, points are like
            those that trials have had; what no trial has had yet is drawn at random.
        known: for each known objective, by its index, a function of the parameters; in the objective's own units.
        constraints: functions of the parameters; a point is asked only where each gives at most 0. They need `space`.
        unknown_constraints: each reads a value off a COMPLETE trial, which keeps the constraint where it is at most 0;
            None where it is unknown, and nothing is held against the trial.
        curve: what a trial showed on its way: budget and the values then, one for each objective, NaN where unknown, by
            ascending budget. Without it, only COMPLETE trials tell anything.
        evidence: COMPLETE trials of another study with the same objectives: they tell the models what their like here
            would, but are not on this study's front, and their points may be asked.
        num_startup_trials: trials before the model is asked, at least 2; with `curve` those that have shown something,
            three of them COMPLETE. Evidence counts.
        seed: of all that is random.

    Raises:
        ValueError: constraints without a space, or evidence that is not COMPLETE; and when asked: a known objective or
            a constraint is not finite at some point, an index is not one of the study's objectives, values are not as
            many as those, or no point of the space satisfies the constraints.
    """

    def __init__(
        self,
        space: Space | None = None,
        known: Mapping[int, Known] | None = None,
        *,
        constraints: Sequence[Known] = (),
        unknown_constraints: Sequence[ConstraintOf] = (),
        curve: CurveOf | None = None,
        evidence: Sequence[FrozenTrial] = (),
        num_startup_trials: int = 10,
        seed: int = 0,
    ) -> None:
        if constraints and space is None:
            raise ValueError("constraints are given without a space: what is drawn at random could break them")
        self._known = KnownFunctions("known objective", known or {})
        self._supply = Supply(space, KnownFunctions("constraint", dict(enumerate(constraints))), seed)
        self._reading = Reading(curve, unknown_constraints, evidence)
        self._num_startup_trials = max(2, num_startup_trials)
        self._num_complete_first = min(MIN_COMPLETE, self._num_startup_trials)
        self._seed = seed
        self._models = Models(is_additive=not known)
        self._fixed: dict[str, Any] = {}
        self._asked: tuple[int, Candidate] | None = None

    def fix(self, parameters: Mapping[str, Any]) -> None:
        """From now on ask only for points that have these parameters; none of them again by an empty mapping."""
        self._fixed = dict(parameters)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The distributions of the point that is asked for, which is chosen here."""
        candidate = self._choose(study, trial.number)
        self._asked = None if candidate is None else (trial.number, candidate)
        return {} if candidate is None else dict(candidate.distributions)

    def sample_relative(
        self,
        study: optuna.Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The point's parameters."""
        return {} if self._asked is None or self._asked[0] != trial.number else dict(self._asked[1].parameters)

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002 - Optuna's signature
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """At random: what no trial has had yet."""
        if param_name in self._fixed:
            return self._fixed[param_name]
        return draw(param_distribution, np.random.default_rng([self._seed, trial.number, len(trial.params)]))

    def _choose(self, study: optuna.Study, number: int) -> Candidate | None:
        signs_M = signs(study)
        for index in self._known.indices:
            if not 0 <= index < len(signs_M):
                raise ValueError(f"known objective {index}: the study has objectives 0 to {len(signs_M) - 1}")
        history = self._reading.history(study, number)
        stream = np.random.default_rng([self._seed, number])
        points = self._supply.points(history, self._fixed, stream)
        if not points:
            return None
        tried = {each.key for each in history.own}
        fresh = [each for each in points if each.key not in tried] or points
        if len(history.points) < self._num_startup_trials or history.num_complete < self._num_complete_first:
            return self._spread(fresh, len(tried), stream)
        encoder = Encoder([*history.points, *history.silent, *self._supply.typical])
        worst_M = self._worst(history, points, signs_M)
        unknown = [index for index in range(len(signs_M)) if index not in self._known.indices]
        self._models.update(history, encoder, unknown)
        beliefs = Beliefs(history, self._known, self._models, signs_M, encoder, worst_M)
        return self._most_promising(beliefs, fresh, tried, stream)

    def _worst(self, history: History, points: Sequence[Candidate], signs_M: Array) -> Array:
        """For each objective how bad it may be for the hypervolume to count it, better when more; infinite: not told.

        A known one as bad as at any point. Where none is known, the ends of the front are still to be found: each as
        bad as the worst that was seen, but for the worst tenth, among which may be what has failed.
        """
        if not self._known.indices:
            worst_M: Array = np.quantile(history.ends_NM[history.is_complete_N], WORST_FRACTION, axis=0)
            return worst_M
        worst_M = np.full(len(signs_M), np.inf)
        for index in self._known.indices:
            worst_M[index] = (signs_M[index] * self._known.values(index, points)).min()
        return worst_M

    def _spread(self, points: Sequence[Candidate], place: int, stream: np.random.Generator) -> Candidate:
        """One of the points nearest to a place in the range of the first known objective, which the places fill."""
        if not self._known.indices:
            return points[int(stream.integers(len(points)))]
        costs = self._known.values(self._known.indices[0], points)
        goal = costs.min() + van_der_corput(place) * (costs.max() - costs.min())
        nearest = np.argsort(np.abs(costs - goal), kind="stable")[:NUM_NEAR_GOAL]
        return points[int(stream.choice(nearest))]

    def _most_promising(
        self, beliefs: Beliefs, points: Sequence[Candidate], tried: set[Any], stream: np.random.Generator
    ) -> Candidate:
        """The best of the points, or of what is found climbing from the best of them to their best neighbours."""
        promise_N = beliefs.log_promise(points)
        for _ in range(NUM_CLIMBS):
            order = np.argsort(-promise_N, kind="stable")[:NUM_STARTS]
            leading = [points[index] for index in order]
            near = [each for each in self._supply.near(leading, self._fixed, stream) if each.key not in tried]
            if not near:
                break
            points = [*leading, *near]
            promise_N = np.concatenate([promise_N[order], beliefs.log_promise(near)])
        return points[int(np.argmax(promise_N))]


def van_der_corput(index: int) -> float:
    """The index-th (from 0) of a sequence that fills [0, 1] evenly however long it is: both ends, then the middles.

    After 0 and 1 it is van der Corput's (1935) in base 2.
    """
    if index < 2:
        return float(index)
    place, share, rest = 0.0, 0.5, index - 1
    while rest:
        place += share * (rest % 2)
        share, rest = share / 2, rest // 2
    return place
