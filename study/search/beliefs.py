"""What is known and believed of a space's points, given a history of trials; and which point promises most."""

# Shapes: N points, M objectives. Every objective is better when it is more.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from moocore import is_nondominated
from numpy.typing import NDArray

from study.search.candidates import Candidate
from study.search.improvement import expected_improvement
from study.search.surrogate import Encoder, Surrogate

Array = NDArray[np.float64]
Known = Callable[[Mapping[str, Any]], float]

REFIT_GROWTH = 1.2  # hyperparameters are chosen anew whenever so many times as many trials are complete
MARGIN_FRACTION = 0.1


@dataclass(frozen=True, slots=True)
class History:
    """Complete trials by number, with their values (points, objectives), and the points that are being tried."""

    numbers: tuple[int, ...]
    points: tuple[Candidate, ...]
    values_NM: Array
    pending: tuple[Candidate, ...]

    @property
    def front(self) -> list[Candidate]:
        """The complete points that no other one dominates."""
        if not self.points:
            return []
        return [point for point, is_best in zip(self.points, is_nondominated(-self.values_NM), strict=True) if is_best]


@final
class KnownFunctions:
    """Functions of a point's parameters, each called once a point; what they give must be finite."""

    def __init__(self, what: str, functions: Mapping[int, Known]) -> None:
        """Call `functions` by their index; `what` they are is for the error message."""
        self._what = what
        self._functions = dict(functions)
        self._told: dict[tuple[int, tuple[tuple[str, Any], ...]], float] = {}

    @property
    def indices(self) -> list[int]:
        """Of the functions."""
        return sorted(self._functions)

    def values(self, index: int, points: Sequence[Candidate]) -> Array:
        """Shape (points,), in the function's own units.

        Raises:
            ValueError: a value is not a finite number; the message names the point.
        """
        return np.array([self._value(index, point) for point in points])

    def _value(self, index: int, point: Candidate) -> float:
        value = self._told.get((index, point.key))
        if value is None:
            value = float(self._functions[index](point.parameters))
            if not np.isfinite(value):
                given = ", ".join(f"{name} = {each!r}" for name, each in point.parameters.items())
                raise ValueError(f"{self._what} {index} is {value} at {given}: it must be a finite number")
            self._told[index, point.key] = value
        return value


@final
class Models:
    """The surrogates of a study's unknown objectives, from one ask to the next.

    Their hyperparameters are chosen whenever the history has grown by a fifth, from the trials with the lowest numbers
    then: so that they, and what is asked, do not depend on when this process began.
    """

    def __init__(self) -> None:
        self._fitted: dict[int, tuple[tuple[int, ...], tuple[int, ...], Surrogate]] = {}

    def surrogate(self, objective: int, encoder: Encoder, columns: Array, history: History) -> Surrogate:
        """The objective's model; `columns` are the history's points as `encoder` has them."""
        used = np.argsort(history.numbers, kind="stable")[: last_refit(len(history.numbers))]
        key = tuple(history.numbers[index] for index in used)
        kept = self._fitted.get(objective)
        if kept is not None and kept[0] == key and kept[1] == tuple(encoder.groups):
            return kept[2]
        surrogate = Surrogate(encoder)
        surrogate.fit(columns[used], history.values_NM[used, objective])
        self._fitted[objective] = (key, tuple(encoder.groups), surrogate)
        return surrogate


def last_refit(num_complete: int) -> int:
    """How many trials were complete at the last turn of the schedule 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, ..."""
    turn = 2
    while (following := max(turn + 1, int(turn * REFIT_GROWTH))) <= num_complete:
        turn = following
    return min(turn, num_complete)


@final
class Beliefs:
    """A history with its models: pending points count as if they had reached what is believed of them."""

    def __init__(
        self, history: History, known: KnownFunctions, models: Models, signs: Array, encoder: Encoder, worst_M: Array
    ) -> None:
        """Condition on `history`.

        Args:
            history: at least two complete trials.
            known: the known objectives by index.
            models: kept from one ask to the next.
            signs: 1 where an objective is maximised, -1 where it is minimised.
            encoder: of every point that will be asked about.
            worst_M: of each objective, the worst value that any candidate is known to have; infinite if unknown.
        """
        self._known, self._signs, self._encoder = known, signs, encoder
        self._columns = encoder.encode(history.points)
        unknown = [index for index in range(len(signs)) if index not in known.indices]
        self._surrogates = {index: models.surrogate(index, encoder, self._columns, history) for index in unknown}
        values_NM = history.values_NM
        self._told = {index: values_NM[:, index] for index in unknown}
        if history.pending:
            believed_NM, _ = self.of(history.pending)
            self._columns = np.vstack([self._columns, encoder.encode(history.pending)])
            self._told = {index: np.append(self._told[index], believed_NM[:, index]) for index in unknown}
            values_NM = np.vstack([values_NM, believed_NM])
        self._front_KM = values_NM[is_nondominated(-values_NM)]
        self._reference_M = reference(self._front_KM, worst_M)

    def of(self, points: Sequence[Candidate]) -> tuple[Array, Array]:
        """Means and deviations of the objectives, (points, objectives); the deviation of what is known is 0."""
        means_NM, deviations_NM = np.zeros((2, len(points), len(self._signs)))
        for index in self._known.indices:
            means_NM[:, index] = self._signs[index] * self._known.values(index, points)
        at = self._encoder.encode(points)
        for index, surrogate in self._surrogates.items():
            told = surrogate.posterior(self._columns, self._told[index], at)
            means_NM[:, index], deviations_NM[:, index] = told.means, told.deviations
        return means_NM, deviations_NM

    def promise(self, points: Sequence[Candidate]) -> Array:
        """Expected hypervolume improvement of each point, (points,)."""
        means_NM, deviations_NM = self.of(points)
        return expected_improvement(means_NM, deviations_NM, self._front_KM, self._reference_M)


def reference(front_KM: Array, worst_M: Array) -> Array:
    """A tenth of the front's range below its worst value, or below the worst that a candidate is known to have."""
    low, high = front_KM.min(axis=0), front_KM.max(axis=0)
    ranges = np.where(high > low, high - low, np.maximum(np.abs(low), 1e-12))
    below: Array = np.minimum(low, worst_M) - MARGIN_FRACTION * ranges
    return below
