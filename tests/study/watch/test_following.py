"""`kd-study status`: which of its sources is asked, and when watching ends."""

import io
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from study import store as stores
from study.locks import hold
from study.watch import following
from study.watch.following import follow, look, show
from tests.end_to_end.conftest import environment, kd_study
from tests.factories import study_config
from tests.study.watch.views import status
from trainables.records import StatusRecord
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_record

STORED = "as its storage shows"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study without trials, whose driver lives on this machine."""
    with stores.create(tmp_path, study_config()):
        pass
    return tmp_path


def tell(study: Path, **fields: Any) -> StatusRecord:
    record = status(detail="as told", host=socket.gethostname(), **fields)
    write_record(StudyPaths(study).status_json, record)
    return record


def terminal(*, is_one: bool = False) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, force_terminal=is_one, width=120), output


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("age_s", "fields", "source"),
    [
        (1, {}, "as told"),
        (300, {}, STORED),
        (300, {"stage": "done"}, "as told"),
    ],
    ids=["fresh", "old", "old, and the study has ended"],
)
def test_storage_is_asked_where_the_status_is_old(
    study: Path, age_s: float, fields: dict[str, Any], source: str
) -> None:
    tell(study, updated_at=ago(age_s), **fields)
    assert look(study, from_store=False).status.detail == source


@pytest.mark.parametrize("content", [None, "{", '{"of": "another version"}'])
def test_storage_is_asked_where_there_is_no_status_that_can_be_read(study: Path, content: str | None) -> None:
    if content is not None:
        StudyPaths(study).status_json.write_text(content)
    assert look(study, from_store=False).status.detail == STORED


def test_storage_is_asked_where_that_is_wanted(study: Path) -> None:
    tell(study)
    assert look(study, from_store=True).status.detail == STORED


def test_directory_that_holds_no_study_is_named(tmp_path: Path) -> None:
    for from_store in (False, True):
        with pytest.raises(ValueError, match="is no study"):
            look(tmp_path, from_store=from_store)


def test_driver_that_is_gone_is_told_with_how_to_go_on(study: Path) -> None:
    tell(study)
    console, output = terminal()
    show(study, console, from_store=False)
    assert f"its driver (process 1 on {socket.gethostname()}) is gone" in " ".join(output.getvalue().split())
    assert f"kd-study resume {study}" in "".join(output.getvalue().split("\n"))


def test_driver_on_another_machine_is_judged_by_what_it_told_not_by_the_storage(study: Path) -> None:
    """No epoch has ended for an hour: the storage is as old, and the driver waits."""
    journal = StudyPaths(study).journal
    write_record(StudyPaths(study).status_json, status(host="another"))
    seen = look(study, from_store=True)
    assert journal.exists()
    assert not seen.is_abandoned
    write_record(StudyPaths(study).status_json, status(host="another", updated_at=ago(300)))
    assert look(study, from_store=True).is_abandoned


def followed(study: Path, steps: Sequence[Callable[[], object]], *, is_terminal: bool = False) -> tuple[int, str]:
    """Watch, under a driver that does the next of these while the watcher waits."""
    console, output = terminal(is_one=is_terminal)
    pending = iter(steps)

    def pause(seconds: float) -> None:
        assert seconds >= following.SECONDS_BETWEEN_LOOKS
        next(pending)()

    with hold(StudyPaths(study).lock):
        code = follow(study, console, from_store=False, pause=pause)
    assert next(pending, None) is None, "it ended too soon"
    return code, output.getvalue()


@pytest.mark.parametrize(("stage", "code"), [("done", 0), ("failed", 1), ("interrupted", 130)])
def test_watching_ends_as_the_study_does(study: Path, stage: str, code: int) -> None:
    tell(study, stage="teach")
    steps = [lambda: tell(study, num_trials={"running": 2}), lambda: tell(study, stage=stage)]
    assert followed(study, steps)[0] == code


def test_each_change_is_a_line_where_there_is_no_terminal(study: Path) -> None:
    tell(study, num_trials={"running": 2})
    steps = [
        lambda: tell(study, num_trials={"running": 2}),
        lambda: tell(study, num_trials={"running": 1, "complete": 1}),
        lambda: tell(study, stage="done", num_trials={"complete": 2}),
    ]
    lines = followed(study, steps)[1].splitlines()
    assert lines == [
        "test  search  as told  trials: 2 running, of 24",
        "test  search  as told  trials: 1 complete, 1 running, of 24",
        "test  done  as told",
        "trials: 2 complete, of 24",
    ]


def test_terminal_shows_one_view_that_changes_in_place(study: Path) -> None:
    tell(study, num_trials={"running": 2})
    steps = [lambda: tell(study, stage="done", num_trials={"complete": 2})]
    code, text = followed(study, steps, is_terminal=True)
    assert code == 0
    assert "2 running" in text
    assert "2 complete" in text
    assert "\x1b[1A\x1b[2K" in text, "the line above is erased"


def test_ctrl_c_ends_watching_as_a_shell_says_it(study: Path) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    tell(study)
    assert followed(study, [press])[0] == 130


def test_ctrl_c_reaches_the_command(study: Path) -> None:
    tell(study, updated_at=datetime.now(UTC))
    with hold(StudyPaths(study).lock):
        command = kd_study("status", str(study), "--watch")
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        assert process.stdout is not None
        assert "as told" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


def test_watching_ends_where_the_driver_is_gone(study: Path) -> None:
    tell(study)
    console, output = terminal()
    assert follow(study, console, from_store=False, pause=lambda _: None) == 1
    assert "is gone" in output.getvalue()


def test_reading_takes_a_tenth_of_the_time_at_most(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(study)
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        raise KeyboardInterrupt

    seen = look(study, from_store=False)
    slow = following.Look(seen.status, is_abandoned=False, seconds=4.0)
    monkeypatch.setattr(following, "look", lambda *_, **__: slow)
    follow(study, terminal()[0], from_store=False, pause=pause)
    assert waited == [40.0]
