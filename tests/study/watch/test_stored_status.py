"""A status from the storage alone, held against what the driver tells of the same study."""

import gc
import io
import shutil
from pathlib import Path

import optuna
import pytest
from rich.console import Console

import search_spaces
from study import store as stores
from study.progress import Progress
from study.search.proposer import Proposer
from study.watch.stored_status import stored_status
from tests.factories import study_config
from tests.test_architecture import loaded_after_importing
from trainables.study_paths import StudyPaths


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished, one stopped, one at work, one asked ahead; `status.json` is of that moment."""
    directory = tmp_path_factory.mktemp("stored") / "study"
    with stores.create(directory, study_config()) as store:
        proposer = Proposer(store, search_spaces.build(store.config.space), lambda _: {"latency_p50_ms_batch1": 0.2})
        progress = Progress(store.paths, store.record, Console(file=io.StringIO()), 6)
        progress.stage("search", "6 students")
        for number in range(4):
            assert proposer.next() is not None
            if number < 3:
                proposer.started(number, number)
                proposer.record_epoch(number, {"epoch": 1.0, "validation_accuracy": 0.5})
        proposer.complete(0, {"validation_accuracy": 0.5, "latency_p50_ms_batch1": 0.2}, {})
        proposer.prune(1, {"validation_accuracy": 0.4}, {}, "stopped")
        progress.show_trials(proposer.records(), proposer.num_trials)
        progress.show_teachers("cnn(width=4)")
    return directory


@pytest.fixture
def copy(study: Path, tmp_path: Path) -> Path:
    return shutil.copytree(study, tmp_path / "study")


def test_storage_shows_what_the_driver_told(study: Path) -> None:
    told = StudyPaths(study).status_json.read_text("utf-8")
    stored = stored_status(study)
    assert stored.num_trials == {"complete": 1, "pruned": 1, "running": 1, "waiting": 1}
    assert [row["number"] for row in stored.front] == [0]
    same = ("name", "stage", "num_target_trials", "num_trials", "front", "started_at", "teachers", "pid", "host")
    last = type(stored).model_validate_json(told)
    assert {name: getattr(stored, name) for name in same} == {name: getattr(last, name) for name in same}


def test_storage_alone_is_enough(copy: Path) -> None:
    """Without `status.json` nobody has told who works on it."""
    StudyPaths(copy).status_json.unlink()
    stored = stored_status(copy)
    assert (stored.stage, stored.num_trials["complete"], stored.pid, stored.host) == ("search", 1, None, None)


def test_study_that_has_no_trial_yet_is_at_its_teacher(tmp_path: Path) -> None:
    with stores.create(tmp_path, study_config()):
        pass
    assert (stored_status(tmp_path).stage, stored_status(tmp_path).num_trials) == ("teach", {})


def test_nothing_is_written_and_the_collector_runs_again(copy: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    stored_status(copy)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
    assert gc.isenabled()


def test_storage_at_an_address_is_read_too(tmp_path: Path) -> None:
    config = study_config(storage=f"sqlite:///{tmp_path / 'trials.db'}")
    with stores.create(tmp_path / "study", config) as store:
        store.study.enqueue_trial({})
    assert stored_status(tmp_path / "study").num_trials == {"waiting": 1}
    optuna.delete_study(study_name=store.record.name, storage=config.storage or "")
    with pytest.raises(ValueError, match="holds no study named"):
        stored_status(tmp_path / "study")


def test_reading_a_storage_loads_neither_ray_nor_torch() -> None:
    assert loaded_after_importing(["study.watch.stored_status"], ["ray", "torch", "torchvision"]) == []
