"""What is verified: which students of the front, each beside which partner, with which fresh seeds. No Ray."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np

from analysis.findings import accuracy
from analysis.pareto import candidates, front
from analysis.students import LABELS_METHOD, WITHOUT_TEACHER, method
from study.config import VerifyConfig
from trainables.config import Frozen, LossConfig, StudentConfig
from trainables.later_fields import without_later_fields
from trainables.metrics import METRICS, Metric
from trainables.randomness import derive_seed
from trainables.records import TrialRecord
from trainables.verified import PlannedRun, Role


def plan(
    trials: Sequence[TrialRecord],
    objectives: Sequence[Metric],
    config: VerifyConfig,
    *,
    seed: int,
    teacher_fingerprint: str,
) -> list[PlannedRun]:
    """Every run of the verification: for each chosen student and its partner, one for each fresh seed; see `Role`.

    The seeds are shared within a pair, and by all pairs. Runs of one configuration and seed have one fingerprint,
    whichever students they belong to.

    Args:
        trials: of the study.
        objectives: of the study; they make the front.
        config: how many students and seeds.
        seed: of the study; none of the fresh seeds is it.
        teacher_fingerprint: of the stored teacher, which stands for data and versions too.
    """
    chosen: list[tuple[int, Role, StudentConfig | None]] = []
    for trial in spread(front(trials, objectives), config.max_students):
        if trial.student is not None:
            partner = partner_of(trial.student, trials)
            chosen += [(trial.number, Role.STUDENT, trial.student), (trial.number, Role.PARTNER, partner)]
    chosen += [(trial.number, Role.BEST, trial.student) for trial in best_of(trials, config.best_of)]
    return [
        _planned(number, role, index, student, seed, teacher_fingerprint)
        for number, role, student in chosen
        if student is not None
        for index in range(1, config.seeds + 1)
    ]


def best_of(trials: Sequence[TrialRecord], names: Sequence[str]) -> list[TrialRecord]:
    """For each combination of the parameters' values the finished student with the best validation accuracy.

    A parameter that a trial does not have is a value of its own. Without names there is none; in the order of trials.
    """
    best: dict[tuple[bool | int | float | str | None, ...], TrialRecord] = {}
    for trial in candidates(trials, (METRICS["validation_accuracy"],)) if names else ():
        if trial.student is not None:
            key = tuple(trial.parameter(name) for name in names)
            best[key] = max(best.get(key, trial), trial, key=accuracy)
    return sorted(best.values(), key=lambda trial: trial.number)


def spread(students: Sequence[TrialRecord], max_students: int) -> list[TrialRecord]:
    """At most so many of the students on a front, evenly by their place on it, both ends among them.

    A single one is the most accurate.
    """
    if max_students == 1 and students:
        return [max(students, key=accuracy)]
    places = np.linspace(0, len(students) - 1, num=min(max_students, len(students)))
    return [students[place] for place in places.round().astype(int)]


def partner_of(student: StudentConfig, trials: Sequence[TrialRecord]) -> StudentConfig | None:
    """The same network trained in the same way by another method, so that the method is all that differs.

    Labels for a distilled student; for a labels-only one the best distillation that finished on the same network and
    was shown the same images and labels. Smoothed labels and hand-made teachers are no distillation.

    Returns:
        The partner; None for a student without labels, which nothing else could teach, and for a labels-only one with
        nothing to compare it with.
    """
    if student.loss.name != LABELS_METHOD:
        if student.transfer.label_share == 0.0:
            return None
        return _taught_by(student, LossConfig(name=LABELS_METHOD), mixup=0.0)
    distilled = [
        trial
        for trial in candidates(trials, (METRICS["validation_accuracy"],))
        if trial.student is not None
        and (trial.student.model, trial.student.transfer) == (student.model, student.transfer)
        and method(trial) not in WITHOUT_TEACHER
    ]
    best = max(distilled, key=accuracy, default=None)
    if best is None or best.student is None:
        return None
    return _taught_by(student, best.student.loss, mixup=best.student.training.augmentation.mixup)


def _taught_by(student: StudentConfig, loss: LossConfig, *, mixup: float) -> StudentConfig:
    """The student under another method; whether images are mixed is the method's own."""
    augmentation = student.training.augmentation.model_copy(update={"mixup": mixup})
    training = student.training.model_copy(update={"augmentation": augmentation})
    return student.model_copy(update={"loss": loss, "training": training})


def fresh_seed(seed: int, index: int) -> int:
    """The training seed of the index-th (from 1) retraining: never the one that the search's trials share."""
    fresh = derive_seed(seed, "verify", index) % 2**32
    return fresh if fresh != seed else (fresh + 1) % 2**32


def _planned(
    trial: int, role: Role, index: int, student: StudentConfig, seed: int, teacher_fingerprint: str
) -> PlannedRun:
    fresh = fresh_seed(seed, index)
    changed: dict[str, Frozen] = {"training": student.training.model_copy(update={"seed": fresh})}
    if not student.transfer.is_everything:  # the images are drawn anew too: which ones they are is luck as well
        changed["transfer"] = student.transfer.model_copy(update={"seed": fresh})
    seeded = student.model_copy(update=changed)
    inputs = json.dumps([teacher_fingerprint, without_later_fields(seeded.model_dump(mode="json"))], sort_keys=True)
    fingerprint = hashlib.sha256(inputs.encode()).hexdigest()[:16]
    return PlannedRun(trial=trial, role=role, seed_index=index, student=seeded, fingerprint=fingerprint)
