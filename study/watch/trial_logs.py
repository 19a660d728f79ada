"""Logs of other tools that a study is told to, from one thread of their own, by the driver alone."""

import functools
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar, cast, final

from study.store import StudyStore
from study.watch.settings import LogsConfig
from trainables.records import TrialRecord
from trainables.registry import resolve

# By field of `LogsConfig`: what opens it, reached by name, for its package is there only where someone wants it.
LOGS = {
    "tensorboard": "study.watch.tensorboard_log:open_log",
    "mlflow": "study.watch.mlflow_log:open_log",
}
CHECKS = {"mlflow": "study.watch.mlflow_log:check"}
# MLflow's usage statistics are off, as Ray's; and what does not answer shall say so in seconds, not in minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}

_Result = TypeVar("_Result")


class TrialLog(Protocol):
    """One place that epochs are told to. What stands there already, it does not write again."""

    def tell(self, trials: Sequence[TrialRecord]) -> None:
        """Trials that have changed since they were told; at a launch's begin, every one that the study has."""

    def close(self) -> None:
        """The launch ends."""


def wanted(config: LogsConfig) -> list[str]:
    """The logs that are on."""
    return [name for name in LOGS if getattr(config, name)]


def check_packages(config: LogsConfig) -> None:
    """See that what is wanted can be written.

    Raises:
        ValueError: its package is not installed.
    """
    for name in wanted(config):
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                f"logs.{name} = {getattr(config, name)!r}: the package {name} is not installed: "
                f"pip install 'kd-study[{name}]', or leave the field out"
            )


def check_answers(config: LogsConfig) -> None:
    """See that a server that is to be told answers, before a study is begun.

    Raises:
        ValueError: it does not, or the address is none.
    """
    _set_environment()
    for name in wanted(config):
        if name in CHECKS:
            check = cast("Callable[[str], None]", resolve("check", CHECKS, name))
            check(getattr(config, name))


def open_logs(store: StudyStore) -> dict[str, Callable[[], TrialLog]]:
    """For each log that is wanted, what opens it."""
    _set_environment()
    config = store.config.logs
    openers = {name: cast("Callable[[StudyStore], TrialLog]", resolve("log", LOGS, name)) for name in wanted(config)}
    return {name: functools.partial(opener, store) for name, opener in openers.items()}


@final
class TrialLogs:
    """Tells all logs, in one thread: a slow one keeps no trial waiting.

    One that fails is told of once and left out from then on: the study's own storage has everything, and the next
    launch tells the log what it lacks.
    """

    def __init__(self, openers: Mapping[str, Callable[[], TrialLog]], say: Callable[[str], None]) -> None:
        self._say = say
        self._failed: set[str] = set()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="logs")
        self._logs = {name: self._submit(name, opener) for name, opener in openers.items()}

    def tell(self, trials: Sequence[TrialRecord]) -> None:
        """Trials that have changed; at first, every one."""
        for name in self._logs:
            self._submit(name, self._tell, name, trials)

    def close(self) -> None:
        """Wait until all is written."""
        for name in self._logs:
            self._submit(name, self._close, name)
        self._executor.shutdown(wait=True)

    def _tell(self, name: str, trials: Sequence[TrialRecord]) -> None:
        if name not in self._failed:
            self._logs[name].result().tell(trials)

    def _close(self, name: str) -> None:
        if name not in self._failed:
            self._logs[name].result().close()

    def _submit(self, name: str, function: Callable[..., _Result], *arguments: object) -> "Future[_Result]":
        future = self._executor.submit(function, *arguments)
        future.add_done_callback(functools.partial(self._note, name))
        return future

    def _note(self, name: str, future: "Future[object]") -> None:
        error = future.exception()
        if error is not None and name not in self._failed:
            self._failed.add(name)
            self._say(f"{name}: {type(error).__name__}: {error}: it is told no more; `resume` will tell it the rest")


def _set_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
