"""`kd-study status`, once or again and again until the study has ended: without Ray and torch, from any machine."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from study.errors import EXIT_FAILED, EXIT_INTERRUPTED
from study.status import ENDED_STAGES, is_abandoned, is_old, read_status, status_view, told, trials_in_words
from trainables.records import StatusRecord
from trainables.registry import resolve
from trainables.study_paths import StudyPaths

# Loading what reads a storage takes longer than all of `status.json`: it is reached by name.
READERS = {"store": "study.watch.stored_status:stored_status"}
SECONDS_BETWEEN_LOOKS = 1.0
LOOK_SHARE = 0.1  # of the time, at most, that is spent reading
EXIT_CODES = {"done": 0, "interrupted": EXIT_INTERRUPTED}


@dataclass(frozen=True, slots=True)
class Look:
    """A study as seen once, and how long that took."""

    status: StatusRecord
    is_abandoned: bool
    seconds: float

    @property
    def has_ended(self) -> bool:
        """Whether nobody works on it any more."""
        return self.is_abandoned or self.status.stage in ENDED_STAGES


def look(directory: Path, *, from_store: bool) -> Look:
    """The status as its driver told it, or as the storage shows it: where asked, or what was told is old or missing.

    Raises:
        ValueError: there is no study in `directory`, or it cannot be read.
    """
    began = time.monotonic()
    paths = StudyPaths(directory)
    if not paths.study_json.exists():
        status = read_status(directory)  # says what is wrong
    else:
        last = None if from_store else told(paths)
        status = _stored(directory) if last is None or is_old(last) else last
    # The storage changes with each epoch alone: whether a driver lives, the status that it wrote tells.
    is_left = is_abandoned(directory, told(paths) or status)
    return Look(status, is_left, time.monotonic() - began)


def show(directory: Path, console: Console, *, from_store: bool) -> None:
    """Show it once.

    Raises:
        ValueError: there is no study in `directory`, or it cannot be read.
    """
    console.print(_view(directory, look(directory, from_store=from_store)))


def follow(directory: Path, console: Console, *, from_store: bool, pause: Callable[[float], None] = time.sleep) -> int:
    """Show it until it has ended, or Ctrl-C: in place, or on a line for each change where there is no terminal.

    Returns:
        The exit code of the study itself, as if it had run here.

    Raises:
        ValueError: there is no study in `directory`, or it cannot be read.
    """
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    shown = ""
    try:
        with live or contextlib.nullcontext():
            while True:
                seen = look(directory, from_store=from_store)
                if live is not None:
                    live.update(_view(directory, seen), refresh=True)
                elif (line := _line(seen.status)) != shown and not seen.has_ended:
                    console.print(line, soft_wrap=True)
                    shown = line
                if seen.has_ended:
                    break
                pause(max(SECONDS_BETWEEN_LOOKS, seen.seconds / LOOK_SHARE))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if live is None:
        console.print(_view(directory, seen))
    return EXIT_CODES.get(seen.status.stage, EXIT_FAILED)


def _stored(directory: Path) -> StatusRecord:
    return cast("Callable[[Path], StatusRecord]", resolve("reader", READERS, "store"))(directory)


def _view(directory: Path, seen: Look) -> RenderableType:
    shown = status_view(seen.status)
    if not seen.is_abandoned:
        return shown
    who = "" if seen.status.pid is None else f" (process {seen.status.pid} on {seen.status.host})"
    return Group(shown, Text(f"its driver{who} is gone: kd-study resume {directory}"))


def _line(status: StatusRecord) -> str:
    return f"{status.name}  {status.stage}  {status.detail}  {trials_in_words(status)}"
