"""Logs that a study is told to: one after the other, aside, and never at the study's cost."""

import importlib.util
import threading
from collections.abc import Sequence
from typing import Literal

import pytest

import search_spaces
from study.preflight import prepare
from study.watch.settings import LogsConfig
from study.watch.trial_logs import LOGS, TrialLogs, check_packages, wanted
from tests.factories import study_config
from tests.source_rules import imports
from tests.study.watch.views import trial
from tests.test_architecture import OURS
from trainables.records import TrialRecord, TrialState

TRIALS = [trial(0, TrialState.RUNNING)]


class Recorder:
    """A log that remembers, and fails once where it is told to."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.told: list[str] = []
        self._fails_at = fails_at

    def tell(self, trials: Sequence[TrialRecord]) -> None:
        if len(self.told) == self._fails_at:
            self._fails_at = None
            raise OSError("no space left on device")
        self.told.append(",".join(str(each.number) for each in trials))

    def close(self) -> None:
        self.told.append("closed")


def test_each_log_is_told_in_order_and_closed_last() -> None:
    first, second = Recorder(), Recorder()
    logs = TrialLogs({"first": lambda: first, "second": lambda: second}, pytest.fail)
    logs.tell(TRIALS)
    logs.tell([*TRIALS, trial(1, TrialState.RUNNING)])
    logs.close()
    assert first.told == second.told == ["0", "0,1", "closed"]


def test_slow_log_keeps_no_trial_waiting() -> None:
    may_go_on = threading.Event()

    class Slow(Recorder):
        def tell(self, trials: Sequence[TrialRecord]) -> None:
            assert may_go_on.wait(timeout=10.0)
            super().tell(trials)

    slow = Slow()
    logs = TrialLogs({"slow": lambda: slow}, pytest.fail)
    logs.tell(TRIALS)
    assert slow.told == []
    may_go_on.set()
    logs.close()
    assert slow.told == ["0", "closed"]


def test_log_that_fails_is_told_of_once_and_left_out() -> None:
    failing, other, said = Recorder(fails_at=1), Recorder(), list[str]()
    logs = TrialLogs({"mlflow": lambda: failing, "other": lambda: other}, said.append)
    for _ in range(4):
        logs.tell(TRIALS)
    logs.close()
    assert failing.told == ["0"]
    assert other.told == ["0", "0", "0", "0", "closed"]
    assert said == ["mlflow: OSError: no space left on device: it is told no more; `resume` will tell it the rest"]


def test_log_that_cannot_be_opened_is_told_of_once() -> None:
    said = list[str]()

    def opened() -> Recorder:
        raise OSError("no server")

    logs = TrialLogs({"mlflow": opened}, said.append)
    logs.tell(TRIALS)
    logs.close()
    assert len(said) == 1


def test_only_what_is_on_is_wanted() -> None:
    assert wanted(LogsConfig()) == []
    assert wanted(LogsConfig(tensorboard=True, mlflow="sqlite:///a.db")) == ["tensorboard", "mlflow"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LogsConfig(tensorboard=True), r"logs\.tensorboard = True: .* pip install 'kd-study\[tensorboard\]'"),
        (LogsConfig(mlflow="http://a:1"), r"logs\.mlflow = 'http://a:1': .* pip install 'kd-study\[mlflow\]'"),
    ],
)
def test_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, config: LogsConfig, message: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=message):
        check_packages(config)
    check_packages(LogsConfig())


def test_packages_are_imported_where_they_are_wanted_alone() -> None:
    """A study without logs must run where neither is installed: their modules are reached by name."""
    optional = ("tensorboard", "torch.utils.tensorboard", "mlflow", *(each.partition(":")[0] for each in LOGS.values()))
    importing = {
        source.path
        for source in OURS
        for _, name in imports(source)
        if f"{name}.".startswith(tuple(f"{o}." for o in optional))
    }
    assert importing == {"study/watch/tensorboard_log.py", "study/watch/mlflow_log.py"}


@pytest.mark.parametrize("stage", ["teach", "profile", "study"])
def test_logs_change_no_result(stage: Literal["teach", "profile", "study"]) -> None:
    logged = study_config(logs={"tensorboard": True, "mlflow": "http://host:5000"})
    assert logged.fingerprint(stage) == study_config().fingerprint(stage)
    assert study_config().logs == LogsConfig()


def test_study_is_refused_before_anything_is_built_where_a_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(search_spaces, "build", pytest.fail)
    with pytest.raises(ValueError, match=r"the package mlflow is not installed"):
        prepare(study_config(logs={"mlflow": "http://host:5000"}))
