"""Optuna's journal on a disk that fills up, on a file system that becomes read-only, and beside other writers."""

import errno
import json
import os
import resource
import threading
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from study import store as stores
from study.journal_backend import PatientJournal
from tests.factories import study_config
from tests.full_disk import no_file_above
from trainables.patience import Patience, StoreUnwritableError

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def patience(sleep: Callable[[float], None] = lambda _: None, seconds: float = 60.0) -> Patience:
    clock = iter(range(10_000))
    return Patience("DIR", seconds, tell=lambda _: None, sleep=sleep, clock=lambda: float(next(clock)))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_records_are_optunas_own_byte_for_byte(tmp_path: Path) -> None:
    logs: list[dict[str, Any]] = [{"op_code": 4, "worker_id": "w", "text": "ä"}, {"op_code": 8}]
    ours, theirs = PatientJournal(tmp_path / "ours", patience()), JournalFileBackend(str(tmp_path / "theirs"))
    for each in (ours, theirs):
        each.append_logs(logs)
        each.append_logs(logs[:1])
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert list(ours.read_logs(1)) == list(theirs.read_logs(1)) == [logs[1], logs[0]]
    assert not list(tmp_path.glob("*.lock*"))


def test_part_of_a_record_on_a_full_disk_is_cut_off_and_the_record_written_once_when_there_is_room(
    tmp_path: Path,
) -> None:
    """Optuna's own backend leaves the part, and the record behind it can never be read."""
    path, first, second = tmp_path / "journal", {"first": 1}, {"second": "x" * 300}
    seen: list[int] = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def make_room(_: float) -> None:
        seen.append(path.stat().st_size)
        if len(seen) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    backend = PatientJournal(path, patience(make_room))
    backend.append_logs([first])
    whole = path.stat().st_size
    with no_file_above(whole + 100):
        backend.append_logs([second])
    assert seen == [whole] * 3
    assert lines(path) == [first, second]
    assert list(backend.read_logs(0)) == [first, second]


def test_part_of_a_record_is_gone_before_another_writer_is_let_in(tmp_path: Path) -> None:
    path, other = tmp_path / "journal", {"op_code": 1}
    path.touch()
    full = PatientJournal(path, patience(seconds=0.0))
    with no_file_above(5), pytest.raises(OSError, match="File too large"):
        full.append_logs([{"op_code": 0}])
    JournalFileBackend(str(path)).append_logs([other])
    full.append_logs([{"op_code": 2}])
    assert lines(path) == [other, {"op_code": 2}]


def test_part_that_cannot_be_cut_off_at_once_is_before_the_record_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full after the write, then read-only, then neither."""
    path, sizes = tmp_path / "journal", list[int]()
    backend = PatientJournal(path, patience(lambda _: sizes.append(path.stat().st_size)))
    backend.append_logs([{"first": 1}])
    cut, sync, full, read_only = os.ftruncate, os.fsync, [True], [True]

    def refused(descriptor: int) -> None:
        if full and full.pop():
            raise OSError(errno.ENOSPC, "full")
        sync(descriptor)

    def cut_or_refused(descriptor: int, length: int) -> None:
        if read_only and read_only.pop(0):
            raise OSError(errno.EROFS, "read-only")
        cut(descriptor, length)

    monkeypatch.setattr(os, "fsync", refused)
    monkeypatch.setattr(os, "ftruncate", cut_or_refused)
    backend.append_logs([{"second": 2}])
    assert sizes == [path.stat().st_size]  # it stood there whole, and nobody knew
    assert lines(path) == [{"first": 1}, {"second": 2}]


@pytest.mark.parametrize("is_refused", [True, False])
@pytest.mark.parametrize("room", [0, 7, 310])
def test_record_that_another_writer_has_put_behind_a_part_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, is_refused: bool
) -> None:
    """A write that hangs for longer than Optuna waits for a lock, and is then refused, or goes on."""
    path, ours, other = tmp_path / "journal", {"ours": "x" * 300}, {"theirs": 1}
    backend = PatientJournal(path, patience())
    backend.append_logs([{"first": 1}])
    write, hangs = PatientJournal._write, [True]

    def hang(file: FileIO, part: Any) -> None:
        if not hangs:
            write(file, part)
            return
        hangs.clear()
        part.num_written = file.write(part.content[:room])
        with path.open("ab") as theirs:
            theirs.write(json.dumps(other).encode() + b"\n")
        if is_refused:
            raise OSError(errno.EIO, "the server is back")
        write(file, part)

    monkeypatch.setattr(PatientJournal, "_write", staticmethod(hang))
    backend.append_logs([ours])
    assert lines(path) == [{"first": 1}, other, ours]
    assert list(JournalFileBackend(str(path)).read_logs(0)) == [{"first": 1}, other, ours]


def test_driver_that_gave_up_leaves_a_study_that_opens_and_goes_on(tmp_path: Path) -> None:
    with stores.create(tmp_path, study_config(resources={"max_minutes_unwritable": 1e-6})) as store:
        store.study.ask()
        with no_file_above(store.paths.journal.stat().st_size + 50):
            with pytest.raises(StoreUnwritableError, match=r"cannot be written to \(File too large\)"):
                store.study.ask()
            with pytest.raises(StoreUnwritableError):
                store.study.set_user_attr("again", value=True)
        assert store.patience.given_up is not None
    with stores.reopen(tmp_path) as store:
        assert len(store.trials()) == 1
        assert store.study.ask().number == 1


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_lock_that_cannot_be_made_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    backend = PatientJournal(tmp_path / "journal", patience())
    acquire, refusals = JournalFileSymlinkLock.acquire, [number] * 4

    def refused(lock: JournalFileSymlinkLock) -> bool:
        if refusals:
            raise OSError(refusals.pop(), "refused")
        return acquire(lock)

    monkeypatch.setattr(JournalFileSymlinkLock, "acquire", refused)
    backend.append_logs([{"first": 1}])
    assert lines(tmp_path / "journal") == [{"first": 1}]


def test_lock_that_cannot_be_given_back_is_kept_and_no_record_stands_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store becomes read-only between a record and the end of its lock; then it can be written to again."""
    backend, rename = PatientJournal(tmp_path / "journal", patience()), os.rename

    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "rename", refuse)
    backend.append_logs([{"first": 1}])
    assert len(list(tmp_path.glob("*.lock"))) == 1
    monkeypatch.setattr(os, "rename", rename)
    backend.append_logs([{"second": 2}])
    assert lines(tmp_path / "journal") == [{"first": 1}, {"second": 2}]
    assert not list(tmp_path.glob("*.lock*"))


def test_trial_is_asked_once_where_the_disk_said_after_the_write_that_it_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS does: the bytes stand there, and fsync refuses. A second one would be a trial that nobody trains."""
    storage = JournalStorage(PatientJournal(tmp_path / "journal", patience()))
    study = optuna.create_study(storage=storage)
    fsync, refusals = os.fsync, [errno.ENOSPC] * 3

    def refused(descriptor: int) -> None:
        if refusals:
            raise OSError(refusals.pop(), "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refused)
    assert study.ask().number == 0
    assert len(study.trials) == 1
    assert study.ask().number == 1


def test_what_is_held_goes_to_the_disk_with_the_next_record_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, flushed = PatientJournal(tmp_path / "journal", patience()), list[int]()
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        flushed.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)
    with backend.holding():
        backend.append_logs([{"first": 1}])
        backend.append_logs([{"second": 2}])
    assert list(backend.read_logs(0)) == []
    backend.append_logs([{"third": 3}])
    backend.append_logs([{"fourth": 4}])
    assert lines(tmp_path / "journal") == [{"first": 1}, {"second": 2}, {"third": 3}, {"fourth": 4}]
    assert len(flushed) == 2


def test_what_one_thread_holds_no_other_one_waits_for(tmp_path: Path) -> None:
    """An epoch must be on the disk before it is told, whatever the thread that asks is at."""
    backend = PatientJournal(tmp_path / "journal", patience())
    with backend.holding():
        backend.append_logs([{"asked": 1}])
        other = threading.Thread(target=backend.append_logs, args=([{"epoch": 1}],))
        other.start()
        other.join()
        assert lines(tmp_path / "journal") == [{"epoch": 1}]
    backend.append_logs([{"asked": 2}])
    assert lines(tmp_path / "journal") == [{"epoch": 1}, {"asked": 1}, {"asked": 2}]


def test_what_was_held_when_an_exception_came_is_never_written(tmp_path: Path) -> None:
    backend = PatientJournal(tmp_path / "journal", patience())

    def ask() -> None:
        with backend.holding():
            backend.append_logs([{"asked": 1}])
            raise ValueError("a space that cannot be sampled")

    with pytest.raises(ValueError, match="a space that cannot be sampled"):
        ask()
    backend.append_logs([{"epoch": 1}])
    assert lines(tmp_path / "journal") == [{"epoch": 1}]


def test_records_of_another_writer_are_read_once_they_are_there(tmp_path: Path) -> None:
    """A file that is as long as it was is not opened again."""
    backend, other = PatientJournal(tmp_path / "journal", patience()), JournalFileBackend(str(tmp_path / "journal"))
    backend.append_logs([{"ours": 1}])
    assert list(backend.read_logs(0)) == [{"ours": 1}]
    assert list(backend.read_logs(1)) == []
    other.append_logs([{"theirs": 2}])
    assert list(backend.read_logs(1)) == [{"theirs": 2}]
    assert list(backend.read_logs(0)) == [{"ours": 1}, {"theirs": 2}]
