"""The students that were trained again, read on the test images: means over fresh seeds, pairs, and who stays ahead."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.comparisons import holm
from analysis.findings import latency_of, median_interval
from analysis.pareto import nondominated
from analysis.results import StudyResults
from analysis.statistics import Estimate, mean_interval
from analysis.students import LABELS_METHOD, WITHOUT_TEACHER
from trainables.config import StudentConfig
from trainables.metrics import Direction, Metric, Source, latency_batch_size, latency_name
from trainables.own_metrics import declared_name, metric_on_test
from trainables.records import TrialRecord
from trainables.verified import Role, SplitMetrics, VerifiedRun

# Not among the metrics a trial may report: nothing can ask for it as an objective.
TEST_ACCURACY = Metric("test_accuracy", "test accuracy", "fraction", Direction.MAXIMIZE, Source.TRAINING)

NUM_DRAWS = 10_000
_TEST_VALUES = {"validation_accuracy": "accuracy", "validation_nll": "nll", "validation_agreement": "agreement"}
_NORMAL_ARM = 1.959964  # standard deviations of half a 95 % interval of a normal distribution


@dataclass(frozen=True, slots=True)
class Verified:
    """One configuration and its runs over the fresh seeds, in their order; a run that failed has no test metrics."""

    trial: TrialRecord
    role: Role
    runs: tuple[VerifiedRun, ...]

    @property
    def student(self) -> StudentConfig:
        """Network and method; the seed in it is the first run's."""
        return self.runs[0].student

    @property
    def method(self) -> str:
        """What taught it."""
        return self.student.loss.name

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Of its runs: equal for two that are the same configuration."""
        return tuple(run.fingerprint for run in self.runs)

    def by_seed(self, name: str) -> dict[int, float]:
        """A test metric ("accuracy", "nll", "agreement", one of the study's own) of each run that knows it, by seed."""
        told = {run.seed_index: run.on_test.value(name) for run in self.runs if run.on_test is not None}
        return {seed: value for seed, value in told.items() if value is not None}

    def estimate(self, name: str = "accuracy") -> Estimate | None:
        """Mean of a test metric over the seeds; None where no run knows it."""
        values = list(self.by_seed(name).values())
        return mean_interval(values, least_deviation=_least_deviation(self.runs, name)) if values else None


@dataclass(frozen=True, slots=True)
class VerifiedPair:
    """A student of the front and its partner, which differs from it in method alone; None where it has none."""

    student: Verified
    partner: Verified | None

    @property
    def labels(self) -> Verified | None:
        """The labels-only side."""
        return next((each for each in self._sides if each.method == LABELS_METHOD), None)

    @property
    def distilled(self) -> Verified | None:
        """The distilled side."""
        return next((each for each in self._sides if each.method not in WITHOUT_TEACHER), None)

    @property
    def gains(self) -> dict[int, float]:
        """By seed, test accuracy of the distilled side less that of the labels-only one."""
        if self.labels is None or self.distilled is None:
            return {}
        labels, distilled = (each.by_seed("accuracy") for each in (self.labels, self.distilled))
        return {seed: distilled[seed] - labels[seed] for seed in distilled if seed in labels}

    @property
    def gain(self) -> Estimate | None:
        """The paired difference over the seeds; None without both sides."""
        gains = list(self.gains.values())
        return mean_interval(gains, least_deviation=image_step(self.student.runs)) if gains else None

    @property
    def configurations(self) -> frozenset[tuple[str, ...]]:
        """Fingerprints of the sides: equal for two pairs of which each one's student is the other's partner."""
        return frozenset(each.fingerprints for each in self._sides)

    @property
    def _sides(self) -> list[Verified]:
        return [self.student] if self.partner is None else [self.student, self.partner]


def runs_table(results: StudyResults) -> pd.DataFrame:
    """One row for each run of the verification; what a run that failed does not know is empty."""
    own = {metric_on_test(each).name: declared_name(each) for each in results.record.own_metrics}
    rows = [
        {
            "trial": run.trial,
            "role": run.role.value,
            "seed_index": run.seed_index,
            "training_seed": run.student.training.seed,
            "student_model": run.student.model.key,
            "student_method": run.student.loss.key,
            "validation_accuracy": run.validation_accuracy,
            "test_accuracy": None if run.on_test is None else run.on_test.accuracy,
            "test_nll_nats": None if run.on_test is None else run.on_test.nll,
            "test_agreement": None if run.on_test is None else run.on_test.agreement,
            **{name: None if run.on_test is None else run.on_test.value(of) for name, of in own.items()},
            "train_seconds": run.train_seconds,
            "failure": run.failure,
            "files": run.fingerprint,
        }
        for run in (() if results.verification is None else results.verification.runs)
    ]
    return pd.DataFrame(rows)


def teacher_on_test(results: StudyResults) -> SplitMetrics | None:
    """The teacher on the test images; None before the verification."""
    return None if results.verification is None else results.verification.teacher


def verified_pairs(results: StudyResults) -> tuple[VerifiedPair, ...]:
    """Each verified student beside its partner, from the cheapest on; empty before the verification."""
    if results.verification is None:
        return ()
    trials = {trial.number: trial for trial in results.trials}
    sides: dict[tuple[int, Role], list[VerifiedRun]] = {}
    for run in results.verification.runs:
        sides.setdefault((run.trial, run.role), []).append(run)
    verified = {key: Verified(trials[key[0]], key[1], tuple(runs)) for key, runs in sides.items()}
    return tuple(
        VerifiedPair(verified[number, Role.STUDENT], verified.get((number, Role.PARTNER)))
        for number in results.verification.trials
    )


def distinct_pairs(pairs: Sequence[VerifiedPair]) -> tuple[VerifiedPair, ...]:
    """The pairs with both sides, each once: two students of the front may be each other's partner."""
    kept: dict[frozenset[tuple[str, ...]], VerifiedPair] = {}
    for pair in pairs:
        if pair.partner is not None:
            kept.setdefault(pair.configurations, pair)
    return tuple(kept.values())


def corrected_p_values(pairs: Sequence[VerifiedPair]) -> dict[frozenset[tuple[str, ...]], float | None]:
    """Of each pair's gain, by its configurations: the paired t test, corrected by Holm for all distinct pairs.

    None where there is no gain, or one seed.
    """
    distinct = distinct_pairs(pairs)
    corrected = holm([None if pair.gain is None else pair.gain.p_value for pair in distinct])
    return {pair.configurations: p_value for pair, p_value in zip(distinct, corrected, strict=True)}


def overall_gain(pairs: Sequence[VerifiedPair]) -> Estimate | None:
    """Mean gain of distillation over all distinct pairs; None where no seed has both sides of every pair.

    The pairs share their seeds, so that within a seed they are averaged first: the interval is over the seeds.
    """
    gains = [pair.gains for pair in distinct_pairs(pairs)]
    gains, seeds = with_shared_seeds(gains)
    if not gains:
        return None
    means = [float(np.mean([each[seed] for each in gains])) for seed in seeds]
    step = max(image_step(pair.student.runs) for pair in pairs)
    return mean_interval(means, least_deviation=step / len(gains) ** 0.5)


def with_shared_seeds(values: Sequence[dict[int, float]]) -> tuple[list[dict[int, float]], list[int]]:
    """The values by seed of those that share at least two seeds (one, where none has more), and these seeds.

    Those whose runs failed most are left out first: one configuration that diverges must not silence all others.
    """
    kept = sorted((each for each in values if each), key=len, reverse=True)
    needed = min(2, len(kept[0])) if kept else 0
    while kept:
        seeds = sorted(set.intersection(*(set(each) for each in kept)))
        if len(seeds) >= needed:
            return [each for each in values if any(each is other for other in kept)], seeds
        kept.pop()
    return [], []


def nondominated_probabilities(results: StudyResults) -> dict[tuple[int, Role], float]:
    """How likely each verified configuration is to be beaten by no other one, by trial and role.

    By a parametric bootstrap of 10,000 draws. The means of a test metric are drawn together from a multivariate t
    distribution around those observed, with the covariance of the configurations over their shared seeds, so that a
    difference that every seed shows is not taken for chance. A median latency is drawn from a normal distribution as
    wide as its interval, once for each network: two students of one network have the same. Configurations that occur
    twice count once; what is neither is taken as it is. A configuration that shares fewer than two seeds with the
    others is left out. Empty where an objective is unknown, or all seeds but one failed.
    """
    chosen = {
        side.fingerprints: side for pair in verified_pairs(results) for side in (pair.student, pair.partner) if side
    }
    by_seed = {key: side.by_seed("accuracy") for key, side in chosen.items()}
    kept, seeds = with_shared_seeds(list(by_seed.values()))
    chosen = {key: side for key, side in chosen.items() if any(by_seed[key] is each for each in kept)}
    if len(seeds) < 2:
        return {}
    sides, stream = list(chosen.values()), np.random.default_rng(0)
    columns = [_draws(results, sides, each, stream) for each in results.objectives]
    known = [each for each in columns if each is not None]
    if len(known) < len(columns):
        return {}
    values = np.stack(known, axis=2)  # draws, configurations, objectives
    ahead = np.mean([nondominated(each, results.objectives) for each in values], axis=0)
    by_fingerprints = dict(zip(chosen, map(float, ahead), strict=True))
    return {
        (side.trial.number, side.role): by_fingerprints[side.fingerprints]
        for pair in verified_pairs(results)
        for side in (pair.student, pair.partner)
        if side and side.fingerprints in by_fingerprints
    }


def joint_draws(
    values: NDArray[np.float64], stream: np.random.Generator, *, least_deviation: float
) -> NDArray[np.float64]:
    """Means of several configurations as other seeds might have given them: a multivariate t with n - 1 degrees.

    Each draw adds a random combination of the seeds' own deviations, whose covariance is that of the means.

    Args:
        values: shape (seeds, configurations), at least two seeds, each seed shared by all configurations.
        stream: of random numbers.
        least_deviation: of each configuration, independent of the others: one step of what is counted.

    Returns:
        Shape (NUM_DRAWS, configurations).
    """
    num_seeds, num_configurations = values.shape
    means = values.mean(axis=0)
    combined = stream.standard_normal((NUM_DRAWS, num_seeds)) @ (values - means) / (num_seeds - 1) ** 0.5
    combined += least_deviation * stream.standard_normal((NUM_DRAWS, num_configurations))
    tails = np.sqrt(stream.chisquare(num_seeds - 1, (NUM_DRAWS, 1)) / (num_seeds - 1))
    drawn: NDArray[np.float64] = means + combined / num_seeds**0.5 / tails
    return drawn


def _draws(
    results: StudyResults, sides: Sequence[Verified], objective: Metric, stream: np.random.Generator
) -> NDArray[np.float64] | None:
    """Shape (draws, configurations); None where the objective, or how sure it is, is unknown."""
    own = {each.name: declared_name(each) for each in results.record.own_metrics}
    name = (_TEST_VALUES | own).get(objective.name)
    if name is not None:
        by_seed = [side.by_seed(name) for side in sides]
        seeds = sorted(set.intersection(*(set(each) for each in by_seed))) if by_seed else []
        if len(seeds) < 2:
            return None
        values = np.array([[each[seed] for each in by_seed] for seed in seeds])
        return joint_draws(values, stream, least_deviation=_least_deviation(sides[0].runs, name))
    columns, latency_draws = [], dict[str, NDArray[np.float64]]()
    for side in sides:
        key = side.student.model.key
        if key not in latency_draws:
            latency_draws[key] = stream.standard_normal(NUM_DRAWS)
        value = side.trial.metrics.get(objective.name)
        if value is None:
            return None
        columns.append(value + _latency_deviation(results, side, objective) * latency_draws[key])
    return np.stack(columns, axis=1)


def _latency_deviation(results: StudyResults, side: Verified, objective: Metric) -> float:
    """Standard deviation of a median latency, from its interval; 0 for what is not one."""
    batch_size = latency_batch_size(objective.name)
    if batch_size is None or objective.name != latency_name(50, batch_size):
        return 0.0
    measured = latency_of(results, side.trial, batch_size)
    low, high = (0.0, 0.0) if measured is None else median_interval(measured)
    return (high - low) / (2 * _NORMAL_ARM)


def _least_deviation(runs: Sequence[VerifiedRun], name: str) -> float:
    """Of a test metric; what a study's own metric counts is not known."""
    return image_step(runs) if name in _TEST_VALUES.values() else 0.0


def image_step(runs: Sequence[VerifiedRun]) -> float:
    """One test image, as a share of them: accuracies come in such steps."""
    return max((1.0 / run.on_test.num_images for run in runs if run.on_test is not None), default=0.0)
