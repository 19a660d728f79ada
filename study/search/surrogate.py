"""A Gaussian process over the points of a space: categorical, whole, real and conditional parameters together."""

# Shapes: N points with values, M others.

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from typing import Any, final

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior, NormalPrior
from numpy.typing import NDArray
from torch import Tensor, nn

from study.search.encoding import Encoder

Array = NDArray[np.float64]

SHORTEST_SCALE = 2.5e-2
MAX_FIT_STEPS = 60


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the model believes of an objective at points: means and standard deviations, in the objective's units."""

    means: Array
    deviations: Array


@final
class Surrogate:
    """An exact GP with a Matern 5/2 kernel that has one length scale a parameter; better is more.

    Length scales have the dimension-scaled prior of Hvarfner et al. 2024 ("Vanilla Bayesian optimization performs great
    in high dimensions"); where the kernel is additive, a log-normal one around the range of a parameter. Values of an
    objective far below the rest tell little about where the best are, and would stretch the scale: they are drawn up to
    three interquartile ranges below the median; not so those of a constraint, which might cross its bound.

    Args:
        encoder: of the points.
        draws_up: whether low values are drawn up.
        is_additive: whether the kernel has a part for each parameter by itself.
    """

    def __init__(self, encoder: Encoder, *, draws_up: bool = True, is_additive: bool = False) -> None:
        self._encoder = encoder
        self._draws_up = draws_up
        self._is_additive = is_additive
        self._kernel: GroupedMatern | None = None
        self._noise, self._mean = 0.0, 0.0

    def fit(self, columns: Array, values: Array) -> None:
        """Choose length scales, noise and mean for these values, (points,), by their marginal likelihood."""
        drawn_up = torch.from_numpy(self._drawn_up(values)).unsqueeze(-1)
        kernel = GroupedMatern(self._encoder.groups, self._encoder.num_parameters, is_additive=self._is_additive)
        model = SingleTaskGP(torch.from_numpy(columns), drawn_up, covar_module=kernel)
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": MAX_FIT_STEPS}},
        )
        self._kernel = kernel.requires_grad_(False)
        self._noise = float(model.likelihood.noise.detach())
        self._mean = float(model.mean_module.constant.detach())

    def given(self, columns: Array, values: Array, variances: Array | None = None) -> "Conditioned":
        """Conditioned on values at points; `fit` chose the rest.

        Args:
            columns: shape (points, columns).
            values: shape (points,).
            variances: of the values, beside the noise that all have; None: 0.

        Raises:
            RuntimeError: `fit` was not called.
        """
        if self._kernel is None:
            raise RuntimeError("the surrogate was never fitted")
        drawn_up = self._drawn_up(values)
        center = float(drawn_up.mean())
        deviation = float(drawn_up.std(ddof=1))
        # Where all are the same, their size says what a difference could be.
        scale = deviation if deviation > 1e-9 * abs(center) else max(abs(center), 1e-12)
        told = torch.from_numpy(columns)
        noise_N = torch.full((len(told),), self._noise, dtype=torch.float64)
        if variances is not None:
            noise_N += torch.from_numpy(variances / scale**2)
        factor = torch.linalg.cholesky(self._kernel.forward(told, told) + noise_N.diag())
        residuals_N1 = torch.from_numpy((drawn_up - center) / scale - self._mean).unsqueeze(-1)
        weights_N1 = torch.cholesky_solve(residuals_N1, factor)
        return Conditioned(self._kernel, told, factor, weights_N1, self._noise, center + scale * self._mean, scale)

    def _drawn_up(self, values: Array) -> Array:
        return draw_up(values) if self._draws_up else values


@final
@dataclass(frozen=True, slots=True)
class Conditioned:
    """A surrogate that was given values: by the Cholesky factor of their covariance (Rasmussen & Williams 2006, 2.1).

    Each point is asked about by itself: the covariances between points, which GPyTorch would compute, are N squared
    numbers that nobody asks for.
    """

    kernel: "GroupedMatern"
    told: Tensor
    factor: Tensor
    weights_N1: Tensor
    noise: float
    mean: float
    scale: float

    def at(self, columns: Array) -> Posterior:
        """Beliefs at points, (points, columns)."""
        across_NM = self.kernel.forward(self.told, torch.from_numpy(columns))
        means = self.mean + self.scale * (across_NM.T @ self.weights_N1).squeeze(-1).numpy()
        explained = torch.linalg.solve_triangular(self.factor, across_NM, upper=False).square().sum(dim=0)
        return Posterior(means, self.scale * (1.0 - explained).clamp_min(1e-12).sqrt().numpy())

    def expecting(self, columns: Array) -> "Conditioned":
        """As if the value at each of these points, (points, columns), had come to be what is believed of it.

        The means stay what they are everywhere, and only the deviations shrink: the factor gets more rows, and the new
        values no weight.
        """
        if not len(columns):
            return self
        added = torch.from_numpy(columns)
        across_NM = torch.linalg.solve_triangular(self.factor, self.kernel.forward(self.told, added), upper=False)
        own = self.kernel.forward(added, added) + self.noise * torch.eye(len(added), dtype=torch.float64)
        corner = torch.linalg.cholesky(own - across_NM.T @ across_NM)
        above = torch.cat([self.factor, torch.zeros_like(across_NM)], dim=1)
        factor = torch.cat([above, torch.cat([across_NM.T, corner], dim=1)])
        weights = torch.cat([self.weights_N1, torch.zeros((len(added), 1), dtype=torch.float64)])
        return replace(self, told=torch.cat([self.told, added]), factor=factor, weights_N1=weights)


@final
class GroupedMatern(Kernel):  # type: ignore[misc] # gpytorch has no types
    """Matern 5/2 with one length scale for each group of columns, of all groups together.

    Additive, it is a weighted mean of that and of the groups each by itself (Duvenaud et al. 2011, "Additive Gaussian
    processes"): much of a cost is what each parameter adds whatever the others are, and that is learned from far fewer
    points. How much, the weight finds out.
    """

    def __init__(self, groups: Sequence[int], num_groups: int, *, is_additive: bool) -> None:
        super().__init__()
        prior = (
            LogNormalPrior(0.0, 1.0)
            if is_additive
            else LogNormalPrior(sqrt(2) + 0.5 * log(max(1, num_groups)), sqrt(3))
        )
        self.register_parameter("raw_scales", nn.Parameter(torch.full((num_groups,), float(prior.mode))))
        self.register_constraint("raw_scales", GreaterThan(SHORTEST_SCALE, transform=None))
        self.register_prior("scales_prior", prior, lambda module: module.raw_scales)
        self._groups = torch.tensor(list(groups))
        self._columns: list[Tensor] = []
        if is_additive and num_groups > 1:
            self._columns = [torch.nonzero(self._groups == group).squeeze(-1) for group in range(num_groups)]
            self.register_parameter("raw_weight", nn.Parameter(torch.zeros(())))
            self.register_prior("weight_prior", NormalPrior(0.0, 1.0), lambda module: module.raw_weight)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **_: Any) -> Tensor:
        """Covariances of two sets of points, (..., N, D) and (..., M, D); the diagonal alone on request."""
        scales = self.raw_scales[self._groups]
        one, other = x1 / scales, x2 / scales
        distances = _pairwise if diag else torch.cdist
        together = matern(distances(one, other))
        if not self._columns:
            return together
        kinds = [matern(distances(one[..., columns], other[..., columns])) for columns in self._columns]
        covariances: Tensor = torch.lerp(together, torch.stack(kinds).mean(dim=0), torch.sigmoid(self.raw_weight))
        return covariances


def _pairwise(x1: Tensor, x2: Tensor) -> Tensor:
    distances: Tensor = (x1 - x2).norm(dim=-1)
    return distances


def matern(distances: Tensor) -> Tensor:
    """Matern 5/2 of distances in units of the length scale."""
    scaled = sqrt(5) * distances
    values: Tensor = torch.addcmul(1 + scaled, scaled, scaled, value=1 / 3) * torch.exp(-scaled)
    return values


def draw_up(values: Array) -> Array:
    """Values (points,), none lower than three interquartile ranges below the median."""
    quartiles = np.percentile(values, [25, 50, 75])
    floor: Array = np.maximum(values, quartiles[1] - 3.0 * (quartiles[2] - quartiles[0]))
    return floor if quartiles[2] > quartiles[0] else values
