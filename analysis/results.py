"""Reads a study directory: its records and the trials in its Optuna storage. Writes to neither."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from analysis.pareto import front
from analysis.timeline import Span, closed_spans
from trainables.config import DatasetConfig
from trainables.measurements import ProfilesRecord
from trainables.metrics import METRICS, Metric, latency_batch_size, metric
from trainables.records import StudyRecord, TeacherRecord, TrialRecord
from trainables.study_paths import StudyPaths
from trainables.verified import VerificationRecord
from trainables.whole_files import read_record


@dataclass(frozen=True, slots=True)
class StudyResults:
    """All that a study has stored so far; what a stage makes is None until it is done."""

    record: StudyRecord
    teacher: TeacherRecord | None
    profiles: ProfilesRecord | None
    trials: tuple[TrialRecord, ...]
    objectives: tuple[Metric, ...]
    verification: VerificationRecord | None = None

    @property
    def front(self) -> tuple[TrialRecord, ...]:
        """The students that no other one beats in all objectives, cheapest first."""
        return front(self.trials, self.objectives)

    @property
    def num_validation_images(self) -> int | None:
        """How many images a validation accuracy is a mean over; None where the configuration names no dataset."""
        dataset = self.record.config.get("dataset")
        return None if dataset is None else DatasetConfig.model_validate(dataset).num_validation_images

    @property
    def teacher_metrics(self) -> dict[str, float | None]:
        """What is known of the teacher, under the names of the students' metrics; empty before it is trained."""
        values: dict[str, float | None] = {}
        if self.profiles is not None:
            trainings = self.profiles.teacher.trainings
            values |= self.profiles.teacher.metrics(trainings[0].batch_size if trainings else 0)
        if self.teacher is not None:
            values |= {
                "validation_accuracy": self.teacher.validation_accuracy,
                "validation_nll": self.teacher.validation_nll,
                "num_parameters": float(self.teacher.num_parameters),
            }
        return values


def read_study(study_dir: Path) -> StudyResults:
    """Read what the study in `study_dir` has stored, finished or not.

    Safe while the study runs: nothing is written, and a half-written last line of the journal is left out.

    Raises:
        ValueError: the directory holds no study, or a part of it cannot be read; the message names both.
    """
    paths = StudyPaths(study_dir)
    record = read_record(paths.study_json, StudyRecord)
    if record is None:
        raise ValueError(f"{study_dir} holds no study: {paths.study_json.name} is missing")
    return StudyResults(
        record=record,
        teacher=read_record(paths.teacher_json, TeacherRecord),
        profiles=read_record(paths.profiles_json, ProfilesRecord),
        trials=_read_trials(paths, record),
        objectives=tuple(metric(name) for name in record.objectives),
        verification=read_record(paths.verification_json, VerificationRecord),
    )


def _read_trials(paths: StudyPaths, record: StudyRecord) -> tuple[TrialRecord, ...]:
    url = record.config.get("storage")
    if url is None and not paths.journal.is_file():
        raise ValueError(f"{paths.root} holds no study: {paths.journal.name} is missing")
    storage = JournalStorage(JournalFileBackend(str(paths.journal))) if url is None else str(url)
    where = paths.journal if url is None else url
    try:
        study = optuna.load_study(study_name=record.name, storage=storage)
        trials = study.get_trials(deepcopy=False)
    except KeyError as error:
        raise ValueError(f'{where} holds no study named "{record.name}", as {paths.study_json} says') from error
    except (optuna.exceptions.OptunaError, SQLAlchemyError, ImportError, OSError) as error:
        raise ValueError(f"{where}: the trials cannot be read ({error})") from error
    return tuple(TrialRecord.from_optuna(trial) for trial in trials)


def trials_table(results: StudyResults) -> pd.DataFrame:
    """One row for each trial, by number: what it was, what became of it, and every number it reported.

    Columns, in this order: the trial's own facts (times in UTC, `run_seconds` summed over its launches), its parameters
    under their own names, then the metrics, whose names carry their units.
    """
    on_front = {trial.number for trial in results.front}
    spans = closed_spans(results.trials)
    rows = []
    for trial in results.trials:
        row = _facts(trial, spans.get(trial.number, ())) | {"on_front": trial.number in on_front}
        parameters = {
            name if name not in row else f"parameter_{name}": value for name, value in trial.parameters.items()
        }
        rows.append((row, parameters, trial.metrics))
    columns = [*_FACT_COLUMNS, *_union(parameters for _, parameters, _ in rows), *metric_names(results.trials)]
    merged: list[dict[str, object]] = [{**metrics, **parameters, **row} for row, parameters, metrics in rows]
    return pd.DataFrame(merged, columns=list(dict.fromkeys(columns)))


def metric_names(trials: Iterable[TrialRecord]) -> list[str]:
    """Names of the metrics that any of the trials reports: the declared ones in their order, then the latencies."""
    declared = list(METRICS)

    def order(name: str) -> tuple[int, int, str]:
        return (declared.index(name) if name in METRICS else len(declared), latency_batch_size(name) or 0, name)

    return sorted({name for trial in trials for name in trial.metrics if name != "epoch"}, key=order)


_FACT_COLUMNS = (
    "number", "state", "on_front", "origin", "duplicate_of", "reason", "student_model", "student_method", "slot",
    "started_at", "finished_at", "run_seconds", "num_epochs",
)  # fmt: skip


def _facts(trial: TrialRecord, spans: tuple[Span, ...]) -> dict[str, object]:
    has_ended = bool(trial.spans) and trial.spans[-1][1] is not None
    return {
        "number": trial.number,
        "state": trial.state.value,
        "origin": trial.origin,
        "duplicate_of": trial.duplicate_of,
        "reason": trial.reason,
        "student_model": None if trial.student is None else trial.student.model.key,
        "student_method": None if trial.student is None else trial.student.loss.name,
        "slot": trial.slot,
        "started_at": datetime.fromtimestamp(spans[0].start, UTC) if spans else None,
        "finished_at": datetime.fromtimestamp(spans[-1].end, UTC) if has_ended else None,
        "run_seconds": sum(span.seconds for span in spans) if spans else None,
        "num_epochs": len(trial.epochs),
    }


def _union(mappings: Iterable[dict[str, bool | int | float | str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
