"""What several runs of a search attain: surfaces over their fronts, and whether two searches differ but by luck."""

# Shapes: N points, M objectives, K fronts.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, comb

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.comparisons import p_text
from analysis.hypervolume import hypervolume, reference_point
from analysis.pareto import candidates, front, values_of
from analysis.results import StudyResults
from analysis.statistics import mean_interval
from analysis.wording import listed, value_text
from trainables.metrics import Metric, as_minimized

Array = NDArray[np.float64]

# Up to this many all rearrangements are gone through, which makes a test exact; beyond, as many are drawn.
NUM_PERMUTATIONS = 99_999

_BATCH = 1_000  # rearrangements at once, for the memory's sake


@dataclass(frozen=True, slots=True)
class AttainmentSurfaces:
    """The points that at least one of the fronts attains, at least half of them, and all; in the objectives' own units.

    A front attains a point when one of its students is at least as good in every objective. Each surface holds its
    non-dominated points alone, sorted by the first objective from its best value on.
    """

    best_NM: Array
    median_NM: Array
    worst_NM: Array
    num_fronts: int


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """How often fronts shared out anew between the two sides differ by at least as much as they do.

    So few of them cannot give a p value below `smallest_p_value`: 0.1 for three against three.
    """

    statistic: float
    p_value: float
    num_permutations: int
    is_exact: bool
    smallest_p_value: float


@dataclass(frozen=True, slots=True)
class Runs:
    """Studies that repeat one search, one a seed: each one's front, and all its students that ran their full budget."""

    name: str
    fronts: tuple[Array, ...]
    students: tuple[Array, ...]

    @classmethod
    def of(cls, name: str, studies: Sequence[StudyResults], metrics: Sequence[Metric]) -> "Runs":
        """Of these studies, in these metrics.

        Raises:
            ValueError: two have the same seed, so that they are no repetition, or one has no finished student.
        """
        seeds = [each.record.config.get("seed") for each in studies]
        twice = sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1})
        if twice:
            raise ValueError(f"{name}: several studies have seed {twice[0]}: give one study of each seed")
        for each in studies:
            if not candidates(each.trials, metrics):
                names = listed([metric.name for metric in metrics])
                raise ValueError(f"{each.record.name}: no trial that ran its full budget reports {names}")
        fronts = tuple(values_of(front(each.trials, metrics), metrics) for each in studies)
        return cls(name, fronts, tuple(values_of(candidates(each.trials, metrics), metrics) for each in studies))


@dataclass(frozen=True, slots=True)
class AttainmentComparison:
    """Two searches, each repeated, in two or three metrics."""

    one: Runs
    other: Runs
    metrics: tuple[Metric, ...]

    @property
    def reference(self) -> Array:
        """Shape (M,): where hypervolumes are measured from, the `reference_point` of all students of both."""
        return reference_point(self._students, self.metrics)

    def hypervolumes(self, runs: Runs) -> list[float]:
        """Of each front, as a share of the box between the reference and the best value of each metric anywhere."""
        ideal = as_minimized(as_minimized(self._students, self.metrics).min(axis=0), self.metrics)
        box = hypervolume(ideal[None, :], self.metrics, self.reference)
        return [hypervolume(each, self.metrics, self.reference) / box for each in runs.fronts]

    @property
    def _students(self) -> Array:
        return np.concatenate([*self.one.students, *self.other.students])


def hypervolume_table(compared: AttainmentComparison) -> pd.DataFrame:
    """A row a side: how many studies, their mean hypervolume and its 95 % interval within [0, 1]."""
    rows = []
    for runs in (compared.one, compared.other):
        mean = mean_interval(compared.hypervolumes(runs))
        ends = (mean.low, mean.high)
        interval = " to ".join(f"{min(max(each, 0.0), 1.0):.3f}" for each in ends if each is not None)
        rows.append((runs.name, mean.num_values, f"{mean.mean:.3f}", interval or "unknown"))
    return pd.DataFrame(rows, columns=["search", "studies", "hypervolume", "95 % interval"])


def attainment_words(compared: AttainmentComparison, *, stream: np.random.Generator) -> list[str]:
    """What the hypervolume is a share of, and whether the two sides differ by more than the luck of their seeds."""
    named = zip(compared.metrics, compared.reference, strict=True)
    corner = listed([f"{metric.label} {value_text(metric, value)}" for metric, value in named])
    box = f"Hypervolume is a share of the box from {corner} to the best of each metric over all studies."
    one, other = (compared.hypervolumes(each) for each in (compared.one, compared.other))
    of_volumes = mean_difference_test(one, other, stream=stream)
    of_fronts = attainment_test(compared.one.fronts, compared.other.fronts, compared.metrics, stream=stream)
    if of_volumes is None or of_fronts is None:
        return [box, "One study tells nothing of the luck of its seed: whether the searches differ cannot be tested."]
    gain, kind = float(np.mean(one) - np.mean(other)), "all" if of_volumes.is_exact else "random"
    volume = (
        f"Mean hypervolume, {compared.one.name} less {compared.other.name}: {gain:+.3f}, {p_text(of_volumes.p_value)}."
    )
    shares = (
        f"The shares of studies that attain a point differ by up to {100 * of_fronts.statistic:.0f} percentage points, "
        f"{p_text(of_fronts.p_value)}."
    )
    tests = (
        f"Permutation tests over {kind} {of_volumes.num_permutations:,} ways to share out the fronts: with so many "
        f"studies p cannot be below {of_volumes.smallest_p_value:.2g}. Both ask one question: choose one beforehand."
    )
    return [box, volume, shares, tests]


def attainment_surfaces(fronts: Sequence[Array], metrics: Sequence[Metric]) -> AttainmentSurfaces:
    """Best, median and worst attainment surface of fronts, one a run (Fonseca & Fleming 1996; computed by moocore).

    Args:
        fronts: each of shape (N, M), in the metrics' own units, finite, at least one point.
        metrics: one for each column, two or three.

    Raises:
        ValueError: there is no front, one has no points, or there are not two or three metrics.
    """
    num_fronts = len(fronts)
    levels = _levels(fronts, metrics)
    best, median, worst = (_surface(levels, each, metrics) for each in (1, ceil(num_fronts / 2), num_fronts))
    return AttainmentSurfaces(best, median, worst, num_fronts)


def attainment_test(
    one: Sequence[Array], other: Sequence[Array], metrics: Sequence[Metric], *, stream: np.random.Generator
) -> PermutationTest | None:
    """Whether two searches attain the same: the largest difference of their empirical attainment functions.

    The function tells for each point the share of fronts that attain it (Grunert da Fonseca, Fonseca & Hall 2001); its
    largest difference is a Kolmogorov-Smirnov statistic, in [0, 1], and its distribution without a difference that over
    all ways of sharing out the fronts (Fonseca, Grunert da Fonseca & Paquete 2005). All ways are gone through up to
    99,999 of them, as many random ones are drawn beyond.

    Args:
        one: its fronts, one a run, the runs independent of each other; shapes and errors as for `attainment_surfaces`.
        other: those of the other search, independent of the first's too: shared seeds are not made use of.
        metrics: one for each column, two or three.
        stream: of random numbers.

    Returns:
        None where a side has fewer than two runs, which tell nothing of its luck.
    """
    fronts = [*one, *other]
    # Which fronts attain a point changes only at the points of the surfaces of all fronts together.
    points_NM = np.unique(np.concatenate([points for points, _ in _levels(fronts, metrics)]), axis=0)
    attains_NK = np.stack([_attains(points_NM, as_minimized(each, metrics)) for each in fronts], axis=1)
    product = len(one) * len(other)

    def largest_difference(chosen: NDArray[np.intp], others: NDArray[np.intp], *, axis: int) -> Array:
        weights = np.zeros((*chosen.shape[:-1], len(fronts)))
        # Whole numbers, so that differences that are equal come out equal.
        np.put_along_axis(weights, chosen, product // chosen.shape[axis], axis)
        np.put_along_axis(weights, others, -product // others.shape[axis], axis)
        largest: Array = np.abs(weights @ attains_NK.T).max(axis=-1) / product
        return largest

    return _permuted(largest_difference, np.arange(len(one)), np.arange(len(one), len(fronts)), stream)


def mean_difference_test(
    one: Sequence[float], other: Sequence[float], *, stream: np.random.Generator
) -> PermutationTest | None:
    """Whether two searches reach the same on average, in any number a run, such as its hypervolume (Pitman 1937).

    The statistic is the size of the difference of the means, the rest as for `attainment_test`.
    """

    def difference(first: Array, second: Array, *, axis: int) -> Array:
        size: Array = np.abs(first.mean(axis=axis) - second.mean(axis=axis))
        return size

    return _permuted(difference, np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64), stream)


def _attains(points_NM: Array, front_NM: Array) -> Array:
    """Shape (N,): 1 where some student of the front is at least as good as the point in all minimised objectives."""
    attains: Array = np.any(np.all(points_NM[:, None, :] >= front_NM, axis=2), axis=1).astype(np.float64)
    return attains


def _levels(fronts: Sequence[Array], metrics: Sequence[Metric]) -> list[tuple[Array, int]]:
    """For each k, the minimised points of the surface that at least k fronts attain, and k."""
    if not fronts:
        raise ValueError("there are no fronts: at least one is needed")
    if len(metrics) not in {2, 3}:
        raise ValueError(f"attainment is computed of two or three metrics, not of {len(metrics)}")
    if any(len(each) == 0 for each in fronts):
        raise ValueError("a front has no points: leave out runs in which no student was trained to its end")
    points = np.concatenate([as_minimized(each, metrics) for each in fronts])
    labels = np.repeat(np.arange(len(fronts)), [len(each) for each in fronts])
    found = moocore.eaf(points, labels)
    attained = np.rint(found[:, -1] / 100.0 * len(fronts)).astype(int)
    return [(found[attained == k, :-1], k) for k in range(1, len(fronts) + 1)]


def _surface(levels: Sequence[tuple[Array, int]], num_attaining: int, metrics: Sequence[Metric]) -> Array:
    costs = next(points for points, k in levels if k == num_attaining)
    return as_minimized(costs[np.lexsort(costs.T[::-1])], metrics)


def _permuted(
    statistic: Callable[..., Array], one: Array | NDArray[np.intp], other: Array | NDArray[np.intp],
    stream: np.random.Generator,
) -> PermutationTest | None:  # fmt: skip
    if min(len(one), len(other)) < 2:
        return None
    found = stats.permutation_test(
        (one, other), statistic, permutation_type="independent", vectorized=True, alternative="greater", axis=-1,
        n_resamples=NUM_PERMUTATIONS, batch=_BATCH, rng=stream,
    )  # fmt: skip
    ways = comb(len(one) + len(other), len(one))
    is_exact = ways <= NUM_PERMUTATIONS
    # Sides of one size may change places without a change: as extreme as what was seen are always two.
    smallest = (2 if len(one) == len(other) else 1) / ways if is_exact else 1.0 / (NUM_PERMUTATIONS + 1)
    return PermutationTest(
        statistic=float(found.statistic),
        p_value=float(found.pvalue),
        num_permutations=ways if is_exact else NUM_PERMUTATIONS,
        is_exact=is_exact,
        smallest_p_value=smallest,
    )
