"""Means over few repetitions and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of repetitions; its interval and standard error are None with a single one, which tells neither."""

    mean: float
    low: float | None
    high: float | None
    standard_error: float | None
    num_values: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0.0 or self.high < 0.0)


def mean_interval(values: Sequence[float], *, least_deviation: float = 0.0) -> Estimate:
    """Mean with its 95 % interval by Student's t distribution (Student 1908): mean +- t(n - 1) s / sqrt(n).

    For paired repetitions give the differences of the pairs: that is the paired interval.

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
