"""What a define-by-run space holds: every point where they are finitely many, else points drawn and varied."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, overload

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

# A function that asks a trial for its parameters, as an objective does, or the distributions of a flat space.
Space = Callable[[Any], object] | Mapping[str, BaseDistribution]
Array = NDArray[np.float64]
Chooser = Callable[[str, BaseDistribution], Any]


@dataclass(frozen=True)
class Candidate:
    """A point of a space: the parameters that it has, and the distributions they were asked from."""

    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]

    @functools.cached_property
    def key(self) -> tuple[tuple[str, Any], ...]:
        """Equal for equal parameters, whatever their order."""
        return tuple(sorted(self.parameters.items()))


def trace(space: Space, choose: Chooser) -> Candidate:
    """The point that a space leads to when `choose` answers what it asks."""
    trial = _TracingTrial(choose)
    if isinstance(space, Mapping):
        for name, distribution in space.items():
            trial.ask(name, distribution)
    else:
        space(trial)
    return Candidate(dict(trial.params), dict(trial.distributions))


def enumerate_space(space: Space, *, at_most: int) -> list[Candidate] | None:
    """Every point of a finite space, in an order of its own; None where there are more, or a range is not finite."""
    found: list[Candidate] = []
    waiting: list[list[int]] = [[]]
    while waiting:
        choose = _ByPlace(waiting.pop(), at_most)
        candidate = trace(space, choose)
        if not choose.is_finite:
            return None
        found.append(candidate)
        waiting += choose.branches()
        if len(found) + len(waiting) > at_most:
            return None
    return found


class _ByPlace:
    """Answers with the choices at given places, and with the first ones after those; remembers how many there were."""

    def __init__(self, places: Sequence[int], at_most: int) -> None:
        self.is_finite = True
        self._given = len(places)
        self._places = list(places)
        self._at_most = at_most
        self._num_choices: list[int] = []

    def __call__(self, _: str, distribution: BaseDistribution) -> Any:
        choices = finite_choices(distribution, at_most=self._at_most)
        if choices is None:
            self.is_finite = False
            return from_unit(distribution, 0.5)
        depth = len(self._num_choices)
        if depth == len(self._places):
            self._places.append(0)
        self._num_choices.append(len(choices))
        return choices[self._places[depth]]

    def branches(self) -> list[list[int]]:
        """Where else to go: every other answer to a question that was not given its place."""
        return [
            [*self._places[:depth], other]
            for depth in range(self._given, len(self._places))
            for other in range(1, self._num_choices[depth])
        ]


def finite_choices(distribution: BaseDistribution, *, at_most: int) -> Sequence[Any] | None:
    """All values of a distribution; None where it has more, or any value of a range."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if distribution.single():
        return [distribution.low]  # type: ignore[attr-defined] # of a number
    if isinstance(distribution, IntDistribution):
        values = range(distribution.low, distribution.high + 1, distribution.step)
        return list(values) if len(values) <= at_most else None
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + index * distribution.step for index in range(count)] if count <= at_most else None
    return None


def draw(distribution: BaseDistribution, stream: np.random.Generator) -> Any:
    """A value at random, evenly on the distribution's own scale."""
    choices = finite_choices(distribution, at_most=1_000)
    is_log = isinstance(distribution, IntDistribution | FloatDistribution) and distribution.log
    if choices is not None and not is_log:
        return choices[int(stream.integers(len(choices)))]
    return from_unit(distribution, float(stream.random()))


@overload
def to_unit(distribution: BaseDistribution, values: float) -> float: ...


@overload
def to_unit(distribution: BaseDistribution, values: Array) -> Array: ...


def to_unit(distribution: BaseDistribution, values: float | Array) -> float | Array:
    """Where numbers, one or many, stand between the ends, in [0, 1], on the distribution's own scale."""
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        raise TypeError(f"{distribution} is not a range of numbers")
    low, high = float(distribution.low), float(distribution.high)
    given = np.clip(np.asarray(values, dtype=np.float64), low, high)
    if low == high:
        places: Array = np.full(given.shape, 0.5)
    elif distribution.log:
        places = np.log(given / low) / math.log(high / low)
    else:
        places = (given - low) / (high - low)
    return places if places.shape else float(places)


def from_unit(distribution: BaseDistribution, place: float) -> Any:
    """The number at a place in [0, 1]: the inverse of `to_unit`, up to the distribution's steps."""
    if not isinstance(distribution, IntDistribution | FloatDistribution):
        raise TypeError(f"{distribution} is not a range of numbers")
    low, high = float(distribution.low), float(distribution.high)
    value = low * (high / low) ** place if distribution.log else low + place * (high - low)
    if isinstance(distribution, IntDistribution):
        steps = round((value - low) / distribution.step)
        return int(min(distribution.high, distribution.low + steps * distribution.step))
    if distribution.step is not None:
        value = low + round((value - low) / distribution.step) * distribution.step
    return float(min(high, max(low, value)))


def random_points(
    space: Space, count: int, stream: np.random.Generator, fixed: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[Candidate]:
    """So many points, drawn parameter by parameter as the space asks; `fixed` ones are as given."""

    def choose(name: str, distribution: BaseDistribution) -> Any:
        return fixed[name] if name in fixed else draw(distribution, stream)

    for _ in range(count):
        yield trace(space, choose)


def neighbours(
    space: Space,
    point: Candidate,
    count: int,
    stream: np.random.Generator,
    fixed: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Candidate]:
    """So many points that differ from `point` in one parameter, not a `fixed` one, and in what hangs on it."""
    names = [name for name in point.parameters if name not in fixed]
    for index in range(count if names else 0):
        yield trace(space, _varying(point, names[index % len(names)], stream))


def _varying(point: Candidate, changed: str, stream: np.random.Generator) -> Chooser:
    """Answers as `point` did, but for one parameter: a number moves a little, a choice is drawn anew."""

    def choose(name: str, distribution: BaseDistribution) -> Any:
        if point.distributions.get(name) != distribution:
            return draw(distribution, stream)
        if name != changed:
            return point.parameters[name]
        if isinstance(distribution, CategoricalDistribution) or distribution.single():
            return draw(distribution, stream)
        place = to_unit(distribution, point.parameters[name]) + 0.1 * float(stream.standard_normal())
        return from_unit(distribution, min(1.0, max(0.0, place)))

    return choose


class _TracingTrial:
    """What a space asks of an `optuna.Trial`: answers by `choose`, and remembers the questions."""

    def __init__(self, choose: Chooser) -> None:
        self.number = 0
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}
        self._choose = choose

    def ask(self, name: str, distribution: BaseDistribution) -> Any:
        if name not in self.params:
            self.params[name] = self._choose(name, distribution)
            self.distributions[name] = distribution
        return self.params[name]

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        return float(self.ask(name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return int(self.ask(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.ask(name, CategoricalDistribution(tuple(choices)))


def observed(trial: optuna.trial.FrozenTrial) -> Candidate:
    """The point that a trial was."""
    return Candidate(trial.params, trial.distributions)
