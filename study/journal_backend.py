"""Optuna's journal file, written by one driver: a record is whole or not there, on a disk that is full for a while."""

import errno
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from json import dumps
from pathlib import Path
from typing import Any, final

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from trainables.patience import Patience


@final
class PatientJournal(JournalFileBackend):
    """The same file, lock and records as Optuna's own, so that any Optuna tool may read and write beside it.

    Optuna leaves the part of a record that still went on to a full disk, and every later read fails on it. Here it is
    cut off at once, or, where the store refuses even that, before the record is tried again; where the driver gives up
    before it can be, the next opening does, unless another writer has written behind it meanwhile.
    """

    def __init__(self, path: Path, patience: Patience) -> None:
        self._path = path
        self._patience = patience
        self._writers = JournalFileSymlinkLock(str(path))
        self._is_locked = False
        self._part: _Part | None = None  # what may stand there of a record
        self._held = _Held()
        self._seen = (0, 0)  # how many records were read when the file had that many bytes
        super().__init__(str(path), self._writers)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Within, this thread's records are kept; its next one after takes them to the disk, all in one piece.

        Until then nobody reads them, this thread neither. After an exception they are dropped.
        """
        self._held.is_on = True
        try:
            yield
        except BaseException:
            self._held.records = []
            raise
        finally:
            self._held.is_on = False

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The records from a number on; a network folder that is away is waited for.

        All are read before the first is given: a reader that had taken some would be given them again. Optuna asks
        before and after whatever it does: a file that is as long as it was is not opened.
        """
        if not self._held.is_on:
            yield from self._patience.run(lambda: self._read(log_number_from))

    def _read(self, log_number_from: int) -> list[dict[str, Any]]:
        seen = (log_number_from, self._path.stat().st_size)
        if seen == self._seen:
            return []
        records = list(JournalFileBackend.read_logs(self, log_number_from))
        self._seen = (log_number_from + len(records), seen[1])
        return records

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write records and see them on the disk.

        Raises:
            StoreUnwritableError: the store could not be written to for all the time that it was waited for.
        """
        records = [*self._held.records, *logs]
        self._held.records = records if self._held.is_on else []
        if self._held.is_on:
            return
        content = "".join(dumps(record, separators=(",", ":")) + "\n" for record in records).encode("utf-8")
        self._patience.run(lambda: self._append(content))

    def _append(self, content: bytes) -> None:
        if not self._is_locked:
            self._writers.acquire()
            self._is_locked = True
        try:
            with self._path.open("r+b", buffering=0) as file:
                self._cut_off(file)
                self._part = _Part(file.seek(0, os.SEEK_END), content)
                try:
                    self._write(file, self._part)
                except OSError:
                    self._cut_off(file)  # before another writer is let in
                    raise
            self._part = None
        finally:
            self._release()

    @staticmethod
    def _write(file: FileIO, part: "_Part") -> None:
        while part.num_written < len(part.content):  # a nearly full disk takes a part, and says so in the next write
            if os.fstat(file.fileno()).st_size != part.begins_at + part.num_written:
                raise OSError(errno.EIO, "another writer took the lock of one that hung")
            part.num_written += file.write(part.content[part.num_written :]) or 0
        os.fsync(file.fileno())  # a network folder tells of a full disk here

    def _cut_off(self, file: FileIO) -> None:
        """Take back what stands there in part.

        A writer that has waited for the lock for half a minute takes it for a dead one's, and may have written behind:
        its record stays, behind spaces, which a JSON reader skips.
        """
        part = self._part
        if part is not None:
            file.seek(part.begins_at + part.num_written)
            if part.content[part.num_written :].startswith(file.readall()):  # nothing, or what was not said to be there
                os.ftruncate(file.fileno(), part.begins_at)
            else:
                file.seek(part.begins_at)
                num_left = part.num_written
                while num_left:
                    num_left -= file.write(b" " * num_left) or 0
                os.fsync(file.fileno())
        self._part = None

    def _release(self) -> None:
        """Let other writers in; where the store refuses even that, the lock is still ours at the next record.

        That is no error: a record that stands must not be tried again. And asked for a lock that lies there, Optuna's
        would wait for ever on a file system that is read-only.
        """
        try:
            self._writers.release()
            self._is_locked = False
        except RuntimeError as error:  # Optuna's word for any failure
            is_gone = isinstance(error.__context__, FileNotFoundError)  # somebody took it for a dead writer's
            self._is_locked = not is_gone


@dataclass(slots=True)
class _Part:
    """What may stand in the file of a record.

    Args:
        begins_at: length of the file before it.
        content: the whole record, or several.
        num_written: bytes of it that the file system said it took.
    """

    begins_at: int
    content: bytes
    num_written: int = 0


class _Held(threading.local):
    """What one thread keeps for its next record, and whether it does at this moment."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.is_on = False


@final
class DriversJournal(JournalStorage):
    """Optuna's storage over a journal, in which a driver may write several things in one piece.

    A write waits for the disk, some milliseconds, and whoever reads meanwhile waits for the write.
    """

    def __init__(self, journal: PatientJournal) -> None:
        super().__init__(journal)
        self.holding = journal.holding
