"""Expected hypervolume improvement when some objectives are known: exact, for any number of either kind."""

# Shapes: N candidates, M objectives, K boxes. Every objective is better when it is more.

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from numpy.typing import NDArray
from scipy.stats import norm

Array = NDArray[np.float64]


def expected_improvement(means_NM: Array, deviations_NM: Array, front_KM: Array, reference_M: Array) -> Array:
    """By how much each candidate is expected to grow the hypervolume that the front dominates.

    What no point of the front dominates is cut into boxes, on each of which the growth is a product over the
    objectives (Yang et al. 2019, "Efficient computation of expected hypervolume improvement using box decomposition
    algorithms"). The objectives are independent given the data, so that the expectation of the product is the product
    of the expectations: of (f - lower)+ - (f - upper)+, which for a normal f is the closed form of expected
    improvement, and for a known one the value itself.

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
        means_N1, deviations_N1 = means_NM[:, [objective]], deviations_NM[:, [objective]]
        above_lower = expected_excess(means_N1, deviations_N1, lower_KM[:, objective])
        above_upper = expected_excess(means_N1, deviations_N1, upper_KM[:, objective])
        growth_NK *= np.maximum(above_lower - above_upper, 0.0)
    total: Array = growth_NK.sum(axis=1)
    return total


def expected_excess(means: Array, deviations: Array, thresholds: Array) -> Array:
    """E[(f - threshold)+] of a normal f; of the mean itself where the deviation is 0; 0 for an infinite threshold."""
    gaps = means - thresholds
    finite = np.isfinite(gaps)
    gaps = np.where(finite, gaps, 0.0)
    scales = np.where(deviations > 0.0, deviations, 1.0)
    z = gaps / scales
    uncertain = gaps * norm.cdf(z) + scales * norm.pdf(z)
    excess: Array = np.where(finite, np.where(deviations > 0.0, uncertain, np.maximum(gaps, 0.0)), 0.0)
    return excess


def boxes(front_KM: Array, reference_M: Array) -> tuple[Array, Array]:
    """Lower and upper corners of boxes that fill what the front leaves above the reference; some have no upper end."""
    partitioning = FastNondominatedPartitioning(
        ref_point=torch.from_numpy(np.asarray(reference_M, dtype=np.float64)),
        Y=torch.from_numpy(np.asarray(front_KM, dtype=np.float64).reshape(-1, len(reference_M))),
    )
    corners = partitioning.hypercell_bounds.numpy()
    return corners[0], corners[1]
