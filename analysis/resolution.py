"""What the seeds of a comparison cannot show, in words."""

from collections.abc import Sequence

from analysis.comparisons import SIGNIFICANT, resolvable_difference, seeds_needed
from analysis.statistics import Estimate
from analysis.wording import count

# A tenth of a point: about what published methods differ by on such data.
SMALL_DIFFERENCE = 0.001


def resolution_words(gains: Sequence[Estimate], family: str) -> list[str]:
    """The smallest true difference that paired seeds find, alone and among all, and how many would find a small one.

    Args:
        gains: every difference that was compared, as fractions.
        family: what the p values are corrected for: "all comparisons of a figure".

    Returns:
        Nothing where nothing was compared.
    """
    if not gains:
        return []
    deviations = sorted(gain.deviation for gain in gains if gain.deviation is not None)
    if not deviations:
        return ["One seed tells nothing of how much seeds differ: more of them are needed to decide anything."]
    num_seeds, middle = max(gain.num_values for gain in gains), deviations[len(deviations) // 2]
    alone = resolvable_difference(num_seeds, middle)
    together = resolvable_difference(num_seeds, middle, significance=SIGNIFICANT / len(gains))
    if alone is None or together is None:
        return []
    text = (
        f"As the differences spread over {count(num_seeds, 'seed')} (the middle deviation is {100 * middle:.2f} "
        f"points), a true difference is found four times in five only if it is at least {100 * alone:.2f} points, by "
        f"itself; {100 * together:.2f} where all {count(len(gains), 'comparison')} are to hold together. To find "
        f"{100 * SMALL_DIFFERENCE:g} points by itself takes {count(seeds_needed(SMALL_DIFFERENCE, middle), 'seed')}. p "
        f"is of the paired t test, corrected by Holm for {family}; not decided does not say that there is no "
        "difference."
    )
    return [text]
