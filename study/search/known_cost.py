"""An Optuna sampler that is told what some objectives of a point will be, and has to learn only the others."""

# Shapes: N points, M objectives.

from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.search.beliefs import Beliefs, History, Known, KnownFunctions, Models
from study.search.candidates import Candidate, Space, draw, enumerate_space, neighbours, random_points, trace
from study.search.surrogate import Encoder

Array = NDArray[np.float64]

MAX_ENUMERATED = 20_000
NUM_DRAWN = 1_024
NUM_STARTS = 16
NUM_NEIGHBOURS = 16
NUM_CLIMBS = 2
NUM_NEAR_GOAL = 8


@final
class KnownCostSampler(BaseSampler):
    """Asks for the point that is expected to grow the dominated hypervolume most, its cost known beforehand.

    Objectives in `known` enter exactly; each of the others is modelled by a Gaussian process of its own. Running trials
    count as if they had reached what the model believes of them, so that parallel workers ask for different points. The
    first trials spread over the range of the first known objective. COMPLETE trials alone inform the model: a PRUNED
    one was cut off at an unknown distance from what it would have reached.

    What it asks is a function of its seed, the trial's number and the history.

    Args:
        space: the function that suggests a point, or the distributions of a flat space. Without it, points are like
            those that trials have had; what no trial has had yet is drawn at random.
        known: for each known objective, by its index, a function of the parameters; in the objective's own units.
        constraints: functions of the parameters; a point is asked only where each gives at most 0.
        num_startup_trials: complete trials before the model is asked; at least 2.
        seed: of all that is random.

    Raises:
        ValueError: when asked: a known objective or a constraint is not finite at some point, an index is not one of
            the study's objectives, or no point of a finite space satisfies the constraints.
    """

    def __init__(
        self,
        space: Space | None = None,
        known: Mapping[int, Known] | None = None,
        *,
        constraints: Sequence[Known] = (),
        num_startup_trials: int = 10,
        seed: int = 0,
    ) -> None:
        self._space = space
        self._known = KnownFunctions("known objective", known or {})
        self._constraints = KnownFunctions("constraint", dict(enumerate(constraints)))
        self._num_startup_trials = max(2, num_startup_trials)
        self._fixed: dict[str, Any] = {}
        self._seed = seed
        self._enumerated = None if space is None else enumerate_space(space, at_most=MAX_ENUMERATED)
        self._models = Models()
        self._encoder = None if self._enumerated is None else Encoder(self._enumerated)
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
        signs = np.array([1.0 if each is StudyDirection.MAXIMIZE else -1.0 for each in study.directions])
        for index in self._known.indices:
            if not 0 <= index < len(signs):
                raise ValueError(f"known objective {index}: the study has objectives 0 to {len(signs) - 1}")
        history = _history(study, number, signs)
        stream = np.random.default_rng([self._seed, number])
        points = self._allowed(self._points(history, stream))
        if not points:
            return None
        tried = {each.key for each in (*history.points, *history.pending)}
        fresh = [each for each in points if each.key not in tried] or points
        if len(history.points) < self._num_startup_trials:
            return self._spread(fresh, len(tried), stream)
        encoder = self._encoder or Encoder([*points, *history.points, *history.pending])
        worst_M = np.full(len(signs), np.inf)
        for index in self._known.indices:
            worst_M[index] = (signs[index] * self._known.values(index, points)).min()
        beliefs = Beliefs(history, self._known, self._models, signs, encoder, worst_M)
        return self._most_promising(beliefs, fresh, tried, stream)

    def _points(self, history: History, stream: np.random.Generator) -> Sequence[Candidate]:
        """All points of a finite space; of any other some drawn, and neighbours of those on the front."""
        if self._enumerated is not None:
            return self._enumerated
        if self._space is not None:
            drawn = list(random_points(self._space, NUM_DRAWN, stream))
            return [*drawn, *self._varied(history.front[:NUM_STARTS], stream)]
        return [
            trace(each.distributions, lambda _, distribution: draw(distribution, stream))
            for each in history.points
            for _ in range(NUM_DRAWN // len(history.points))
        ]

    def _varied(self, points: Sequence[Candidate], stream: np.random.Generator) -> list[Candidate]:
        if self._space is None:
            return []
        return [other for each in points for other in neighbours(self._space, each, NUM_NEIGHBOURS, stream)]

    def _allowed(self, points: Sequence[Candidate]) -> list[Candidate]:
        """The points that have the fixed parameters and satisfy every constraint."""
        agreeing = [
            each for each in points if all(each.parameters.get(name) == value for name, value in self._fixed.items())
        ]
        allowed = [True] * len(agreeing)
        for index in self._constraints.indices:
            values = self._constraints.values(index, agreeing)
            allowed = [before and value <= 0.0 for before, value in zip(allowed, values, strict=True)]
        kept = [each for each, may in zip(agreeing, allowed, strict=True) if may]
        if self._enumerated is not None and agreeing and not kept:
            raise ValueError(f"none of the {len(agreeing)} points of the space satisfies the constraints")
        return kept

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
        leading = _leading(beliefs, points)
        if self._enumerated is None:
            for _ in range(NUM_CLIMBS):  # from many starts, to the best of their neighbours
                near = [each for each in self._allowed(self._varied(leading, stream)) if each.key not in tried]
                leading = _leading(beliefs, [*leading, *near])
        return leading[0]


def _history(study: optuna.Study, number: int, signs: Array) -> History:
    """All but the trial that is asked for."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.RUNNING))
    others = [each for each in trials if each.number != number and each.params]
    complete = [each for each in others if each.state is TrialState.COMPLETE]
    return History(
        numbers=tuple(each.number for each in complete),
        points=tuple(Candidate(each.params, each.distributions) for each in complete),
        values_NM=np.array([each.values for each in complete], dtype=np.float64).reshape(-1, len(signs)) * signs,
        pending=tuple(
            Candidate(each.params, each.distributions) for each in others if each.state is TrialState.RUNNING
        ),
    )


def _leading(beliefs: Beliefs, points: Sequence[Candidate]) -> list[Candidate]:
    """The most promising points, the best first."""
    promise = beliefs.promise(points)
    return [points[index] for index in np.argsort(-promise, kind="stable")[:NUM_STARTS]]


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
