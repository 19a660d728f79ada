"""How far a classifier's confidence is from its accuracy, as a function of arrays."""

# Shapes: N images, C classes. Everything is computed in float64.

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

NUM_BINS = 15


def expected_calibration_error(
    logits_NC: NDArray[np.floating[Any]], labels_N: NDArray[np.int64], *, num_bins: int = NUM_BINS
) -> float:
    """Expected calibration error (Guo et al., ICML 2017, eq. 3): how far confidence is from accuracy, as a fraction.

    Images are put by the probability of their likeliest class into M bins ((m - 1) / M, m / M] of equal width; the
    error is the mean over the images of |accuracy - mean confidence| of their bin.
    """
    probabilities_NC = np.exp(log_softmax(logits_NC.astype(np.float64), axis=1))
    confidences_N = probabilities_NC.max(axis=1)
    right_N = logits_NC.argmax(axis=1) == labels_N
    bins_N = np.clip(np.ceil(confidences_N * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    # Within a bin num x |accuracy - confidence| is |sum of right - sum of confidence|.
    gaps = np.bincount(bins_N, weights=right_N - confidences_N, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(labels_N))
