"""Studies whose best students of each kind were verified, with test accuracies as given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis.results import StudyResults, read_study
from tests.analysis.study_directory import OBJECTIVES, MadeTrial, frozen_trial, teacher_record, write_study
from tests.verifications import on_test, verified_run
from trainables.config import StudentConfig, TransferConfig
from trainables.records import STUDENT_ATTRIBUTE, TeacherRecord
from trainables.study_paths import StudyPaths
from trainables.verified import Role, SplitMetrics, VerificationRecord, VerifiedRun
from trainables.whole_files import write_record


@dataclass(frozen=True)
class Kind:
    """A kind of student: its trial, what else it is told apart by, and its test accuracies seed by seed."""

    made: MadeTrial
    reached: Sequence[float | None]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    on_classes: Sequence[Sequence[float]] = ()
    """By seed, the accuracy on each class."""


def write_kinds(
    root: Path, kinds: Sequence[Kind], best_of: Sequence[str], *, teacher: TeacherRecord | None = None, **record: Any
) -> StudyResults:
    """A study of these kinds, all verified; `record` goes to `write_study`."""
    write_study(root, [], teacher=False, **record)
    name = record.get("name", "demo")
    study = optuna.load_study(
        study_name=name, storage=JournalStorage(JournalFileBackend(str(StudyPaths(root).journal)))
    )
    runs = []
    for number, kind in enumerate(kinds):
        trial = frozen_trial(kind.made, OBJECTIVES)
        for each, value in kind.parameters.items():
            trial.distributions[each] = CategoricalDistribution((value,))
            trial.params[each] = value
        student = _shown(kind.made.student, kind.parameters)
        trial.set_user_attr(STUDENT_ATTRIBUTE, student.model_dump(mode="json"))
        study.add_trial(trial)
        runs += [_run(number, index, student, kind) for index in range(1, len(kind.reached) + 1)]
    paths = StudyPaths(root)
    write_record(paths.teacher.record, teacher or teacher_record())
    verification = VerificationRecord(
        trials=(), num_seeds=max(run.seed_index for run in runs), best_of=tuple(best_of), teacher=on_test(0.993),
        runs=tuple(runs),
    )  # fmt: skip
    write_record(paths.verification_json, verification)
    return read_study(root)


def _shown(student: StudentConfig, parameters: Mapping[str, Any]) -> StudentConfig:
    share = float(parameters.get("transfer_share", 1.0))
    return student.model_copy(update={"transfer": TransferConfig(share=share)})


def _run(number: int, index: int, student: StudentConfig, kind: Kind) -> VerifiedRun:
    training = student.training.model_copy(update={"seed": 100 + index})
    seeded, reached = student.model_copy(update={"training": training}), kind.reached[index - 1]
    run = verified_run(number, Role.BEST, index, seeded, reached, fingerprint=f"{number}-{index}")
    if reached is None or not kind.on_classes:
        return run
    metrics: SplitMetrics = on_test(reached).model_copy(update={"accuracy_by_class": tuple(kind.on_classes[index - 1])})
    return run.model_copy(update={"on_test": metrics})
