"""A study's trials in a database that outlives the head: opened, locked for one driver, waited for while it is away."""

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage, get_storage
from sqlalchemy.engine import Dialect, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from analysis.stored_trials import shown
from study.locks import StudyLockedError
from trainables.patience import Patience

CONNECT_TIMEOUT_S = 10
TIMEOUT_ARGUMENTS = {"psycopg": "connect_timeout", "psycopg2": "connect_timeout", "pg8000": "timeout"}  # by driver
POSTGRESQL = "postgresql"


def open_database(url: str, patience: Patience) -> BaseStorage:
    """The Optuna storage at `url`; from then on, a server that is away for a while is waited for.

    Between two operations, that is: one that the server's end cuts in two ends the launch, for nobody knows whether it
    was carried out. What is stored stands, and `resume` reads it.

    Raises:
        ValueError: no storage answers there, or the package that speaks to it is missing; the message says which.
    """
    try:
        database = RDBStorage(url, engine_kwargs=_engine_options(url))
    except ModuleNotFoundError as error:
        raise ValueError(f'storage = "{shown(url)}": {_missing(url, error)}') from error
    except ImportError as error:  # Optuna's, around the one that says which package
        cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        raise ValueError(f'storage = "{shown(url)}": {_missing(url, cause)}') from error
    except (SQLAlchemyError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'storage = "{shown(url)}": cannot be opened, it must be an Optuna storage URL ({reason})'
        ) from error
    _wait_for_server(database.engine, patience)
    return get_storage(database)


@contextlib.contextmanager
def hold_in_database(url: str | None, study_name: str) -> Iterator[None]:
    """Hold the study in a PostgreSQL database for this driver; the server lets go of it when the connection ends.

    A lock on a file is seen by whoever shares that file system's locks, which two machines of two clusters may not;
    both see the database. Other databases lie on such a file system, or are nobody's head: for them nothing is done.

    Raises:
        StudyLockedError: another driver holds it.
    """
    if url is None or make_url(url).get_backend_name() != POSTGRESQL:
        yield
        return
    key = int.from_bytes(hashlib.sha256(study_name.encode()).digest()[:8], "big", signed=True)
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", **_engine_options(url))
    try:
        with engine.connect() as connection:
            taken = connection.execute(sqlalchemy.text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar()
            if not taken:
                raise StudyLockedError(
                    f'storage = "{shown(url)}": another driver works on study "{study_name}": wait for it or end it'
                )
            yield
    finally:
        engine.dispose()


def _wait_for_server(engine: Engine, patience: Patience) -> None:
    """From now on, whoever needs a new connection waits for one, as a full disk is waited for."""

    def connect(dialect: Dialect, record: object, arguments: list[Any], options: dict[str, Any]) -> object:  # noqa: ARG001 - SQLAlchemy's signature
        def try_once() -> object:
            try:
                return dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as error:
                raise OSError(errno.ENOTCONN, str(error).strip().splitlines()[0]) from error

        return patience.run(try_once)

    sqlalchemy.event.listen(engine, "do_connect", connect)


def _engine_options(url: str) -> dict[str, Any]:
    """A connection for each operation, some milliseconds: a driver is idle for minutes, and none is found dropped.

    One that nobody answers is not waited for for minutes.
    """
    if make_url(url).get_backend_name() != POSTGRESQL:
        return {}
    argument = TIMEOUT_ARGUMENTS.get(make_url(url).get_driver_name())
    return {"poolclass": NullPool, "connect_args": {argument: CONNECT_TIMEOUT_S} if argument else {}}


def _missing(url: str, error: ImportError) -> str:
    if make_url(url).get_backend_name() == POSTGRESQL:
        return f"its package is missing ({error}): pip install 'kd-study[postgresql]', and name postgresql+psycopg://"
    return f"its package is missing ({error})"
