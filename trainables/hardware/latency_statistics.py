"""What a set of run times says: percentiles, how sure they are, and whether they held still. Pure, on numpy alone."""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

MAX_RELATIVE_IQR_FRACTION = 0.03
MAX_HALF_DRIFT_FRACTION = 0.03

_SMALLEST_FOR_MEDIAN_INTERVAL = 6

Times = NDArray[np.float64]  # (runs,), in the order they were made, any one unit


def percentile(times: Times, percent: float) -> float:
    """The nearest-rank percentile: the smallest observed time that `percent` % of the runs do not exceed.

    Args:
        times: shape (runs,), at least one.
        percent: in [0, 100].
    """
    return float(np.percentile(times, percent, method="inverted_cdf"))


def median_interval(times: Times, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the median by order statistics: no assumption but independent runs of one continuous distribution.

    The number of runs below the true median is binomial(n, 1/2), so the l-th smallest and the l-th largest time cover
    it with at least `confidence` (David & Nagaraja 2003, section 7.1). For 100 runs these are the 40th and the 61st.

    Args:
        times: shape (runs,).
        confidence: in (0, 1).

    Raises:
        ValueError: too few runs for any such interval (fewer than 6 at 95 %).
    """
    rank = _binomial_quantile((1.0 - confidence) / 2.0, times.size, 0.5)
    if rank < 1:
        needed = f"at least {_SMALLEST_FOR_MEDIAN_INTERVAL} runs are needed at 95 %"
        raise ValueError(f"{times.size} runs give no {confidence:.0%} interval of the median: {needed}")
    ordered = np.sort(times)
    return float(ordered[rank - 1]), float(ordered[-rank])


def num_discarded(num_runs: int, percent: float, confidence: float = 0.99) -> int:
    """How many of the largest times may be discarded such that the next one still bounds the percentile.

    The largest t with P(Binomial(num_runs, 1 - percent / 100) <= t) <= 1 - confidence; -1 where not even the largest
    time is a bound.
    """
    return _binomial_quantile(1.0 - confidence, num_runs, 1.0 - percent / 100.0) - 1


def percentile_bound(times: Times, percent: float, confidence: float = 0.99) -> float | None:
    """Upper bound on a percentile from few runs: MLPerf Inference's early stopping (Reddi et al. 2020; loadgen rules).

    The t largest times are discarded, t as in `num_discarded`, and the largest of the rest is the bound: it lies below
    the true percentile with probability at most 1 - confidence. As in MLPerf at least one time must be discarded, so a
    single stray run never is the bound: at 99 % confidence that takes 64 runs for p90 and 662 for p99.

    Args:
        times: shape (runs,), taken as independent; runs that share a disturbance know less than their number says.
        percent: of the percentile, in (0, 100).
        confidence: in (0, 1).

    Returns:
        The bound, or None with too few runs.
    """
    discarded = num_discarded(times.size, percent, confidence)
    if discarded < 1:
        return None
    return float(np.sort(times)[-1 - discarded])


def relative_iqr_fraction(times: Times) -> float:
    """Interquartile range over median: the spread, blind to the tails."""
    return (percentile(times, 75) - percentile(times, 25)) / percentile(times, 50)


def half_drift_fraction(times: Times) -> float:
    """Relative change of the median from the first half of the runs to the second.

    Args:
        times: shape (runs,), at least two, in the order they were made.
    """
    half = times.size // 2
    return percentile(times[half:], 50) / percentile(times[:half], 50) - 1.0


def is_stable(times: Times) -> bool:
    """Whether the runs agree with each other: spread at most 3 %, and at most 3 % between the halves."""
    return (
        relative_iqr_fraction(times) <= MAX_RELATIVE_IQR_FRACTION
        and abs(half_drift_fraction(times)) <= MAX_HALF_DRIFT_FRACTION
    )


def anchor(groups: Sequence[Times]) -> float:
    """The reference's time when undisturbed: the lower quartile of the medians of groups of runs.

    A neighbour on the same core's second thread slows everything by two thirds for seconds at a time; a plain median
    would take that for the device's own speed. Without disturbance the two differ by less than their spread.
    """
    return percentile(np.array([np.median(group) for group in groups]), 25)


def cancel_drift(blocks: Sequence[Times], references: Sequence[Times], undisturbed: float) -> tuple[Times, float]:
    """Run times as they would have been, had the device kept the speed it had when the anchor was taken.

    A reference network runs before, between and after the blocks. Each block is scaled by undisturbed / (median of the
    reference runs on its two sides): a clock that slows both by a tenth changes nothing.

    Args:
        blocks: run times of what is measured, block by block.
        references: run times of the reference network, one group more than blocks.
        undisturbed: the reference's time when the profile began, from `anchor`, in the same unit.

    Returns:
        All run times in order, scaled; and the relative change of the reference's median against the anchor. The time
        as the wall clock had it is the scaled one times (1 + change).

    Raises:
        ValueError: there is not one group of reference runs more than there are blocks.
    """
    if len(references) != len(blocks) + 1:
        raise ValueError(
            f"{len(blocks)} blocks with {len(references)} groups of reference runs: "
            f"{len(blocks) + 1} are needed, one before, between and after"
        )
    local = [float(np.median(np.concatenate(sides))) for sides in itertools.pairwise(references)]
    scaled = np.concatenate([block * (undisturbed / speed) for block, speed in zip(blocks, local, strict=True)])
    return scaled, float(np.median(np.concatenate(references))) / undisturbed - 1.0


def _binomial_quantile(probability: float, num: int, success: float) -> int:
    """The smallest k with P(Binomial(num, success) <= k) >= probability.

    As `scipy.stats.binom.ppf`, which every training process would load for a second.
    """
    return int(np.searchsorted(bdtr(np.arange(num + 1), num, success), probability))
