"""Expected hypervolume improvement when some objectives are known: exact, for any number of either kind."""

# Shapes: N candidates, M objectives, K boxes. Every objective is better when it is more.

from math import pi, sqrt

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


def expected_improvement(means_NM: Array, deviations_NM: Array, front_KM: Array, reference_M: Array) -> Array:
    """By how much each candidate is expected to grow the hypervolume that the front dominates.

    What no point of the front dominates is cut into boxes, on each of which the growth is a product over the
    objectives (Yang et al. 2019, "Efficient computation of expected hypervolume improvement using box decomposition
    algorithms"). The objectives are independent given the data, so that the expectation of the product is the product
    of the expectations: of (f - lower)+ - (f - upper)+, which for a normal f is the closed form of expected
    improvement, and for a known one the value itself. So nothing is simulated, however many objectives are unknown:
    qLogNEHVI (Daulton et al. 2021) would draw samples for the same number.

    Args:
        means_NM: shape (candidates, objectives): the known value, or the mean of what is believed.
        deviations_NM: 0 where the objective is known.
        front_KM: points that are dominated by none but each other, any number, (points, objectives).
        reference_M: what does not exceed it in some objective grows nothing.

    Returns:
        Shape (candidates,).
    """
    lower_KM, upper_KM = boxes(front_KM, reference_M)
    growth_NK = np.ones((len(means_NM), len(lower_KM)))
    for objective in range(means_NM.shape[1]):
        edges, places = np.unique([lower_KM[:, objective], upper_KM[:, objective]], return_inverse=True)
        lower, upper = places.reshape(2, -1)  # many boxes share an edge
        above = expected_excess(means_NM[:, [objective]], deviations_NM[:, [objective]], edges)
        growth_NK *= np.maximum(above[:, lower] - above[:, upper], 0.0)
    total: Array = growth_NK.sum(axis=1)
    return total


def expected_excess(means: Array, deviations: Array, thresholds: Array) -> Array:
    """E[(f - threshold)+] of a normal f; of the mean itself where the deviation is 0; 0 for an infinite threshold."""
    gaps = means - thresholds
    finite = np.isfinite(gaps)
    gaps = np.where(finite, gaps, 0.0)
    scales = np.where(deviations > 0.0, deviations, 1.0)
    z = gaps / scales
    uncertain = gaps * ndtr(z) + scales * np.exp(-0.5 * z**2) / sqrt(2.0 * pi)
    excess: Array = np.where(finite, np.where(deviations > 0.0, uncertain, np.maximum(gaps, 0.0)), 0.0)
    return excess


def boxes(front_KM: Array, reference_M: Array) -> tuple[Array, Array]:
    """Lower and upper corners of boxes that fill what the front leaves above the reference; some have no upper end."""
    if len(reference_M) == 2:
        return _stripes(np.asarray(front_KM, dtype=np.float64).reshape(-1, 2), np.asarray(reference_M))
    if len(reference_M) == 1:  # of one objective BoTorch's algorithm knows nothing
        best = np.max([reference_M, *front_KM], axis=0)
        return best[np.newaxis], np.full((1, 1), np.inf)
    partitioning = FastNondominatedPartitioning(
        ref_point=torch.from_numpy(np.asarray(reference_M, dtype=np.float64)),
        Y=torch.from_numpy(np.asarray(front_KM, dtype=np.float64).reshape(-1, len(reference_M))),
    )
    corners = partitioning.hypercell_bounds.numpy()
    return corners[0], corners[1]


def _stripes(front: Array, reference: Array) -> tuple[Array, Array]:
    """The boxes of two objectives: each from one point's first value to the next one's, above that one's second."""
    above = front[(front > reference).all(axis=1)]
    above = above[np.argsort(above[:, 0], kind="stable")]
    lower = np.column_stack([[reference[0], *above[:, 0]], [*above[:, 1], reference[1]]])
    upper = np.column_stack([[*above[:, 0], np.inf], np.full(len(lower), np.inf)])
    return lower, upper
