"""A Gaussian process over the points of a space: categorical, whole, real and conditional parameters together."""

# Shapes: N points, D columns, P parameters.

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi, sqrt
from typing import Any, final

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from torch import Tensor, nn

from study.search.candidates import Candidate, to_unit

Array = NDArray[np.float64]

SHORTEST_SCALE = 2.5e-2
MAX_FIT_STEPS = 60
_ARC = pi / 3  # two points that have a conditional parameter are at most as far apart as one that has it not


@final
class Encoder:
    """Points as columns between which Euclid's distance is what it should be, parameter by parameter.

    Two choices of a categorical parameter are 1 apart, whatever they are; two numbers as far as their places between
    the ends, on their own scale. A parameter that not every point has lies on an arc (Swersky et al. 2014, "Raiders of
    the lost architecture"): points without it are equal in it, and 1 away from every point that has it.
    """

    def __init__(self, points: Sequence[Candidate]) -> None:
        """Learn from `points` which parameters there are, and which of them every point has."""
        self._distributions: dict[str, BaseDistribution] = {}
        for point in points:
            self._distributions.update(point.distributions)
        self._always = {name for name in self._distributions if all(name in point.parameters for point in points)}
        self.groups = [
            index
            for index, (name, distribution) in enumerate(self._distributions.items())
            for _ in range(self._num_columns(name, distribution))
        ]
        self.num_parameters = len(self._distributions)
        self._rows: dict[tuple[tuple[str, Any], ...], Array] = {}

    def encode(self, points: Sequence[Candidate]) -> Array:
        """Shape (points, columns)."""
        return np.array([self._row(point) for point in points]).reshape(len(points), len(self.groups))

    def _row(self, point: Candidate) -> Array:
        """Remembered: a finite space is asked about again and again."""
        row = self._rows.get(point.key)
        if row is None:
            row = np.zeros(len(self.groups))
            start = 0
            for name, distribution in self._distributions.items():
                width = self._num_columns(name, distribution)
                if name in point.parameters:
                    row[start : start + width] = self._columns(name, distribution, point.parameters[name])
                start += width
            self._rows[point.key] = row
        return row

    def _num_columns(self, name: str, distribution: BaseDistribution) -> int:
        if isinstance(distribution, CategoricalDistribution):
            return len(distribution.choices)
        return 1 if name in self._always else 2

    def _columns(self, name: str, distribution: BaseDistribution, value: Any) -> Array:
        if isinstance(distribution, CategoricalDistribution):
            columns = np.zeros(len(distribution.choices))
            if value in distribution.choices:
                columns[distribution.choices.index(value)] = 1 / sqrt(2)
            return columns
        place = to_unit(distribution, value)
        if name in self._always:
            return np.array([place])
        return np.array([np.cos(_ARC * place), np.sin(_ARC * place)])


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the model believes of an objective at points: means and standard deviations, in the objective's units."""

    means: Array
    deviations: Array


@final
class Surrogate:
    """An exact GP with a Matern 5/2 kernel that has one length scale a parameter; better is more.

    Length scales have the dimension-scaled prior of Hvarfner et al. 2024 ("Vanilla Bayesian optimization performs great
    in high dimensions"). Values far below the rest tell little about where the best are, and would stretch the scale:
    they are drawn up to three interquartile ranges below the median.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._kernel: GroupedMatern | None = None
        self._noise, self._mean = 0.0, 0.0

    def fit(self, columns: Array, values: Array) -> None:
        """Choose length scales, noise and mean for these values, (points,), by their marginal likelihood."""
        drawn_up = torch.from_numpy(draw_up(values)).unsqueeze(-1)
        kernel = GroupedMatern(self._encoder.groups, self._encoder.num_parameters)
        model = SingleTaskGP(torch.from_numpy(columns), drawn_up, covar_module=kernel)
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": MAX_FIT_STEPS}},
        )
        self._kernel = kernel.requires_grad_(False)
        self._noise = float(model.likelihood.noise.detach())
        self._mean = float(model.mean_module.constant.detach())

    def posterior(self, columns: Array, values: Array, at: Array) -> Posterior:
        """Beliefs at the points `at`, (N, columns), given values at others; `fit` chose the rest.

        Each point by itself (Rasmussen & Williams 2006, algorithm 2.1): the covariances between the points, which
        GPyTorch would compute, are N squared numbers that nobody asks for.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if self._kernel is None:
            raise RuntimeError("the surrogate was never fitted")
        drawn_up = draw_up(values)
        center, scale = drawn_up.mean(), max(float(drawn_up.std(ddof=1)), 1e-12)
        told, asked = torch.from_numpy(columns), torch.from_numpy(at)
        noise = self._noise * torch.eye(len(told), dtype=told.dtype)
        factor = torch.linalg.cholesky(self._kernel.forward(told, told) + noise)
        residuals = torch.from_numpy((drawn_up - center) / scale - self._mean).unsqueeze(-1)
        across = self._kernel.forward(told, asked)
        means = self._mean + (across.T @ torch.cholesky_solve(residuals, factor)).squeeze(-1)
        explained = torch.linalg.solve_triangular(factor, across, upper=False).square().sum(dim=0)
        deviations = (1.0 - explained).clamp_min(1e-12).sqrt()
        return Posterior(center + scale * means.numpy(), scale * deviations.numpy())


@final
class GroupedMatern(Kernel):  # type: ignore[misc] # gpytorch has no types
    """Matern 5/2 with one length scale for each group of columns."""

    def __init__(self, groups: Sequence[int], num_groups: int) -> None:
        super().__init__()
        prior = LogNormalPrior(sqrt(2) + 0.5 * log(max(1, num_groups)), sqrt(3))
        self.register_parameter("raw_scales", nn.Parameter(torch.full((num_groups,), float(prior.mode))))
        self.register_constraint("raw_scales", GreaterThan(SHORTEST_SCALE, transform=None))
        self.register_prior("scales_prior", prior, lambda module: module.raw_scales)
        self._groups = torch.tensor(list(groups))

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Covariances of two sets of points, (..., N, D) and (..., M, D); the diagonal alone on request."""
        scales = self.raw_scales[self._groups]
        one, other = x1 / scales, x2 / scales
        distances = (one - other).norm(dim=-1) if diag else torch.cdist(one, other)
        scaled = sqrt(5) * distances
        covariances: Tensor = (1 + scaled + scaled**2 / 3) * torch.exp(-scaled)
        return covariances


def draw_up(values: Array) -> Array:
    """Values (points,), none lower than three interquartile ranges below the median."""
    quartiles = np.percentile(values, [25, 50, 75])
    floor: Array = np.maximum(values, quartiles[1] - 3.0 * (quartiles[2] - quartiles[0]))
    return floor if quartiles[2] > quartiles[0] else values
