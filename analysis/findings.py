"""What a study's numbers say: how sure an accuracy is, labels against teacher by size, which student to take."""

from collections import Counter
from dataclasses import dataclass
from math import hypot, sqrt

from analysis.pareto import candidates
from analysis.results import StudyResults
from analysis.students import LABELS_METHOD, method, model_key, sizes
from trainables.measurements import LatencyMeasurement
from trainables.metrics import METRICS, Metric
from trainables.records import TrialRecord, TrialState

ACCURACY = METRICS["validation_accuracy"]
PARAMETERS = METRICS["num_parameters"]
# A difference of two accuracies is called clear from two standard errors on: about 95 %.
_CLEAR_STANDARD_ERRORS = 2.0
_LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999)


@dataclass(frozen=True, slots=True)
class SizeComparison:
    """The best student of each method at one architecture, and how many each method had to choose from."""

    model_key: str
    best: dict[str, TrialRecord]
    num_trials: dict[str, int]

    @property
    def distilled(self) -> TrialRecord | None:
        """The best of all methods but labels-only."""
        taught = [trial for name, trial in self.best.items() if name != LABELS_METHOD]
        return max(taught, key=accuracy, default=None)

    @property
    def gain(self) -> float | None:
        """Accuracy of the best distilled student less that of the best labels-only one; None without both."""
        distilled, labels = self.distilled, self.best.get(LABELS_METHOD)
        return None if distilled is None or labels is None else accuracy(distilled) - accuracy(labels)

    def noise(self, num_images: int) -> float | None:
        """From which `gain` on the difference is clear: two standard errors of the difference of two proportions.

        Both accuracies are of the same images, whose errors go together, so that this errs on the careful side.
        """
        distilled, labels = self.distilled, self.best.get(LABELS_METHOD)
        if distilled is None or labels is None:
            return None
        errors = [binomial_standard_error(accuracy(trial), num_images) for trial in (distilled, labels)]
        return _CLEAR_STANDARD_ERRORS * hypot(*errors)


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


def num_by_state(results: StudyResults) -> dict[TrialState, int]:
    """How many trials are in each state; duplicates, which were not trained, are left out."""
    counts = Counter(trial.state for trial in results.trials if trial.duplicate_of is None)
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
    latencies = () if profile is None else profile.latencies
    return next((each for each in latencies if each.batch_size == batch_size), None)
