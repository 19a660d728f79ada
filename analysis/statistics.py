"""Means and other statistics over few repetitions, and how sure they are."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
NUM_RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of repetitions; its interval and standard error are None with a single one, which tells neither."""

    mean: float
    low: float | None
    high: float | None
    standard_error: float | None
    num_values: int

    @property
    def deviation(self) -> float | None:
        """Standard deviation of one repetition, in the unit of the mean; None with a single one."""
        return None if self.standard_error is None else self.standard_error * sqrt(self.num_values)

    @property
    def p_value(self) -> float | None:
        """Two-sided p value of a mean of 0, by Student's t test; of differences of pairs: the paired t test.

        It is below 0.05 exactly where the 95 % interval leaves out 0, and can be so from two repetitions on. A test on
        the signs alone needs six, and studies have three to five seeds. Its price is that it takes the differences for
        normal.

        Without any spread it is 1 for a mean of 0 and else 0: give `mean_interval` the `least_deviation` that the
        counting allows. None with a single repetition.
        """
        if self.standard_error is None:
            return None
        if self.standard_error == 0.0:
            return 1.0 if self.mean == 0.0 else 0.0
        return float(2.0 * stats.t.sf(abs(self.mean) / self.standard_error, self.num_values - 1))


def mean_interval(values: Sequence[float], *, least_deviation: float = 0.0) -> Estimate:
    """Mean with its 95 % interval by Student's t distribution (Student 1908): mean +- t(n - 1) s / sqrt(n).

    For paired repetitions give the differences of the pairs: that is the paired interval, and the paired test.

    Args:
        values: one a repetition, independent of each other; at least one.
        least_deviation: the standard deviation is not taken to be less, so that counts that happen to be equal do not
            pass for certainty.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("there are no values to take the mean of: at least one is needed")
    mean, num_values = float(np.mean(values)), len(values)
    if num_values == 1:
        return Estimate(mean, None, None, None, 1)
    error = max(float(np.std(values, ddof=1)), least_deviation) / sqrt(num_values)
    arm = float(stats.t.ppf((1.0 + CONFIDENCE) / 2.0, num_values - 1)) * error
    return Estimate(mean, mean - arm, mean + arm, error, num_values)


class BootstrapMethod(StrEnum):
    """How a bootstrap interval was made."""

    BCA = "bias-corrected and accelerated"
    PERCENTILE = "percentile"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class BootstrapInterval:
    """A statistic with its bootstrap interval, whose ends are None where the values allow none.

    `num_undefined` resamples did not define it, such as a slope where all values are equal, and were left out.
    """

    value: float
    low: float | None
    high: float | None
    method: BootstrapMethod
    num_undefined: int


def bootstrap_interval(
    statistic: Callable[..., float] | Callable[..., NDArray[np.float64]],
    *samples: Sequence[float],
    stream: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> BootstrapInterval:
    """A statistic of repetitions with its bootstrap interval, bias-corrected and accelerated (BCa; Efron 1987).

    For statistics other than a mean: a mean of few repetitions is better served by `mean_interval`, as few are
    resampled into few different samples, and the interval is too narrow: for the mean of normal values, nominally 95 %,
    BCa covers it in 74 % of the cases with 3 repetitions, 82 % with 5, 90 % with 10.

    Where BCa has no answer, because the statistic hardly varies or resamples do not define it, the interval is that of
    the percentiles of those that do. Equal values, or a single one, tell nothing of the spread: no interval.

    Args:
        statistic: of the samples, in their order; vectorised over an argument `axis` if it has one.
        samples: each with one value a repetition; several are resampled together, so that pairs stay pairs.
        stream: of random numbers, for 9,999 resamples.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: there are no values, samples differ in length, or the statistic of them is not finite.
    """
    lengths = sorted({len(each) for each in samples})
    if len(lengths) != 1 or lengths[0] == 0:
        raise ValueError(f"samples have {lengths or 'no'} values: they must have equally many, at least one")
    arrays = [np.asarray(each, dtype=np.float64) for each in samples]
    value = float(statistic(*arrays))
    if not np.isfinite(value):
        raise ValueError(f"the statistic of the samples is {value}: it must be finite")
    if all(np.ptp(each) == 0.0 for each in arrays):
        return BootstrapInterval(value, None, None, BootstrapMethod.NONE, 0)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore")  # of what is degenerate, which the result says
        found = stats.bootstrap(
            arrays, statistic, paired=True, n_resamples=NUM_RESAMPLES, confidence_level=confidence, method="BCa",
            rng=stream,
        )  # fmt: skip
    low, high = float(found.confidence_interval.low), float(found.confidence_interval.high)
    defined = found.bootstrap_distribution[np.isfinite(found.bootstrap_distribution)]
    num_undefined = NUM_RESAMPLES - len(defined)
    if num_undefined == 0 and np.isfinite([low, high]).all():
        return BootstrapInterval(value, low, high, BootstrapMethod.BCA, 0)
    if len(defined) == 0 or np.ptp(defined) == 0.0:
        return BootstrapInterval(value, None, None, BootstrapMethod.NONE, num_undefined)
    low, high = map(float, np.quantile(defined, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]))
    return BootstrapInterval(value, low, high, BootstrapMethod.PERCENTILE, num_undefined)
