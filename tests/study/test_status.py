"""Status: written by the driver, read and shown without it."""

import io
import socket
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from study import store as stores
from study.locks import hold
from study.progress import Progress, counts_by_state, describe, front_rows
from study.status import find_studies, is_abandoned, read_status, status_view
from tests.factories import study_config
from trainables.metrics import metric
from trainables.records import ENDED, StatusRecord, StudyRecord, TrialRecord, TrialState
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_record

OBJECTIVES = (metric("validation_accuracy"), metric("latency_p50_ms_batch1"))


def trial(number: int, state: TrialState, accuracy: float = 0.9, latency: float = 0.2, **fields: Any) -> TrialRecord:
    given: dict[str, Any] = {
        "number": number,
        "state": state,
        "parameters": {"width": 8, "method": "kd", "temperature": 4.0},
        "student": None,
        "metrics": {"validation_accuracy": accuracy, "latency_p50_ms_batch1": latency},
        "epochs": (),
        "origin": "search",
        "duplicate_of": None,
        "reason": None,
        "slot": 0,
        "spans": (),
        "facts": {},
        **fields,
    }
    return TrialRecord(**given)


def status(**fields: Any) -> StatusRecord:
    given: dict[str, Any] = {
        "name": "mnist",
        "stage": "search",
        "detail": "",
        "num_target_trials": 24,
        "num_trials": {"complete": 3, "running": 2},
        "front": (),
        "started_at": datetime.now(UTC),
        "updated_at": datetime.now(UTC),
        "seconds_left": 90.0,
        "pid": 1,
        "host": socket.gethostname(),
        **fields,
    }
    return StatusRecord(**given)


def shown(renderable: Any, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def new_progress(directory: Path) -> tuple[Progress, io.StringIO]:
    with stores.create(directory, study_config()) as store:
        output = io.StringIO()
        return Progress(store.paths, store.record, Console(file=output, width=200), 4), output


def test_status_says_stage_trials_front_and_time_left() -> None:
    row = {"number": 7, "parameters": {"width": 4}, "objectives": {"validation_accuracy": 0.98}}
    text = shown(status_view(status(front=(row,))))
    for expected in ("mnist", "search", "3 complete, 2 running, of 24", "about 90 s left", "7", "width 4", "0.98"):
        assert expected in text


def test_progress_writes_what_status_reads(tmp_path: Path) -> None:
    progress, _ = new_progress(tmp_path)
    progress.stage("search", "4 students")
    asked_ahead = trial(2, TrialState.RUNNING)
    progress.show_trials(
        [trial(0, TrialState.COMPLETE), trial(1, TrialState.RUNNING, spans=((1.0, None),)), asked_ahead], 4
    )
    progress.finish("done", "report.html")
    read = read_status(tmp_path)
    assert read.stage == "done"
    assert read.num_trials == {"complete": 1, "running": 1, "waiting": 1}
    assert [row["number"] for row in read.front] == [0]


def test_stopped_trial_never_enters_the_front_of_the_status(tmp_path: Path) -> None:
    progress, _ = new_progress(tmp_path)
    trials = [
        trial(0, TrialState.COMPLETE, accuracy=0.8),
        trial(1, TrialState.PRUNED, accuracy=0.99),
        trial(2, TrialState.FAILED, accuracy=0.99),
        trial(3, TrialState.COMPLETE, accuracy=0.99, duplicate_of=0),
    ]
    progress.show_trials(trials, 4)
    assert [row["number"] for row in progress.status().front] == [0]


def test_each_ended_trial_is_one_line_where_there_is_no_terminal(tmp_path: Path) -> None:
    progress, output = new_progress(tmp_path)
    with progress:
        progress.show_trials([trial(0, TrialState.RUNNING)], 4)
        progress.show_trials([trial(0, TrialState.COMPLETE)], 4)
        progress.show_trials([trial(0, TrialState.COMPLETE)], 4)
    lines = [line for line in output.getvalue().splitlines() if "trial 0" in line]
    assert len(lines) == 1
    assert "1/4" in lines[0]
    assert "validation_accuracy 0.9" in lines[0]


def test_trial_of_an_earlier_launch_is_not_told_again(tmp_path: Path) -> None:
    progress, output = new_progress(tmp_path)
    progress.show_trials([trial(0, TrialState.COMPLETE)], 4)
    progress.show_trials([trial(0, TrialState.COMPLETE), trial(1, TrialState.COMPLETE)], 4)
    assert "trial 0" not in output.getvalue()
    assert "trial 1" in output.getvalue()


def test_failed_trial_says_why() -> None:
    text = describe(trial(3, TrialState.FAILED, reason="OutOfMemoryError: 2 GiB"), OBJECTIVES)
    assert text == "trial 3: width 8, method kd, temperature 4: fail: OutOfMemoryError: 2 GiB"


def test_directory_without_status_is_told_apart_from_one_without_a_study(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no study"):
        read_status(tmp_path)
    with stores.create(tmp_path / "s", study_config()):
        pass
    with pytest.raises(ValueError, match="has not begun"):
        read_status(tmp_path / "s")


def test_torn_status_is_named(tmp_path: Path) -> None:
    StudyPaths(tmp_path).status_json.write_text('{"name": "mn')
    with pytest.raises(ValueError, match=r"status\.json: cannot be read"):
        read_status(tmp_path)


def test_study_is_abandoned_when_no_driver_holds_it_and_it_has_not_ended(tmp_path: Path) -> None:
    lock = StudyPaths(tmp_path).lock
    assert is_abandoned(tmp_path, status())
    with hold(lock):
        assert not is_abandoned(tmp_path, status())
    assert is_abandoned(tmp_path, status())
    assert not is_abandoned(tmp_path, status(stage="done"))
    assert not is_abandoned(tmp_path, status(stage="interrupted"))


def test_driver_on_another_machine_is_gone_only_when_its_status_is_old(tmp_path: Path) -> None:
    """Its lock may not be seen from here; it writes its status every 10 s, come what may."""
    now = datetime.now(UTC)
    assert not is_abandoned(tmp_path, status(host="another", updated_at=now - timedelta(seconds=25)))
    assert is_abandoned(tmp_path, status(host="another", updated_at=now - timedelta(seconds=35)))
    assert not is_abandoned(tmp_path, status(host="another", updated_at=now - timedelta(days=1), stage="done"))


def test_status_is_written_again_where_there_has_been_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress, _ = new_progress(tmp_path)
    progress.stage("teach", "an epoch that takes minutes")
    first = read_status(tmp_path).updated_at
    progress.beat()
    assert read_status(tmp_path).updated_at == first
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + 11.0)
    progress.beat()
    assert read_status(tmp_path).updated_at > first


def test_watcher_is_told_of_all_trials_once_and_then_of_those_that_changed(tmp_path: Path) -> None:
    progress, _ = new_progress(tmp_path)
    told: list[list[int]] = []
    progress.tell_changes_to(lambda trials: told.append([each.number for each in trials]))
    first, second = trial(0, TrialState.COMPLETE), trial(1, TrialState.RUNNING)
    progress.show_trials([first, second], 4)
    progress.show_trials([first, trial(1, TrialState.COMPLETE), trial(2, TrialState.RUNNING)], 4)
    assert told == [[0, 1], [1, 2]]


def test_studies_are_found_in_a_folder_and_one_below(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with stores.create(tmp_path / name, study_config()):
            pass
    (tmp_path / "notes").mkdir()
    assert {path.name for path in find_studies(tmp_path)} == {"a", "b"}
    assert [path.name for path in find_studies(tmp_path / "a")] == ["a"]
    assert find_studies(tmp_path / "none") == []


def test_interrupted_write_leaves_the_old_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    write_record(path, status(stage="teach"))

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        write_record(path, status(stage="search"))
    assert read_status(tmp_path).stage == "teach"


@given(
    events=st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from([TrialState.RUNNING, *sorted(ENDED)]),
            st.integers(0, 3),
            st.integers(0, 3),
        ),
        max_size=20,
    )
)
def test_status_after_any_events_is_that_of_all_trials_seen_at_once(
    events: list[tuple[int, TrialState, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is carried from event to event is what a look through all of them gives."""
    record = StudyRecord(
        name="s",
        created_at=datetime.now(UTC),
        objectives=tuple(each.name for each in OBJECTIVES),
        config={},
        fingerprint="",
        versions={},
    )
    paths = StudyPaths(tmp_path_factory.mktemp("study"))
    progress = Progress(paths, record, Console(file=io.StringIO()), 6)
    trials: dict[int, TrialRecord] = {}
    for place, state, accuracy, latency in events:
        number = min(place, len(trials))
        if number in trials and trials[number].state in ENDED:
            continue  # an end is final
        spans = ((1.0, None),) if accuracy else ()
        trials[number] = trial(number, state, accuracy=float(accuracy), latency=float(latency), spans=spans)
        progress.show_trials(list(trials.values()), 6)
    seen = progress.status()
    assert seen.num_trials == counts_by_state(trials.values())
    assert list(seen.front) == list(front_rows(list(trials.values()), OBJECTIVES))
