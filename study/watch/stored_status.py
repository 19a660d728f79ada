"""A study's status from its storage, where `status.json` is old or missing; read alone, nothing is written."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from analysis.stored_trials import stored_trials
from study.progress import counts_by_state, front_rows
from study.status import ENDED_STAGES, told
from trainables.records import StatusRecord, StudyRecord
from trainables.study_paths import StudyPaths
from trainables.whole_files import read_record


def stored_status(directory: Path) -> StatusRecord:
    """What the storage shows, with the last stage that a driver told, if any.

    Raises:
        ValueError: there is no study in `directory`, or its storage cannot be read.
    """
    paths = StudyPaths(directory)
    record = read_record(paths.study_json, StudyRecord)
    if record is None:
        raise ValueError(f"{directory} is no study: there is no {paths.study_json.name} in it")
    with _no_collection():
        trials, _ = stored_trials(paths, record, with_epochs=False)
    last = told(paths)
    first_stage = "search" if trials else "teach"
    stage = first_stage if last is None else last.stage
    search = record.config.get("search", {})
    return StatusRecord(
        name=record.name,
        stage=stage,
        detail=last.detail if last is not None and stage in ENDED_STAGES else "as its storage shows",
        num_target_trials=search.get("num_trials", len(trials)),
        num_trials=counts_by_state(trials),
        front=tuple(front_rows(trials, record.objective_metrics)),
        started_at=record.created_at if last is None else last.started_at,
        updated_at=_written_at(paths),
        seconds_left=None,
        teachers=None if last is None else last.teachers,
        own_metrics=record.own_metrics,
        pid=None if last is None else last.pid,
        host=None if last is None else last.host,
    )


def _written_at(paths: StudyPaths) -> datetime:
    journal = paths.journal
    return datetime.fromtimestamp((journal if journal.exists() else paths.study_json).stat().st_mtime, UTC)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Of 5,000 trials, a million small objects stay: looking through them for garbage takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
