"""Reads a study directory: its records and the trials in its Optuna storage. Writes to neither."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.pareto import front
from analysis.replayed import ReplayedStopping
from analysis.stopping import epochs_trained, paused_at_epoch, seconds_per_epoch, stopped_at_epoch
from analysis.stored_trials import stored_trials
from analysis.timeline import Span, closed_spans
from analysis.transfer_records import TransferRecord
from trainables.config import DatasetConfig
from trainables.measurements import ProfilesRecord
from trainables.metrics import METRICS, Metric, latency_batch_size, metric
from trainables.records import REFERENCE_ATTRIBUTE, OutputsRecord, StudyRecord, TeacherRecord, TrialRecord, TrialState
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
    stored_reference: tuple[float, ...] | None = None  # of the hypervolume, in the objectives' own units
    replayed: ReplayedStopping | None = None
    transfer: TransferRecord | None = None
    outputs: OutputsRecord | None = None  # of what teaches the students, on their augmented views
    assistants: tuple[TeacherRecord, ...] = ()  # between the teacher and the students, from the top; those there are

    @property
    def students_teacher(self) -> TeacherRecord | None:
        """What teaches the students: the teacher, or the last assistant; None until it is trained."""
        if len(self.assistants) < len(self.record.config.get("assistants", ())):
            return None
        return self.assistants[-1] if self.assistants else self.teacher

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
    objectives = record.objective_metrics
    trials, attributes = stored_trials(paths, record)
    return StudyResults(
        record=record,
        teacher=read_record(paths.teacher.record, TeacherRecord),
        profiles=read_record(paths.profiles_json, ProfilesRecord),
        trials=trials,
        objectives=objectives,
        verification=read_record(paths.verification_json, VerificationRecord),
        stored_reference=_stored_reference(paths, attributes, len(objectives)),
        replayed=read_record(paths.replayed_stopping, ReplayedStopping),
        transfer=read_record(paths.transfer_json, TransferRecord),
        outputs=read_record(paths.in_chain(len(record.config.get("assistants", ()))).outputs, OutputsRecord),
        assistants=_read_assistants(paths, record),
    )


def metric_of_studies(name: str, studies: Iterable[StudyResults]) -> Metric:
    """The metric called `name`, one that the studies have beside the declared ones among them.

    Raises:
        ValueError: there is none, or two studies mean different things by its name.
    """
    own = [each for results in studies for each in results.record.own_metrics]
    meanings = list(dict.fromkeys(each for each in own if each.name == name))
    if len(meanings) > 1:
        told = " and ".join(f"{each.label}, {each.unit or 'a pure number'}, {each.direction}" for each in meanings)
        raise ValueError(f'"{name}" is not the same in all of these studies: {told}')
    return metric(name, own)


def _read_assistants(paths: StudyPaths, record: StudyRecord) -> tuple[TeacherRecord, ...]:
    places = range(1, 1 + len(record.config.get("assistants", ())))
    found = [read_record(paths.in_chain(place).record, TeacherRecord) for place in places]
    return tuple(each for each in found if each is not None)


def _stored_reference(paths: StudyPaths, attributes: dict[str, Any], num_objectives: int) -> tuple[float, ...] | None:
    stored = attributes.get(REFERENCE_ATTRIBUTE)
    if stored is None:
        return None
    numbers = [float(each) for each in stored if isinstance(each, int | float) and isfinite(each)]
    if len(numbers) != len(stored) or len(stored) != num_objectives:
        wanted = f"{num_objectives} finite numbers, one for each objective"
        raise ValueError(f"{paths.root}: the study's {REFERENCE_ATTRIBUTE} is {stored}: there must be {wanted}")
    return tuple(numbers)


def trials_table(results: StudyResults) -> pd.DataFrame:
    """One row for each trial, by number: what it was, what became of it, and every number it reported.

    Columns, in this order: the trial's own facts, its parameters under their own names, then the metrics of its last
    report, whose names carry their units.

    Of the facts, times are in UTC, and `finished_at` is when it last ran; `run_seconds` is summed over the stretches in
    which it ran; `num_epochs` is how many it was trained for and may be a fraction, as in 0.25; `paused_at_epoch` is
    where it was paused for the last time, whether or not it went on; `train_seconds_per_epoch` is over all its epochs,
    where the metric `train_seconds` is of the last report alone, which may cover a part of an epoch.
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
    """Names of the metrics that any of the trials reports: declared ones in their order, a study's own, latencies."""
    declared = list(METRICS)

    def order(name: str) -> tuple[int, int, str]:
        return (declared.index(name) if name in METRICS else len(declared), latency_batch_size(name) or 0, name)

    return sorted({name for trial in trials for name in trial.metrics if name != "epoch"}, key=order)


_FACT_COLUMNS = (
    "number", "state", "on_front", "origin", "duplicate_of", "reason", "student_model", "student_method", "slot",
    "started_at", "finished_at", "run_seconds", "num_epochs", "stopped_at_epoch", "paused_at_epoch",
    "train_seconds_per_epoch",
)  # fmt: skip

_ENDED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED})


def _facts(trial: TrialRecord, spans: tuple[Span, ...]) -> dict[str, object]:
    has_ended = trial.state in _ENDED and bool(trial.spans) and trial.spans[-1][1] is not None
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
        "num_epochs": epochs_trained(trial),
        "stopped_at_epoch": stopped_at_epoch(trial),
        "paused_at_epoch": paused_at_epoch(trial),
        "train_seconds_per_epoch": seconds_per_epoch(trial),
    }


def _union(mappings: Iterable[dict[str, bool | int | float | str]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
