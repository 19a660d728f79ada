"""The trials in a study's Optuna storage, read alone: a journal without locks, a database without a connection kept."""

from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from analysis.journal import ReadOnlyJournal
from trainables.records import StudyRecord, TrialRecord
from trainables.study_paths import StudyPaths


def shown(url: str) -> str:
    """The URL of a database without its password: messages end in logs."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return url


def stored_trials(
    paths: StudyPaths, record: StudyRecord, *, with_epochs: bool = True
) -> tuple[tuple[TrialRecord, ...], dict[str, Any]]:
    """The trials, and the user attributes of the study.

    Args:
        paths: of the study.
        record: of the study.
        with_epochs: whether the reports of epochs are wanted: half of a long journal, and more of the time. A database
            is read whole.

    Raises:
        ValueError: there is no storage, or it cannot be read.
    """
    url = record.config.get("storage")
    if url is None and not paths.journal.is_file():
        raise ValueError(f"{paths.root} holds no study: {paths.journal.name} is missing")
    where = paths.journal if url is None else shown(str(url))
    try:
        # Of a database no connection is kept: it is read once, and left alone.
        storage: BaseStorage = (
            JournalStorage(ReadOnlyJournal(paths.journal, with_epochs=with_epochs))
            if url is None
            else RDBStorage(str(url), engine_kwargs={"poolclass": NullPool})
        )
        study = optuna.load_study(study_name=record.name, storage=storage)
        trials, attributes = study.get_trials(deepcopy=False), study.user_attrs
    except KeyError as error:
        raise ValueError(f'{where} holds no study named "{record.name}", as {paths.study_json} says') from error
    except (optuna.exceptions.OptunaError, SQLAlchemyError, ImportError, OSError) as error:
        raise ValueError(f"{where}: the trials cannot be read ({error})") from error
    return tuple(TrialRecord.from_optuna(trial) for trial in trials), attributes
