"""How far a study is: `status.json` for others, a live view on a terminal, plain lines where there is none."""

import contextlib
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, final

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from analysis.pareto import front
from study.status import format_parameters, format_value, status_view
from trainables.config import StudentConfig
from trainables.metrics import Metric
from trainables.records import ENDED, StatusRecord, StudyRecord, TrialRecord, TrialState
from trainables.study_paths import StudyPaths
from trainables.whole_files import write_record

SECONDS_BETWEEN_WRITES = 1.0
PAUSED = "paused"  # as people are told; Optuna has no such state
SECONDS_WITHOUT_NEWS = 10.0  # after which `status.json` is written all the same: who reads it sees that a driver lives


@final
class Progress:
    """Use as a context manager around a study; every method shows at once and writes `status.json` now and then."""

    def __init__(self, paths: StudyPaths, record: StudyRecord, console: Console, num_trials: int) -> None:
        self._paths = paths
        self._name = record.name
        self._objectives = record.objective_metrics
        self._own_metrics = record.own_metrics
        self._console = console
        self._num_trials = num_trials
        self._started_at = datetime.now(UTC)
        self._started = time.monotonic()
        self._stage, self._detail = "teach", ""
        self._teachers: str | None = None
        self._trials = dict[int, TrialRecord]()
        self.gpu_share: Callable[[StudentConfig], float] | None = None  # of each student, once it is planned
        self._counts = Counter[str]()  # by state, as people are told
        self._front: tuple[TrialRecord, ...] = ()
        self._not_looked_at: list[TrialRecord] = []  # that have ended since the front was asked for
        self._looking = threading.Lock()
        self._ended = set[int]()
        self._num_ended = 0  # of those that count
        self._num_ended_before: int | None = None
        self._search_started = 0.0
        self._written = -SECONDS_BETWEEN_WRITES
        self._writing = threading.Lock()
        self._watchers: list[Callable[[Sequence[TrialRecord]], None]] = []
        self._live = Live(console=console, get_renderable=self._view, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """All of them, as last shown."""
        return list(self._trials.values())

    def tell_changes_to(self, watcher: Callable[[Sequence[TrialRecord]], None]) -> None:
        """From here on, call it with the trials that have changed; the first time, with all that there are."""
        self._watchers.append(watcher)

    def beat(self) -> None:
        """There may be no news, and there is a driver; may be called from any thread."""
        if time.monotonic() - self._written >= SECONDS_WITHOUT_NEWS:
            self._write()

    def stage(self, stage: str, detail: str) -> None:
        """A stage begins, or is skipped, as `detail` says."""
        self._stage, self._detail = stage, detail
        self.line(f"{stage:<8} {detail}")
        self._write(at_once=True)

    def line(self, text: str) -> None:
        """One plain line that stays on the screen."""
        seconds = time.monotonic() - self._started
        self._console.print(Text(f"{seconds:6.0f} s  {text}"), soft_wrap=True)

    def detail(self, text: str) -> None:
        """What the stage is at; a line of its own where there is no live view."""
        self._detail = text
        if not self._console.is_terminal:
            self.line(f"{'':<8} {text}")
        self._write()

    def show_teachers(self, text: str) -> None:
        """Who teaches the students, from here on."""
        self._teachers = text
        self._write(at_once=True)

    def show_trials(self, trials: Sequence[TrialRecord], num_trials: int) -> None:
        """The trials as they stand now, all of them or those that have changed.

        A record is made anew when its trial changes: what is the same object has not.
        """
        changed = [each for each in trials if self._trials.get(each.number) is not each]
        counts = self._counts.copy()
        counts.subtract(_shown_state(self._trials[each.number]) for each in changed if each.number in self._trials)
        counts.update(map(_shown_state, changed))
        ended = [trial for trial in changed if trial.state in ENDED and trial.number not in self._ended]
        if ended:
            self._ended.update(trial.number for trial in ended)
            self._num_ended += sum(trial.counts for trial in ended)
            with self._looking:
                self._not_looked_at += ended
        self._trials.update((each.number, each) for each in changed)
        self._num_trials, num_ended = num_trials, self._num_ended
        self._counts = +counts  # in one step: other threads read it
        if self._num_ended_before is None:
            self._num_ended_before, self._search_started = num_ended, time.monotonic()
        elif not self._console.is_terminal:
            for trial in ended:
                self.line(f"{'':<8} {num_ended}/{num_trials}  {describe(trial, self._objectives)}")
        for watcher in self._watchers:
            watcher(changed)
        self._write()

    def finish(self, stage: str, detail: str) -> None:
        """The last word: stage "done" or "failed"."""
        self._stage, self._detail = stage, detail
        self._write(at_once=True)

    def status(self) -> StatusRecord:
        """What `status.json` says."""
        return StatusRecord(
            name=self._name,
            stage=self._stage,
            detail=self._detail,
            num_target_trials=self._num_trials,
            num_trials=dict(self._counts),
            front=tuple(_rows(self._front_now(), self._objectives)),
            started_at=self._started_at,
            updated_at=datetime.now(UTC),
            seconds_left=self._seconds_left(),
            teachers=self._teachers,
            own_metrics=self._own_metrics,
            pid=os.getpid(),
            host=socket.gethostname(),
        )

    def _front_now(self) -> tuple[TrialRecord, ...]:
        """Of all that have ended; what is dominated once stays so."""
        with self._looking:
            if self._not_looked_at:
                self._front = front([*self._front, *self._not_looked_at], self._objectives)
                self._not_looked_at = []
            return self._front

    def _seconds_left(self) -> float | None:
        """Of the search, at the pace so far, a paused trial taken as ended; None while there is no pace."""
        if self._stage != "search" or self._num_ended_before is None:
            return None
        num_ended = self._num_ended + self._counts[PAUSED]
        num_new = num_ended - self._num_ended_before
        if num_new == 0:
            return None
        return (time.monotonic() - self._search_started) / num_new * (self._num_trials - num_ended)

    def _write(self, *, at_once: bool = False) -> None:
        with self._writing:  # what is older never replaces what is newer
            now = time.monotonic()
            if at_once or now - self._written >= SECONDS_BETWEEN_WRITES:
                self._written = now
                with contextlib.suppress(OSError):  # of a full disk: what is shown may be old, what is done goes on
                    write_record(self._paths.status_json, self.status())

    def _view(self) -> RenderableType:
        return status_view(self.status())


def describe(trial: TrialRecord, objectives: Sequence[Metric]) -> str:
    """A trial in one line."""
    values = ", ".join(f"{each.name} {format_value(trial.metrics.get(each.name))}" for each in objectives)
    outcome = values if trial.state is TrialState.COMPLETE else f"{trial.state.value}: {trial.reason}"
    repeats = "" if trial.duplicate_of is None else f" (repeats trial {trial.duplicate_of})"
    return f"trial {trial.number}: {format_parameters(trial.parameters)}: {outcome}{repeats}"


def counts_by_state(trials: Iterable[TrialRecord]) -> dict[str, int]:
    """How many trials are in each state, as people are told; a state that none is in is left out."""
    return dict(Counter(map(_shown_state, trials)))


def front_rows(trials: Sequence[TrialRecord], objectives: Sequence[Metric]) -> Iterator[dict[str, Any]]:
    """The front of a `StatusRecord`."""
    return _rows(front(trials, objectives), objectives)


def _rows(on_front: Sequence[TrialRecord], objectives: Sequence[Metric]) -> Iterator[dict[str, Any]]:
    for trial in on_front:
        values = {each.name: trial.metrics[each.name] for each in objectives}
        yield {"number": trial.number, "parameters": trial.parameters, "objectives": values}


def _shown_state(trial: TrialRecord) -> str:
    """A trial that has been asked ahead waits, and a paused one does not run, whatever Optuna calls them."""
    if trial.is_paused:
        return PAUSED
    return (TrialState.WAITING if trial.state is TrialState.RUNNING and not trial.spans else trial.state).value
