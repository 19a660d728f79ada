"""A study's status, for whoever asks from outside: read from `status.json` alone, without Ray, torch or the storage."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from study.locks import is_held
from trainables.metrics import metric
from trainables.records import StatusRecord
from trainables.study_paths import StudyPaths
from trainables.whole_files import read_record

ENDED_STAGES = frozenset({"done", "failed", "interrupted"})
OLD = timedelta(seconds=30)  # a driver writes its status every few seconds, whatever it waits for


def read_status(directory: Path) -> StatusRecord:
    """The status that the driver wrote last.

    Raises:
        ValueError: there is no study in `directory`, or none that has begun, or its status cannot be read.
    """
    paths = StudyPaths(directory)
    status = read_record(paths.status_json, StatusRecord)
    if status is None:
        what = "has not begun" if paths.study_json.exists() else "is no study"
        raise ValueError(f"{directory} {what}: there is no {paths.status_json.name} in it")
    return status


def told(paths: StudyPaths) -> StatusRecord | None:
    """The same; None where there is none that can be read: it may be damaged, or of another version."""
    try:
        return read_record(paths.status_json, StatusRecord)
    except ValueError:
        return None


def find_studies(root: Path) -> list[Path]:
    """Directories under `root` (itself, and one level below) that hold a study, newest last."""
    if not root.is_dir():
        return []
    found = [path for path in (root, *root.iterdir()) if StudyPaths(path).study_json.is_file()]
    return sorted(found, key=lambda path: StudyPaths(path).study_json.stat().st_mtime)


def is_old(status: StatusRecord) -> bool:
    """Whether a driver at work would have written another by now, if the clocks of both machines agree."""
    return status.stage not in ENDED_STAGES and datetime.now(UTC) - status.updated_at > OLD


def is_abandoned(directory: Path, status: StatusRecord) -> bool:
    """Whether a driver should be at work and none is.

    Not every shared storage shows a lock to other machines: there, a driver on another one counts as gone only when its
    status is old, too.
    """
    if status.stage in ENDED_STAGES or is_held(StudyPaths(directory).lock):
        return False
    return status.host in {None, socket.gethostname()} or is_old(status)


def status_view(status: StatusRecord) -> RenderableType:
    """A status as a person reads it on a terminal."""
    head = Text.assemble((status.name, "bold"), f"  {status.stage}  {status.detail}")
    left = "" if status.seconds_left is None else f"  about {_duration(status.seconds_left)} left"
    trials = Text(f"{trials_in_words(status)}{left}")
    lines = [head, *([] if status.teachers is None else [Text(f"teacher: {status.teachers}")]), trials]
    return Group(*lines, front_table(status)) if status.front else Group(*lines)


def trials_in_words(status: StatusRecord) -> str:
    """``trials: 3 complete, 2 running, of 24``."""
    names = {"fail": "failed", "running": "running" if status.stage == "search" else "unfinished"}
    counts = ", ".join(
        f"{count} {names.get(state, state)}" for state, count in sorted(status.num_trials.items()) if state != "waiting"
    )
    return f"trials: {counts or 'none yet'}, of {status.num_target_trials}"


def front_table(status: StatusRecord) -> Table:
    """The students on the front, one row each."""
    table = Table(title="front so far" if status.stage != "done" else "front", title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column("student")
    names = list(status.front[0]["objectives"]) if status.front else []
    for name in names:
        table.add_column(metric(name, status.own_metrics).axis_title, justify="right")
    for row in status.front:
        values = [format_value(row["objectives"][name]) for name in names]
        table.add_row(str(row["number"]), format_parameters(row["parameters"]), *values)
    return table


def format_parameters(parameters: dict[str, Any]) -> str:
    """``width 8, method kd, ...``."""
    return ", ".join(f"{name} {format_value(value)}" for name, value in parameters.items())


def format_value(value: object) -> str:
    """Four significant digits; an unknown number is a dash."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
