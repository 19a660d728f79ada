"""What a transfer analysis says over a study: its measures as a table, students beside their controls, correlations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics import CONFIDENCE, BootstrapInterval, Estimate, bootstrap_interval, mean_interval
from analysis.students import WITHOUT_TEACHER
from analysis.transfer_records import Share, StudentTransfer, TransferRecord
from trainables.config import StudentConfig
from trainables.verified import Role

_LEAST_STUDENTS = 3
# So many stand in perfect order, up or down, by chance with a probability of 2 / 5!, which is below 0.05.
_LEAST_IN_ORDER = 5


@dataclass(frozen=True, slots=True)
class Measure:
    """One number about a student; `closer`: +1 where more of it is nearer to the teacher, -1 where less is, else 0."""

    name: str
    label: str
    unit: str
    closer: int
    of: Callable[[StudentTransfer], float | None]


# Every measure of the table, the figures and the correlations; what several images or layers say is a mean over them.
MEASURES = {
    each.name: each
    for each in (
        Measure("agreement", "agreement with the teacher", "fraction", 1, lambda s: s.agreement.fraction),
        Measure(
            "agreement_on_mistakes",
            "agreement on the teacher's mistakes",
            "fraction",
            1,
            lambda s: s.agreement_on_mistakes.fraction,
        ),
        Measure("kl_t1_nats", "KL from the teacher at T 1", "nats", -1, lambda s: s.kl_t1_nats),
        Measure("kl_t4_nats", "KL from the teacher at T 4", "nats", -1, lambda s: s.kl_t4_nats),
        Measure("rank_correlation", "rank correlation of non-target logits", "", 1, lambda s: s.rank_correlation),
        Measure("cka", "CKA of layers of one name", "", 1, lambda s: s.cka.matched),
        Measure("attention", "attention of layers of one name", "", 1, lambda s: s.attention.matched),
        Measure("boundary_cosine", "direction to the boundary (cosine)", "", 1, lambda s: s.boundary.cosine),
        Measure(
            "boundary_distance", "distance to the boundary", "normalised pixels", 0, lambda s: s.boundary.mean_distance
        ),
        Measure("nll_nats", "negative log-likelihood", "nats", 0, lambda s: s.nll_nats),
        Measure("ece", "calibration error (ECE)", "fraction", 0, lambda s: s.ece),
    )
}


@final
@dataclass(frozen=True, slots=True)
class Configuration:
    """One analysed configuration: its runs over the seeds, and for each run its control, or None."""

    runs: tuple[StudentTransfer, ...]
    controls: tuple[StudentTransfer | None, ...]

    @property
    def key(self) -> tuple[int, Role | None]:
        """What it is told apart by within a record."""
        return self.trial, self.role

    @property
    def trial(self) -> int:
        """Number of the trial behind it."""
        return self.runs[0].trial

    @property
    def role(self) -> Role | None:
        """Its role in the verification."""
        return self.runs[0].role

    @property
    def method(self) -> str:
        """What taught it."""
        return self.runs[0].student.loss.name

    @property
    def model_key(self) -> str:
        """Its network."""
        return self.runs[0].student.model.key

    @property
    def has_control(self) -> bool:
        """Whether some run can be compared."""
        return any(self.controls)

    @property
    def has_tuned_control(self) -> bool:
        """Whether some control differs in more than what taught it, such as its learning rate: tuned for itself."""
        pairs = zip(self.runs, self.controls, strict=True)
        return any(its is not None and not is_alike(mine.student, its.student) for mine, its in pairs)

    def mean(self, name: str) -> float | None:
        """Mean of a measure over the runs that have it; None where none has."""
        return _mean([MEASURES[name].of(run) for run in self.runs])

    def control_mean(self, name: str) -> float | None:
        """The same of the controls."""
        return _mean([MEASURES[name].of(each) for each in self.controls if each is not None])

    def share(self, *, of_controls: bool, on_mistakes: bool) -> Share:
        """Agreement as an image count, the mean over the runs, rounded."""
        sides = [each for each in (self.controls if of_controls else self.runs) if each is not None]
        shares = [each.agreement_on_mistakes if on_mistakes else each.agreement for each in sides]
        return Share(num=round(sum(each.num for each in shares) / len(shares)), total=shares[0].total)

    def excess(self, name: str, *, least_deviation: float = 0.0) -> Estimate | None:
        """A measure less that of the control, seed by seed, and the mean of that; None where no run has both."""
        pairs = [
            (MEASURES[name].of(run), MEASURES[name].of(control))
            for run, control in zip(self.runs, self.controls, strict=True)
            if control is not None
        ]
        differences = [mine - its for mine, its in pairs if mine is not None and its is not None]
        return mean_interval(differences, least_deviation=least_deviation) if differences else None


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation of a measure with accuracy, over the students of one network.

    `interval` is the 95 % bootstrap interval over them; without ends where they are too few or too alike for one.
    """

    measure: str
    model_key: str
    interval: BootstrapInterval | None
    num_students: int

    @property
    def coefficient(self) -> float | None:
        """In [-1, 1]; None where there is none."""
        return None if self.interval is None else self.interval.value

    @property
    def is_told_from_0(self) -> bool:
        """Whether the interval leaves out 0; or, as resamples of a perfect order are all perfect, they are enough."""
        if self.interval is None:
            return False
        if self.interval.low is None or self.interval.high is None:
            return abs(self.interval.value) > 1.0 - 1e-9 and self.num_students >= _LEAST_IN_ORDER
        return self.interval.low > 0.0 or self.interval.high < 0.0


def configurations(record: TransferRecord) -> tuple[Configuration, ...]:
    """The students of the record, seeds of one configuration together, in the record's order."""
    by_weights = {student.weights: student for student in record.students}
    runs: dict[tuple[int, Role | None], list[StudentTransfer]] = {}
    for student in record.students:
        runs.setdefault((student.trial, student.role), []).append(student)
    return tuple(
        Configuration(tuple(each), tuple(by_weights.get(run.control or "") for run in each)) for each in runs.values()
    )


def is_alike(student: StudentConfig, control: StudentConfig) -> bool:
    """Whether what taught them is all that differs."""
    return control.model_copy(update={"loss": student.loss}) == student


def wilson_interval(share: Share) -> tuple[float, float] | None:
    """The 95 % interval of a share of images (Wilson 1927, score interval), as fractions; None of no images."""
    if not share.total:
        return None
    interval = stats.binomtest(share.num, share.total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def correlations(record: TransferRecord) -> tuple[Correlation, ...]:
    """Which measures go with accuracy among the students of one network, every method and seed alike.

    Accuracy and measures are of the same images. The coefficient is None for fewer than three students, or where
    all have the same measure or the same accuracy. Its interval takes the students for independent, seeds of one
    configuration too, and is narrow where they are few (`bootstrap_interval` says by how much).
    """
    by_model: dict[str, list[StudentTransfer]] = {}
    for student in record.students:
        by_model.setdefault(student.student.model.key, []).append(student)
    return tuple(
        _correlation(measure, key, students) for measure in MEASURES.values() for key, students in by_model.items()
    )


def transfer_table(record: TransferRecord) -> pd.DataFrame:
    """One row for each analysed student: what it is, every measure, its control's weights, and accuracy by class."""
    rows = []
    for student in record.students:
        row: dict[str, object] = {
            "weights": student.weights,
            "trial": student.trial,
            "role": student.role,
            "seed_index": student.seed_index,
            "training_seed": student.student.training.seed,
            "student_model": student.student.model.key,
            "student_method": student.student.loss.key,
            "control": student.control,
            "num_images": record.num_images,
            "num_teacher_mistakes": record.teacher.num_mistakes,
            "accuracy": student.accuracy,
        }
        row |= {measure.name: measure.of(student) for measure in MEASURES.values()}
        row["num_agreeing_on_mistakes"] = student.agreement_on_mistakes.num
        row["num_boundaries_reached"] = student.boundary.num_reached
        for each in student.classes:
            row[f"accuracy_class{each.label}"] = each.accuracy
            row[f"agreement_class{each.label}"] = each.agreement
            row[f"boundary_distance_class{each.label}"] = each.boundary_distance
        rows.append(row)
    return pd.DataFrame(rows)


def compared(record: TransferRecord) -> list[Configuration]:
    """The configurations that a teacher taught and that have a control."""
    return [each for each in configurations(record) if each.has_control and each.method not in WITHOUT_TEACHER]


def _correlation(measure: Measure, key: str, students: Sequence[StudentTransfer]) -> Correlation:
    pairs = [(value, student.accuracy) for student in students if (value := measure.of(student)) is not None]
    values, accuracies = [value for value, _ in pairs], [accuracy for _, accuracy in pairs]
    if len(pairs) < _LEAST_STUDENTS or len(set(values)) == 1 or len(set(accuracies)) == 1:
        return Correlation(measure.name, key, None, len(pairs))
    interval = bootstrap_interval(_spearman, values, accuracies, stream=np.random.default_rng(0))
    return Correlation(measure.name, key, interval, len(pairs))


def _spearman(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Pearson's correlation of the ranks, vectorised over the other axes; NaN where one side is all alike."""
    ranks = [stats.rankdata(each, axis=axis) for each in (x, y)]
    a, b = (each - each.mean(axis=axis, keepdims=True) for each in ranks)
    return np.asarray((a * b).sum(axis=axis) / np.sqrt((a * a).sum(axis=axis) * (b * b).sum(axis=axis)))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
