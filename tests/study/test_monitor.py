"""Tune's events, played by hand, as they reach the store and the status."""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import search_spaces
from study import store as stores
from study.monitor import Monitor
from study.progress import Progress
from study.search.proposer import Proposer
from study.search.slots import Slots
from tests.factories import study_config


class Launch:
    """A monitor with all that it writes to, and two trials handed out."""

    def __init__(self, store: stores.StudyStore) -> None:
        space = search_spaces.build(store.config.space)
        self.proposer = Proposer(store, space, lambda _: {"latency_p50_ms_batch1": 0.2})
        self.progress = Progress(store.paths, store.record, Console(file=io.StringIO()), 6)
        self.monitor = Monitor(self.proposer, Slots(), self.progress)
        for _ in range(3):
            self.proposer.next()

    def start(self, number: int) -> None:
        self.monitor.on_trial_start(0, [], tune_trial(number))

    def slot(self, number: int) -> int | None:
        return self.proposer.records()[number].slot


def tune_trial(number: int) -> SimpleNamespace:
    return SimpleNamespace(trial_id=f"tune{number}", config={"number": number})


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    with stores.create(tmp_path, study_config()) as store:
        yield Launch(store)


def test_started_trial_has_a_slot_and_an_open_span_in_the_store(launch: Launch) -> None:
    launch.start(0)
    launch.start(1)
    assert [launch.slot(0), launch.slot(1)] == [0, 1]
    assert [end for _, end in launch.proposer.records()[1].spans] == [None]


def test_slot_of_an_ended_trial_is_free_for_the_next(launch: Launch) -> None:
    launch.start(0)
    launch.start(1)
    launch.monitor.on_trial_complete(1, [], tune_trial(0))
    launch.start(2)
    assert launch.slot(2) == 0


def test_trial_whose_process_died_has_a_span_for_each_process(launch: Launch) -> None:
    launch.start(0)
    launch.monitor.on_trial_recover(1, [], tune_trial(0))
    launch.start(0)
    assert len(launch.proposer.records()[0].spans) == 2
    assert launch.slot(0) == 0


def test_trial_that_failed_for_good_leaves_its_slot(launch: Launch) -> None:
    launch.start(0)
    launch.monitor.on_trial_error(1, [], tune_trial(0))
    launch.start(1)
    assert launch.slot(1) == 0


def test_status_counts_what_has_a_process_as_running(launch: Launch) -> None:
    launch.start(0)
    launch.monitor.on_trial_result(1, [], tune_trial(0), {})
    assert launch.progress.status().num_trials == {"running": 1, "waiting": 2}


def test_tune_may_pickle_it(launch: Launch) -> None:
    assert pickle.loads(pickle.dumps(launch.monitor)).__dict__ == {}  # noqa: S301 - our own bytes
