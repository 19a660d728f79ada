"""The study directory and the Optuna storage in it: created, opened, locked, mended, written. One writer at a time."""

import contextlib
import json
import logging
import os
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage

from analysis.curves import RecordedCurves, RecordedTrial, read_curves, write_curves
from analysis.stored_trials import shown
from study.config import StudyConfig, library_versions, parse_config
from study.database import hold_in_database, open_database
from study.journal_backend import DriversJournal, PatientJournal
from study.locks import hold
from trainables.data.split import apportion
from trainables.patience import Patience
from trainables.records import (
    EXHAUSTED_ATTRIBUTE,
    OBJECTIVES_ATTRIBUTE,
    EvidenceRecord,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from trainables.study_paths import StudyPaths
from trainables.whole_files import read_record, write_record

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StudyStore:
    """A study that this process may write to; made by `create` or `reopen`, which hold its lock."""

    paths: StudyPaths
    config: StudyConfig
    record: StudyRecord
    storage: BaseStorage
    study: optuna.Study
    patience: Patience  # with the storage, and what was waited for in vain
    evidence: tuple[RecordedTrial, ...] = ()  # another study's students that the sampler is told of

    def trials(self) -> list[TrialRecord]:
        """Every trial as the storage shows it now."""
        return [TrialRecord.from_optuna(trial) for trial in self.study.get_trials(deepcopy=False)]


@contextlib.contextmanager
def create(
    directory: Path,
    config: StudyConfig,
    *,
    import_folder: str | None = None,
    evidence: RecordedCurves | None = None,
    images: str | None = None,
) -> Iterator[StudyStore]:
    """A new study in `directory`, which is made where it does not exist.

    Evidence is copied into it: it must go on alike wherever the study that it came from has gone.

    Raises:
        ValueError: the directory cannot be written to, or holds a study or other files.
    """
    paths = StudyPaths(directory.absolute())
    check_vacant(directory)
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.lock.touch()
    except OSError as error:
        raise ValueError(f"{paths.root}: cannot be written to: {error.strerror}") from error
    with hold(paths.lock):
        check_vacant(directory)  # another driver may have been faster
        for left in (paths.journal, paths.evidence, *paths.root.glob(f".{paths.evidence.stem}-*")):
            left.unlink(missing_ok=True)
        record = StudyRecord(
            name=_study_name(config),
            created_at=datetime.now(UTC),
            objectives=config.objectives,
            config=config.model_dump(mode="json"),
            fingerprint=config.fingerprint("study"),
            versions=library_versions(),
            import_folder=import_folder,
            evidence=None if evidence is None else _evidence_record(evidence),
            images=images,
        )
        if evidence is not None:
            write_curves(evidence, paths.evidence)
        patience = _patience(paths, config)
        storage = open_storage(paths, config.storage, patience)
        with hold_in_database(config.storage, record.name):
            study = optuna.create_study(
                storage=storage,
                study_name=record.name,
                directions=[each.direction.value for each in config.objective_metrics],
            )
            study.set_user_attr(OBJECTIVES_ATTRIBUTE, list(config.objectives))
            write_record(paths.study_json, record)  # last: where it stands, the study is complete
            yield StudyStore(paths, config, record, storage, study, patience, _evidence(paths, record))


@contextlib.contextmanager
def reopen(directory: Path) -> Iterator[StudyStore]:
    """An existing study, mended where its driver died in the middle of a write.

    Raises:
        ValueError: the directory holds no study.
        StudyLockedError: a living driver works on it (a ValueError).
    """
    paths, record = read_study_record(directory)
    config = parse_config(record.config, str(paths.study_json))
    patience = _patience(paths, config)
    with contextlib.ExitStack() as held:
        held.enter_context(hold(paths.lock))
        if config.storage is None:
            mend_journal(paths.journal)
        storage = open_storage(paths, config.storage, patience)
        held.enter_context(hold_in_database(config.storage, record.name))
        try:
            study = optuna.load_study(storage=storage, study_name=record.name)
        except KeyError as error:
            where = paths.journal if config.storage is None else shown(config.storage)
            raise ValueError(f'{where} holds no study "{record.name}": it is empty, or another study\'s') from error
        store = StudyStore(paths, config, record, storage, study, patience, _evidence(paths, record))
        for trial in store.trials():
            if trial.state not in {TrialState.RUNNING, TrialState.WAITING}:
                paths.checkpoint(trial.number).unlink(missing_ok=True)
        for folder in paths.folders:
            for left in folder.glob(".*-*.*"):  # of a write that a kill cut off (trainables/whole_files.py)
                left.unlink(missing_ok=True)
        yield store


def extended(config: StudyConfig, directory: Path, num_trials: int) -> StudyConfig:
    """The configuration of a study that is to have `num_trials` in all; given shares keep their proportions.

    Raises:
        ValueError: it is to have as many already.
    """
    search = config.search
    if num_trials <= search.num_trials:
        raise ValueError(
            f"--trials {num_trials}: the study in {directory} is asked for {search.num_trials} already "
            f"(kd-study resume {directory} goes on with those); allowed are {search.num_trials + 1} and more"
        )
    shares = search.trials_per_method
    if shares is not None:
        counts = apportion(np.array(list(shares.values()), dtype=np.int64), num_trials)
        shares = dict(zip(shares, map(int, counts), strict=True))
    asked = search.model_copy(update={"num_trials": num_trials, "trials_per_method": shares})
    return config.model_copy(update={"search": asked})


def configure_again(store: StudyStore, config: StudyConfig) -> StudyStore:
    """The study under a new configuration, which is written; a space that seemed exhausted may be asked again."""
    if store.study.user_attrs.get(EXHAUSTED_ATTRIBUTE, False):
        store.study.set_user_attr(EXHAUSTED_ATTRIBUTE, value=False)
    record = store.record.model_copy(update={"config": config.model_dump(mode="json")})
    write_record(store.paths.study_json, record)
    return replace(store, config=config, record=record)


def read_study_record(directory: Path) -> tuple[StudyPaths, StudyRecord]:
    """Paths and record of the study in `directory`, without opening its storage.

    Raises:
        ValueError: there is no study there, or its record cannot be read.
    """
    paths = StudyPaths(directory.absolute())
    record = read_record(paths.study_json, StudyRecord)
    if record is None:
        raise ValueError(f"{directory} holds no study (there is no {paths.study_json.name} in it)")
    return paths, record


def mend_journal(journal: Path) -> int:
    """Cut a journal back to its last whole line and drop a dead driver's lock on it; call under the study's lock.

    A line that a full disk or a lost machine left torn would make every later write fail.

    Returns:
        How many bytes were cut.
    """
    for left in journal.parent.glob(f"{journal.name}.lock*"):
        left.unlink(missing_ok=True)
    try:
        content = journal.read_bytes()
    except FileNotFoundError:
        return 0
    whole = content.rfind(b"\n") + 1
    last = content.rfind(b"\n", 0, max(whole - 1, 0)) + 1
    if whole and not _is_json(content[last:whole]):
        whole = last
    if whole < len(content):
        logger.warning("%s ended in a torn record: its last %d bytes are dropped", journal, len(content) - whole)
        with journal.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return len(content) - whole


def check_vacant(directory: Path) -> None:
    """See that a new study may go to `directory`, without making anything.

    Raises:
        ValueError: it holds a study or other files, or cannot be made or written to.
    """
    root = directory.absolute()
    paths = StudyPaths(root)
    if paths.study_json.exists():
        raise ValueError(f'{root} holds a study: go on with it by "kd-study resume {root}", or choose another --dir')
    existing = next(path for path in (root, *root.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{root}: cannot be written to: {existing} is no directory that this user may write to")
    strangers = [entry.name for entry in root.iterdir() if not _is_remnant(entry, paths)] if root.exists() else []
    if strangers:
        raise ValueError(f"{root} is not empty (it holds {min(strangers)}): a study needs a directory of its own")


def _is_remnant(entry: Path, paths: StudyPaths) -> bool:
    """Whether a driver that died before its study stood may have left this."""
    begun = (paths.journal.name, f".{paths.study_json.stem}-", f".{paths.evidence.stem}-")
    return entry in {paths.lock, paths.evidence} or entry.name.startswith(begun)


def open_storage(paths: StudyPaths, url: str | None, patience: Patience) -> BaseStorage:
    """The Optuna storage at `url`, or the study's own journal; where it is unwritable for a while, it is waited for.

    Raises:
        ValueError: the storage cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if url is not None:
        return open_database(url, patience)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return DriversJournal(PatientJournal(paths.journal, patience))


def _patience(paths: StudyPaths, config: StudyConfig) -> Patience:
    where = str(paths.root) if config.storage is None else f'storage = "{shown(config.storage)}"'
    return Patience(where, 60.0 * config.resources.max_minutes_unwritable)


def _evidence_record(curves: RecordedCurves) -> EvidenceRecord:
    return EvidenceRecord(study=curves.name, created_at=curves.created_at, num_students=len(curves.trials))


def _evidence(paths: StudyPaths, record: StudyRecord) -> tuple[RecordedTrial, ...]:
    return () if record.evidence is None else read_curves(paths.evidence).trials


def _study_name(config: StudyConfig) -> str:
    """A journal holds one study, called as configured; in a shared storage each needs a name of its own."""
    return config.name if config.storage is None else f"{config.name}-{uuid.uuid4().hex[:8]}"


def _is_json(line: bytes) -> bool:
    try:
        value: Any = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict)
