"""What a verification leaves, with test accuracies as given, for tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.findings import accuracy
from analysis.results import read_study
from study.config import VerifyConfig
from study.verification_plan import plan
from trainables.config import StudentConfig
from trainables.study_paths import StudyPaths
from trainables.verified import Preprocessing, Role, SplitMetrics, VerificationRecord, VerifiedRun
from trainables.whole_files import write_record

NUM_TEST_IMAGES = 10_000

Sides = Mapping[tuple[int, Role], tuple[StudentConfig, Sequence[float | None]]]


def on_test(reached: float) -> SplitMetrics:
    return SplitMetrics(num_images=NUM_TEST_IMAGES, accuracy=reached, nll=3.0 * (1.0 - reached), agreement=reached)


def verified_run(
    trial: int, role: Role, seed_index: int, student: StudentConfig, reached: float | None, *, fingerprint: str = ""
) -> VerifiedRun:
    """A run that reached that accuracy on the test images; None: it diverged."""
    return VerifiedRun(
        trial=trial,
        role=role,
        seed_index=seed_index,
        student=student,
        fingerprint=fingerprint or f"{student.model.key}-{student.loss.key}-{seed_index}",
        preprocessing=Preprocessing(input_shape=(1, 28, 28), num_classes=10, mean_C=(0.1307,), std_C=(0.3081,)),
        num_parameters=100,
        validation_accuracy=None if reached is None else reached - 0.001,
        on_test=None if reached is None else on_test(reached),
        failure="TrainingDivergedError: the loss is nan" if reached is None else None,
        train_seconds=None if reached is None else 2.0,
        device="Example CPU",
        versions={"torch": "2.14.0"},
    )


def verification(sides: Sides, *, teacher: float = 0.993) -> VerificationRecord:
    """By trial and role, what was trained and its test accuracies seed by seed."""
    runs = [
        verified_run(number, role, index, student, reached)
        for (number, role), (student, accuracies) in sides.items()
        for index, reached in enumerate(accuracies, start=1)
    ]
    return VerificationRecord(
        trials=tuple(dict.fromkeys(number for number, _ in sides)),
        num_seeds=max(run.seed_index for run in runs),
        teacher=on_test(teacher),
        runs=tuple(runs),
    )


def verify_front(study_dir: Path, *, num_seeds: int = 3) -> Path:
    """Write the verification of a study's front, as the stage plans it, with accuracies near those of the search."""
    results, stream = read_study(study_dir), np.random.default_rng(5)
    config = VerifyConfig(seeds=num_seeds)
    planned = plan(results.trials, results.objectives, config, seed=0, teacher_fingerprint="f")
    found = {trial.number: accuracy(trial) for trial in results.trials}
    runs = [
        verified_run(
            each.trial,
            each.role,
            each.seed_index,
            each.student,
            float(np.clip(found[each.trial] + 0.001 * stream.normal() - 0.001 * (each.role is Role.PARTNER), 0.0, 1.0)),
            fingerprint=each.fingerprint,
        )
        for each in planned
    ]
    record = VerificationRecord(
        trials=tuple(dict.fromkeys(each.trial for each in planned)),
        num_seeds=num_seeds,
        teacher=on_test(0.993),
        runs=tuple(runs),
    )
    write_record(StudyPaths(study_dir).verification_json, record)
    return study_dir
