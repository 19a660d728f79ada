"""What a study's numbers say: how sure an accuracy is, labels against teacher by size, which student to take."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import hypot, sqrt

from analysis.pareto import candidates
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD, WITHOUT_TEACHER, method, model_key, sizes
from trainables.config import StudentConfig
from trainables.measurements import ArchitectureProfile, LatencyMeasurement
from trainables.metrics import METRICS, Metric, latency_batch_size
from trainables.records import TrialRecord, TrialState

ACCURACY = METRICS["validation_accuracy"]
PARAMETERS = METRICS["num_parameters"]
# Counting noise is two standard errors of a difference: about 95 %.
_NOISE_STANDARD_ERRORS = 2.0
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999)


# Best of n against best of m is compared where neither side had more tries worth mentioning: n and m differ by at most
# one, and neither is a single try.
MIN_TRIES = 2
MAX_TRIES_APART = 1
BASELINE_ORIGIN = "baseline"


class Verdict(StrEnum):
    """What a difference between a distilled and a labels-only student is worth."""

    AHEAD = "ahead by more than counting noise, one seed"
    BEHIND = "behind by more than counting noise, one seed"
    WITHIN = "within noise"
    NOT_COMPARABLE = "not comparable"
    UNKNOWN = "unknown"
    ONE_METHOD = "one method only"


@dataclass(frozen=True, slots=True)
class Pair:
    """A labels-only and a distilled student alike in all but the method: network, training and seed."""

    labels: TrialRecord
    distilled: TrialRecord

    @property
    def gain(self) -> float:
        """Accuracy of the distilled student less that of the labels-only one."""
        return accuracy(self.distilled) - accuracy(self.labels)

    def verdict(self, num_images: int | None) -> Verdict:
        """What the gain is worth against the counting noise of `num_images` images."""
        return _verdict(self.distilled, self.labels, num_images)


@dataclass(frozen=True, slots=True)
class SizeComparison:
    """The best student of each method at one architecture, and how many each method had to choose from."""

    model_key: str
    best: dict[str, TrialRecord]
    num_trials: dict[str, int]

    @property
    def distilled(self) -> TrialRecord | None:
        """The best of all methods but labels-only."""
        taught = [trial for name, trial in self.best.items() if name not in WITHOUT_TEACHER]
        return max(taught, key=accuracy, default=None)

    @property
    def gain(self) -> float | None:
        """Accuracy of the best distilled student less that of the best labels-only one; None without both."""
        distilled, labels = self.distilled, self.best.get(LABELS_METHOD)
        return None if distilled is None or labels is None else accuracy(distilled) - accuracy(labels)

    @property
    def num_labels(self) -> int:
        """How many labels-only students the best was picked from."""
        return self.num_trials.get(LABELS_METHOD, 0)

    @property
    def num_distilled(self) -> int:
        """How many distilled students the best was picked from."""
        return sum(self.num_trials.values()) - self.num_labels

    @property
    def is_comparable(self) -> bool:
        """Whether both sides had about as many tries: at least two each, and at most one apart."""
        tries = (self.num_labels, self.num_distilled)
        return min(tries) >= MIN_TRIES and max(tries) - min(tries) <= MAX_TRIES_APART

    def noise(self, num_images: int) -> float | None:
        """The counting noise of `gain`; None without both methods."""
        distilled, labels = self.distilled, self.best.get(LABELS_METHOD)
        return None if distilled is None or labels is None else counting_noise(distilled, labels, num_images)

    def verdict(self, num_images: int | None) -> Verdict:
        """What the gain is worth: nothing where one side had more tries."""
        distilled, labels = self.distilled, self.best.get(LABELS_METHOD)
        if distilled is None or labels is None:
            return Verdict.ONE_METHOD
        return _verdict(distilled, labels, num_images) if self.is_comparable else Verdict.NOT_COMPARABLE


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two networks next to each other on the front by a latency, and from which difference on to believe it."""

    faster: TrialRecord
    slower: TrialRecord
    difference_fraction: float
    resolution_fraction: float

    @property
    def are_told_apart(self) -> bool:
        """Whether the measurements tell which of the two is faster."""
        return self.difference_fraction > self.resolution_fraction


@dataclass(frozen=True, slots=True)
class Level:
    """The cheapest student that reaches an accuracy."""

    accuracy: float
    trial: TrialRecord


def accuracy(trial: TrialRecord) -> float:
    """Validation accuracy of a finished trial, in [0, 1]; below every accuracy where it reports none."""
    value = trial.metrics.get(ACCURACY.name)
    return -1.0 if value is None else value


def binomial_standard_error(accuracy_fraction: float, num_images: int) -> float:
    """Standard error of an accuracy that is a mean over `num_images` independent images: sqrt(p (1 - p) / n).

    At least one image, 1 / n, so that no error among a few images does not pass for certainty.
    """
    return max(sqrt(accuracy_fraction * (1.0 - accuracy_fraction) / num_images), 1.0 / num_images)


def counting_noise(one: TrialRecord, other: TrialRecord, num_images: int) -> float:
    """Two standard errors of the difference of two accuracies over `num_images` images.

    Both accuracies are of the same images, whose errors go together, so that this errs on the careful side. It counts
    images alone: how much another training seed would change is not in it.
    """
    errors = [binomial_standard_error(accuracy(trial), num_images) for trial in (one, other)]
    return _NOISE_STANDARD_ERRORS * hypot(*errors)


def _verdict(distilled: TrialRecord, labels: TrialRecord, num_images: int | None) -> Verdict:
    if num_images is None:
        return Verdict.UNKNOWN
    gain = accuracy(distilled) - accuracy(labels)
    if abs(gain) <= counting_noise(distilled, labels, num_images):
        return Verdict.WITHIN
    return Verdict.AHEAD if gain > 0.0 else Verdict.BEHIND


def num_by_state(results: StudyResults) -> dict[TrialState, int]:
    """How many trials are in each state; duplicates and refused ones, which were not trained, are left out."""
    counts = Counter(trial.state for trial in results.trials if trial.counts)
    return {state: counts[state] for state in TrialState}


def finished(results: StudyResults) -> tuple[TrialRecord, ...]:
    """The trials that ran their full budget and know their accuracy."""
    return candidates(results.trials, (ACCURACY,))


def compare_by_size(results: StudyResults) -> tuple[SizeComparison, ...]:
    """Best student by method at each architecture that has a finished trial, from small to large."""
    compared = []
    for key in sizes(results).labels:
        best: dict[str, TrialRecord] = {}
        num_trials: Counter[str] = Counter()
        for trial in finished(results):
            if model_key(trial) == key:
                num_trials[method(trial)] += 1
                best[method(trial)] = max(best.get(method(trial), trial), trial, key=accuracy)
        if best:
            compared.append(SizeComparison(key, best, dict(num_trials)))
    return tuple(compared)


def method_pairs(results: StudyResults) -> tuple[Pair, ...]:
    """The baselines that differ in method alone, by size: a labels-only one and each distilled partner."""
    baselines = [trial for trial in finished(results) if trial.origin == BASELINE_ORIGIN and trial.student is not None]
    distilled = [trial for trial in baselines if method(trial) not in WITHOUT_TEACHER]
    pairs = [
        Pair(labels, partner)
        for labels in baselines
        if method(labels) == LABELS_METHOD
        for partner in distilled
        if _shared(partner) == _shared(labels)
    ]
    named = sizes(results)
    return tuple(sorted(pairs, key=lambda pair: (named.position(model_key(pair.labels) or ""), pair.distilled.number)))


def _shared(trial: TrialRecord) -> StudentConfig | None:
    """All of the student but its method."""
    return None if trial.student is None else trial.student.model_copy(update={"loss": None})


def smallest_within(results: StudyResults, margin: float) -> TrialRecord | None:
    """The student with the fewest parameters among those at most `margin` (a fraction) below the teacher.

    Among equally small ones the most accurate; None when there is none, or no teacher yet.
    """
    if results.teacher is None:
        return None
    needed = results.teacher.validation_accuracy - margin
    # 1e-9: 0.990 - 0.005 is 0.985 to a reader, and a student of 0.985 is not to fail on the last bit.
    near = [trial for trial in candidates(results.trials, (ACCURACY, PARAMETERS)) if accuracy(trial) >= needed - 1e-9]
    return min(near, key=lambda trial: (trial.metrics[PARAMETERS.name], -accuracy(trial)), default=None)


def cheapest_by_level(results: StudyResults, cost: Metric) -> tuple[Level, ...]:
    """For each round accuracy that some student reaches, the student with the lowest `cost` that reaches it.

    Levels with the same answer are told once, as the highest of them; among equally cheap students the most accurate.
    """
    known = candidates(results.trials, (ACCURACY, cost))
    levels: dict[int, Level] = {}
    for needed in _LEVELS:
        reaching = [trial for trial in known if accuracy(trial) >= needed]
        if reaching:
            cheapest = min(reaching, key=lambda trial: (trial.metrics[cost.name], -accuracy(trial)))
            levels[cheapest.number] = Level(needed, cheapest)
    return tuple(levels.values())


def latency_of(results: StudyResults, trial: TrialRecord, batch_size: int) -> LatencyMeasurement | None:
    """The latency measurement behind a trial's architecture at an inference batch size; None where there is none."""
    key = model_key(trial)
    profile = None if results.profiles is None or key is None else results.profiles.students.get(key)
    return None if profile is None else latency_at(profile, batch_size)


def latency_at(profile: ArchitectureProfile, batch_size: int) -> LatencyMeasurement | None:
    """The profile's latency measurement at an inference batch size; None where there is none."""
    return next((each for each in profile.latencies if each.batch_size == batch_size), None)


def median_interval(measured: LatencyMeasurement) -> tuple[float, float]:
    """Where the median latency lies, in ms: its 95 % interval, moved out by the relative IQR where it did not settle.

    The interval supposes independent runs of one distribution, which is what runs that did not settle are not.
    """
    widening = 0.0 if measured.is_stable else measured.relative_iqr_fraction * measured.p50_ms
    low, high = min(measured.p50_low_ms, measured.p50_ms), max(measured.p50_high_ms, measured.p50_ms)
    return max(0.0, low - widening), high + widening


def latency_resolution(one: LatencyMeasurement, other: LatencyMeasurement) -> float:
    """From which relative difference on two latencies are told apart.

    The wider arms of both `median_interval`, added; and where either did not settle, the difference of their drifts: a
    change of speed that both saw alike leaves their order as it is.
    """
    arms = 0.0
    for each in (one, other):
        low, high = median_interval(each)
        arms += max(high - each.p50_ms, each.p50_ms - low) / each.p50_ms
    if one.is_stable and other.is_stable:
        return arms
    return arms + abs(one.reference_drift_fraction - other.reference_drift_fraction)


def front_neighbours(results: StudyResults, latency: Metric) -> tuple[Neighbours, ...]:
    """The networks on the front next to each other by `latency`, each network once.

    Tails (p90, p99) are judged by the uncertainty of the median, which is less than theirs.
    """
    batch_size = latency_batch_size(latency.name) or 0
    by_network: dict[str | None, TrialRecord] = {}
    for trial in sorted(results.front, key=lambda each: each.metrics[latency.name] or 0.0):
        by_network.setdefault(model_key(trial), trial)
    neighbours = []
    for faster, slower in pairwise(by_network.values()):
        measured = [latency_of(results, trial, batch_size) for trial in (faster, slower)]
        low, high = (trial.metrics[latency.name] for trial in (faster, slower))
        if low and high and measured[0] is not None and measured[1] is not None:
            resolution = latency_resolution(measured[0], measured[1])
            neighbours.append(Neighbours(faster, slower, high / low - 1.0, resolution))
    return tuple(neighbours)
