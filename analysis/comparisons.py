"""What comparisons over seeds can tell: correction for how many were made, what is too small to see."""

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum
from math import ceil, sqrt

from scipy import optimize, stats

SIGNIFICANT = 0.05
POWER = 0.8


class Design(StrEnum):
    """Whether the two sides of a comparison share their seeds."""

    PAIRED = "paired"
    UNPAIRED = "unpaired"


def p_text(p_value: float | None) -> str:
    """A p value as a reader sees it: "p 0.031", "p below 0.001"; "p unknown" for None."""
    if p_value is None:
        return "p unknown"
    return "p below 0.001" if p_value < 0.001 else f"p {p_value:.3g}"


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Corrects p values for how many comparisons were made, each in its place (Holm 1979, step-down Bonferroni).

    The k-th smallest of m is multiplied by m - k + 1, is at least the one before it, and at most 1. The chance that any
    of the comparisons without a difference falls below a level is then at most that level, however they depend on each
    other. None, a comparison that could not be made, is left out of the family and stays None.

    Raises:
        ValueError: a p value is not in [0, 1].
    """
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    wrong = [value for value, _ in known if not 0.0 <= value <= 1.0]
    if wrong or any(value != value for value, _ in known):  # noqa: PLR0124 - NaN is what differs from itself
        raise ValueError(f"{wrong[0] if wrong else 'NaN'} is not a p value: it must be in [0, 1]")
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for step, (value, place) in enumerate(known):
        least = max(least, min(1.0, (len(known) - step) * value))
        corrected[place] = least
    return tuple(corrected)


def power(
    difference: float,
    deviation: float,
    num_seeds: int,
    *,
    design: Design = Design.PAIRED,
    significance: float = SIGNIFICANT,
) -> float:
    """How likely a true difference is to be found by a two-sided t test, by the noncentral t (Cohen 1988, chapter 2).

    Found means with its right sign, as R's `power.t.test` counts.

    Args:
        difference: true difference of the means; its sign does not matter.
        deviation: standard deviation in the same unit, >= 0; paired, that of the differences of the pairs; unpaired,
            that of each side.
        num_seeds: at least 2; unpaired, on each side.
        design: unpaired is the test of two samples with one deviation.
        significance: p values below it count as found.
    """
    return _power(_noncentrality(abs(difference), deviation, num_seeds, design), num_seeds, design, significance)


def resolvable_difference(
    num_seeds: int,
    deviation: float,
    *,
    design: Design = Design.PAIRED,
    significance: float = SIGNIFICANT,
    wanted_power: float = POWER,
) -> float | None:
    """The smallest true difference that this many seeds find four times in five (a power of 80 %).

    With an observed deviation it is an estimate itself, and a rough one: behind that of three differences may stand one
    half as large or six times as large (chi-squared, 95 %). The arguments are those of `power`.

    Returns:
        In the unit of `deviation`; None with fewer than two seeds, which resolve nothing.
    """
    if num_seeds < 2:
        return None

    def missing(noncentrality: float) -> float:
        return _power(noncentrality, num_seeds, design, significance) - wanted_power

    high = 4.0
    while missing(high) < 0.0:
        high *= 2.0
    return float(optimize.brentq(missing, 0.0, high)) / _noncentrality(1.0, 1.0, num_seeds, design) * deviation


def seeds_needed(
    difference: float,
    deviation: float,
    *,
    design: Design = Design.PAIRED,
    significance: float = SIGNIFICANT,
    wanted_power: float = POWER,
) -> int:
    """How many seeds, unpaired on each side, find a true difference with the wanted power. Arguments as for `power`.

    With a deviation of 0.2 points on each side, unpaired: 9 for 0.3 points and 17 for 0.2; to find them with a power of
    85 %, 10 (9 have 84.8 %) and 19. Paired, where pairing takes nothing off the deviation of the differences (which is
    then 0.2 sqrt(2)): 10 and 18.

    Raises:
        ValueError: the difference is 0, which no number of seeds resolves.
    """
    if difference == 0.0:
        raise ValueError("a difference of 0 is resolved by no number of seeds: give one that matters")
    shift = float(stats.norm.ppf(1.0 - significance / 2.0) + stats.norm.ppf(wanted_power))
    by_normal = (shift / _noncentrality(abs(difference), deviation, 1, design)) ** 2 if deviation > 0.0 else 1.0
    numbers = range(2, 2 * ceil(by_normal) + 100)  # the t test's own needs few more than the normal distribution's
    place = bisect_left(
        numbers,
        wanted_power,
        key=lambda number: power(difference, deviation, number, design=design, significance=significance),
    )
    return numbers[place]


def _noncentrality(difference: float, deviation: float, num_seeds: int, design: Design) -> float:
    """Of the t statistic: the difference in standard errors."""
    if deviation == 0.0:
        return float("inf") if difference > 0.0 else 0.0
    sides = 1 if design is Design.PAIRED else 2
    return difference / deviation * sqrt(num_seeds / sides)


def _power(noncentrality: float, num_seeds: int, design: Design, significance: float) -> float:
    if noncentrality == float("inf"):
        return 1.0
    freedom = (num_seeds - 1) * (1 if design is Design.PAIRED else 2)
    beyond = float(stats.t.ppf(1.0 - significance / 2.0, freedom))
    return float(stats.nct.sf(beyond, freedom, noncentrality))
