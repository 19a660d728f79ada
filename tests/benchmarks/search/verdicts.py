"""Whether one contestant is ahead of another, seed by seed, and the tables that say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from analysis.statistics import Estimate, mean_interval
from tests.benchmarks.search.race import Scores

SIGNIFICANT = 0.01  # that we are ahead
BEHIND = 0.05  # that we are behind


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of two contestants on the same seeds: the difference first minus second, and two one-sided p values.

    p values are of Wilcoxon's signed-rank test (1945) over the seeds: that the first is ahead, that it is behind.
    """

    difference: Estimate
    p_ahead: float
    p_behind: float

    @property
    def is_ahead(self) -> bool:
        """More on average, and not by chance."""
        return self.difference.mean > 0.0 and self.p_ahead < SIGNIFICANT

    @property
    def is_not_behind(self) -> bool:
        """Nothing shows that it is behind."""
        return self.difference.mean >= 0.0 or self.p_behind >= BEHIND


def verdict(first: Scores, second: Scores, *, num_evaluations: int) -> Verdict:
    """Compare over the seeds that both have.

    Raises:
        ValueError: there are none.
    """
    of_first = dict(zip(first.seeds, first.after(num_evaluations), strict=True))
    of_second = dict(zip(second.seeds, second.after(num_evaluations), strict=True))
    return of_pairs([(of_first[seed], of_second[seed]) for seed in first.seeds if seed in of_second])


def of_pairs(pairs: Sequence[tuple[float, float]]) -> Verdict:
    """Compare pairs, one a seed."""
    if not pairs:
        raise ValueError("the contestants have no seed in common: run both with the same seeds")
    differences = np.array([first - second for first, second in pairs])
    if not differences.any():
        return Verdict(mean_interval(differences.tolist()), 1.0, 1.0)
    ahead, behind = (float(wilcoxon(differences, alternative=which).pvalue) for which in ("greater", "less"))
    return Verdict(mean_interval(differences.tolist()), ahead, behind)


def plus_minus(estimate: Estimate) -> str:
    """Mean and half of its 95 % interval."""
    if estimate.high is None:
        return f"{estimate.mean:.3f}"
    return f"{estimate.mean:.3f} ± {estimate.high - estimate.mean:.3f}"


def markdown(first: str, scores: Mapping[str, Scores], checkpoints: Sequence[int]) -> str:
    """One row a contestant: its share of the true hypervolume, how far `first` is ahead, and the p value of that."""
    header = ["", *(f"{each} evaluations" for each in checkpoints)]
    header += [*(f"{first} is ahead at {each} by (p)" for each in checkpoints), "seeds", "CPU s a search"]
    rows = []
    for name, each in scores.items():
        if not each.seeds:
            continue
        row = [name, *(plus_minus(mean_interval(each.after(place))) for place in checkpoints)]
        for place in checkpoints:
            if name == first:
                row.append("")
                continue
            found = verdict(scores[first], each, num_evaluations=place)
            row.append(f"{found.difference.mean:+.3f} ({_p(found.p_ahead)})")
        rows.append([*row, str(len(each.seeds)), f"{each.cpu_s:.0f}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *rows]) + "\n"


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
