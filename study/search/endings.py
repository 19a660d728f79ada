"""What a trial will come to, from what it shows on its way and what it is: a line, and a Gaussian process about it."""

# Shapes: K trials that have come to their end, N others, M columns of their traits.

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular

from study.search.candidates import Candidate
from study.search.encoding import Encoder

Array = NDArray[np.float64]

# In units of the ends' own deviation.
SLOPE, SLOPE_DEVIATION = 0.5, 0.5
LEVEL_DEVIATION = 2.0
TRAIT_VARIANCES = (0.0, 0.3, 3.0, 30.0)
NOISES = (0.05, 0.2, 0.6)


@final
class Endings:
    """Ends as a line in what was shown, and apart from it by what the trial is; Bayesian, in closed form.

    end = level + slope * shown + f(traits) + noise. The slope, N(1/2, 1/4) before anything is seen, is held at its
    posterior mean, within [0, 1]: leads neither grow nor turn, and a trial that shows more is never believed to end
    worse. f is a Gaussian process with a squared exponential kernel of length 1 (Rasmussen & Williams 2006, sections
    2.2 and 2.7): a batch size that learns late is late for all who have it. How much of the ends f explains, and how
    much noise is left, is what makes the ends most likely, out of a few values.

    Args:
        shown_K: of each that has ended, what it showed at the rung; two or more.
        ends_K: what each came to.
        traits_KM: what each is, in columns between which Euclid's distance means something; there may be none.
    """

    def __init__(self, shown_K: Array, ends_K: Array, traits_KM: Array) -> None:
        self._level, self._unit = float(ends_K.mean()), float(ends_K.std())
        self._middle = float(shown_K.mean())
        self._traits_KM = traits_KM
        if self._is_settled:
            return
        shown_K = (shown_K - self._middle) / self._unit
        ends_K = (ends_K - self._level) / self._unit
        near = _nearness(traits_KM, traits_KM)
        fits = [
            (_Fit.of(ends_K - SLOPE * shown_K, _covariance(near, each) + sloping, each), each)
            for sloping in [SLOPE_DEVIATION**2 * np.outer(shown_K, shown_K)]
            for each in itertools.starmap(_Parts, itertools.product(TRAIT_VARIANCES, NOISES))
        ]
        likeliest, self._parts = max(fits, key=lambda each: each[0].log_likelihood)
        slope = SLOPE + SLOPE_DEVIATION**2 * float(shown_K @ likeliest.weights_K)
        self._slope = min(1.0, max(0.0, slope))
        self._fit = _Fit.of(ends_K - self._slope * shown_K, _covariance(near, self._parts), self._parts)

    @property
    def _is_settled(self) -> bool:
        """Whether all came to the same end, to rounding: then the next one does too."""
        return self._unit <= 1e-9 * abs(self._level)

    def of(self, shown_N: Array, traits_NM: Array) -> tuple[Array, Array]:
        """Where trials that have not ended will: mean and deviation of each, (N,)."""
        if self._is_settled:
            return np.full(len(shown_N), self._level), np.zeros(len(shown_N))
        covariance_NK = _covariance(_nearness(traits_NM, self._traits_KM), self._parts)
        means_N = self._slope * (shown_N - self._middle) / self._unit + covariance_NK @ self._fit.weights_K
        explained_NK = solve_triangular(self._fit.factor, covariance_NK.T, lower=True).T
        before = LEVEL_DEVIATION**2 + self._parts.trait_variance + self._parts.noise**2
        variances_N = np.maximum(before - (explained_NK**2).sum(axis=1), 0.0)
        return self._level + self._unit * means_N, self._unit * np.sqrt(variances_N)


@final
class Traits:
    """What trials are, by their number, as columns of numbers: each encoded once, until one has other parameters.

    Args:
        point_of: the parameters of a trial; None: they are not known, and there is no column.
    """

    def __init__(self, point_of: Callable[[int], Candidate] | None) -> None:
        self._point_of = point_of
        self._kinds: set[frozenset[str]] = set()  # which parameters the points have
        self._points: dict[int, Candidate] = {}
        self._rows: dict[int, Array] = {}

    def of(self, numbers: Sequence[int]) -> Array:
        """Shape (numbers, columns)."""
        if self._point_of is None:
            return np.empty((len(numbers), 0))
        new = [number for number in numbers if number not in self._points]
        if new:
            self._points |= {number: self._point_of(number) for number in new}
            kinds = {frozenset(self._points[number].parameters) for number in new}
            if not kinds <= self._kinds:
                self._kinds |= kinds
                new = list(self._points)
                self._encoder = Encoder([self._points[number] for number in sorted(new)])
            self._rows |= zip(new, self._encoder.encode([self._points[number] for number in new]), strict=True)
        return np.array([self._rows[number] for number in numbers])


@dataclass(frozen=True, slots=True)
class _Parts:
    """Of what the ends differ by: how much is of what the trials are, and how much of nothing that is known."""

    trait_variance: float
    noise: float


@dataclass(frozen=True, slots=True)
class _Fit:
    """A Gaussian process told values whose mean is 0 before they are seen."""

    factor: Array  # Cholesky's, lower, of the covariance with noise
    weights_K: Array
    log_likelihood: float  # less a constant

    @classmethod
    def of(cls, values_K: Array, covariance: Array, parts: _Parts) -> Self:
        factor = cho_factor(covariance + parts.noise**2 * np.eye(len(values_K)), lower=True)
        weights_K = cho_solve(factor, values_K)
        fits = -0.5 * float(values_K @ weights_K)
        return cls(factor[0], weights_K, fits - float(np.log(np.diag(factor[0])).sum()))


def _covariance(near_NK: Array, parts: _Parts) -> Array:
    """Of level and f."""
    covariance_NK: Array = LEVEL_DEVIATION**2 + parts.trait_variance * near_NK
    return covariance_NK


def _nearness(traits_NM: Array, traits_KM: Array) -> Array:
    """1 where two are the same, 0 where they are far apart."""
    squared_NK = ((traits_NM[:, np.newaxis] - traits_KM[np.newaxis]) ** 2).sum(axis=2)
    near_NK: Array = np.exp(-0.5 * squared_NK)
    return near_NK
