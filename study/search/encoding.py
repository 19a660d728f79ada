"""The points of a space as columns of numbers: categorical, whole, real and conditional parameters together."""

# Shapes: N points, D columns.

from collections.abc import Mapping, Sequence
from math import pi, sqrt
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from study.search.candidates import Candidate, to_unit

Array = NDArray[np.float64]

_ARC = pi / 3  # two points that have a conditional parameter are at most as far apart as one that has it not


@final
class Encoder:
    """Points as columns between which Euclid's distance is what it should be, parameter by parameter.

    Two choices of a categorical parameter are 1 apart, whatever they are; two numbers as far as their places between
    the ends, on their own scale. A parameter that not every point has lies on an arc (Swersky et al. 2014, "Raiders of
    the lost architecture"): points without it are equal in it, and 1 away from every point that has it.
    """

    def __init__(self, points: Sequence[Candidate]) -> None:
        """Learn which parameters there are, and which every point has, from `points` in any order.

        Where their distributions of a parameter differ, the last one counts.
        """
        found: dict[str, BaseDistribution] = {}
        counts: dict[str, int] = {}
        for point in points:
            found.update(point.distributions)
            for name in point.distributions:
                counts[name] = counts.get(name, 0) + 1
        self._distributions: Mapping[str, BaseDistribution] = {name: found[name] for name in sorted(found)}
        self._always = {name for name, count in counts.items() if count == len(points)}
        self.groups = [
            index
            for index, (name, distribution) in enumerate(self._distributions.items())
            for _ in range(self._num_columns(name, distribution))
        ]
        self.num_parameters = len(self._distributions)

    def encode(self, points: Sequence[Candidate]) -> Array:
        """Shape (points, columns)."""
        columns = [
            self._columns(name, distribution, [point.parameters.get(name, _MISSING) for point in points])
            for name, distribution in self._distributions.items()
        ]
        return np.concatenate([np.empty((len(points), 0)), *columns], axis=1)

    def _num_columns(self, name: str, distribution: BaseDistribution) -> int:
        if isinstance(distribution, CategoricalDistribution):
            return len(distribution.choices)
        return 1 if name in self._always else 2

    def _columns(self, name: str, distribution: BaseDistribution, values: Sequence[Any]) -> Array:
        if isinstance(distribution, CategoricalDistribution):
            places = {choice: place for place, choice in enumerate(distribution.choices)}
            one_hot = np.zeros((len(values), len(places) + 1))
            one_hot[np.arange(len(values)), [places.get(value, len(places)) for value in values]] = 1 / sqrt(2)
            return one_hot[:, :-1]
        is_here = np.array([value is not _MISSING for value in values], dtype=bool)
        at = np.zeros(len(values))
        at[is_here] = to_unit(distribution, np.array([value for value in values if value is not _MISSING], dtype=float))
        if name in self._always:
            return at[:, np.newaxis]
        return np.where(is_here[:, np.newaxis], np.stack([np.cos(_ARC * at), np.sin(_ARC * at)], axis=1), 0.0)


_MISSING = object()
