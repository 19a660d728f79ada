"""The one driver of a study: a lock that the system lets go of when its process dies, however that happens."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path


class StudyLockedError(ValueError):
    """Another driver, alive, works on the study."""


@contextlib.contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold the lock for this process.

    Raises:
        StudyLockedError: a living process holds it; the message says which.
        ValueError: the lock cannot be written.
    """
    try:
        opened = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{path.parent}: cannot be written to: {error.strerror}") from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another driver"
            raise StudyLockedError(f"{path.parent}: {holder} works on this study: wait for it or end it") from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with path.open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
