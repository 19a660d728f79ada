"""The study directory: created whole, locked by the living, mended after the dead."""

import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest

from study import store as stores
from study.locks import StudyLockedError, hold
from study.store import mend_journal
from tests.factories import study_config
from trainables.patience import Patience
from trainables.records import EXHAUSTED_ATTRIBUTE, TrialState
from trainables.study_paths import StudyPaths


def make_study(directory: Path) -> None:
    with stores.create(directory, study_config()) as store:
        store.study.enqueue_trial({"width": 1})
        trial = store.study.ask()
        trial.suggest_categorical("width", [1, 2])
        trial.set_user_attr("epoch:1", {"epoch": 1, "validation_accuracy": 0.5})


def test_created_study_opens_with_what_it_was_asked(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    with stores.reopen(tmp_path / "s") as store:
        assert store.config == study_config()
        assert store.record.objectives == ("validation_accuracy", "latency_p50_ms_batch1")
        assert [trial.state for trial in store.trials()] == [TrialState.RUNNING]
        assert store.study.directions == [
            optuna.study.StudyDirection.MAXIMIZE,
            optuna.study.StudyDirection.MINIMIZE,
        ]


def test_optuna_alone_opens_the_journal(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "s" / "optuna.journal"))
    study = optuna.load_study(study_name="test", storage=optuna.storages.JournalStorage(backend))
    assert study.trials[0].params == {"width": 1}


def test_directory_that_holds_a_study_is_left_alone_and_resume_named(tmp_path: Path) -> None:
    make_study(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with (
        pytest.raises(ValueError, match=r"holds a study: .*kd-study resume"),
        stores.create(tmp_path, study_config()),
    ):
        pass
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_directory_with_other_files_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"not empty \(it holds thesis\.tex\)"):
        stores.check_vacant(tmp_path)


def test_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file/study: cannot be written to: .*file is no directory"):
        stores.check_vacant(tmp_path / "file" / "study")


def test_driver_that_died_before_its_study_stood_leaves_room_for_another(tmp_path: Path) -> None:
    (tmp_path / "driver.lock").write_text("process 1 on gone")
    (tmp_path / "optuna.journal").write_text('{"op_code": 0')
    with stores.create(tmp_path, study_config()) as store:
        assert store.trials() == []


def test_directory_without_a_study_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no study \(there is no study\.json in it\)"), stores.reopen(tmp_path):
        pass


def test_second_driver_is_refused_and_told_who_works(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    with (
        stores.reopen(tmp_path / "s"),
        pytest.raises(StudyLockedError, match=f"process {os.getpid()} on .* works on this study"),
        stores.reopen(tmp_path / "s"),
    ):
        pass


def _hold(directory: Path, ready: Any) -> None:
    with stores.reopen(directory):
        ready.set()
        signal.pause()


def test_dead_driver_does_not_hold_the_lock(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    driver = context.Process(target=_hold, args=(tmp_path / "s", ready))
    driver.start()
    assert ready.wait(60)
    driver.kill()
    driver.join()
    with stores.reopen(tmp_path / "s") as store:
        assert len(store.trials()) == 1


def test_journal_cut_at_every_byte_of_its_last_record_opens_and_goes_on(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    journal = tmp_path / "s" / "optuna.journal"
    whole = journal.read_bytes()
    start = whole.rfind(b"\n", 0, len(whole) - 1) + 1
    assert len(whole) - start > 50
    for cut in range(start, len(whole)):
        journal.write_bytes(whole[:cut])
        with stores.reopen(tmp_path / "s") as store:
            store.study.trials[0]
            trial_id = store.storage.get_trial_id_from_study_id_trial_number(0, 0)
            store.storage.set_trial_user_attr(trial_id, "epoch:1", {"epoch": 1, "validation_accuracy": 0.75})
        with stores.reopen(tmp_path / "s") as store:
            assert store.trials()[0].epochs[0]["validation_accuracy"] == 0.75


def test_whole_journal_is_not_touched(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    journal = tmp_path / "s" / "optuna.journal"
    before = journal.read_bytes()
    assert mend_journal(journal) == 0
    assert journal.read_bytes() == before
    assert all(isinstance(json.loads(line), dict) for line in before.splitlines())


def test_lock_that_a_dead_driver_left_on_the_journal_is_dropped(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    journal = tmp_path / "s" / "optuna.journal"
    (tmp_path / "s" / "optuna.journal.lock").symlink_to(journal)
    with stores.reopen(tmp_path / "s") as store:
        store.study.set_user_attr("written", value=True)  # would wait half a minute for the lock


def test_state_of_a_trial_that_has_ended_is_cleaned_away_on_opening(tmp_path: Path) -> None:
    make_study(tmp_path / "s")
    with stores.reopen(tmp_path / "s") as store:
        for number in (0, 1):
            store.paths.checkpoint(number).parent.mkdir(exist_ok=True)
            store.paths.checkpoint(number).touch()
        store.study.ask()
        store.study.tell(0, state=optuna.trial.TrialState.FAIL)
    with stores.reopen(tmp_path / "s") as store:
        assert not store.paths.checkpoint(0).exists()
        assert store.paths.checkpoint(1).exists()


def test_lock_that_cannot_be_written_is_told_with_its_folder_and_the_reason(tmp_path: Path) -> None:
    """As the owner's folder answers another user, or a file system that is read-only."""
    (tmp_path / "driver.lock").mkdir()
    with (
        pytest.raises(ValueError, match=f"{tmp_path}: cannot be written to: Is a directory"),
        hold(tmp_path / "driver.lock"),
    ):
        pass


def test_second_driver_leaves_the_journal_of_a_study_in_the_making(tmp_path: Path) -> None:
    """Between the first one's lock and its study.json the directory looks like a dead driver's remains."""
    journal = tmp_path / "optuna.journal"
    with hold(tmp_path / "driver.lock"):
        journal.write_text("of the first driver")
        with pytest.raises(StudyLockedError, match="works on this study"), stores.create(tmp_path, study_config()):
            pass
    assert journal.read_text() == "of the first driver"


@pytest.mark.parametrize("content", [b"", None])
def test_empty_or_missing_journal_is_said_so(tmp_path: Path, content: bytes | None) -> None:
    make_study(tmp_path / "s")
    journal = tmp_path / "s" / "optuna.journal"
    journal.unlink()
    if content is not None:
        journal.write_bytes(content)
    with pytest.raises(ValueError, match=r'optuna\.journal holds no study "test"'), stores.reopen(tmp_path / "s"):
        pass


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/study.db", "nosuchdb://x"])
def test_storage_that_cannot_be_opened_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=rf'storage = "{url}": cannot be opened'):
        stores.open_storage(StudyPaths(tmp_path), url, Patience(url, 0.0))


def test_studies_of_one_name_do_not_meet_in_a_shared_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for name in ("a/study", "b/study"):
        with stores.create(tmp_path / name, study_config(storage=url)) as store:
            store.study.ask()
            assert len(store.trials()) == 1
    with stores.reopen(tmp_path / "a" / "study") as store:
        assert len(store.trials()) == 1


def test_torn_record_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text('{"name": "mn')
    with pytest.raises(ValueError, match=r"study\.json: cannot be read: .*JSON"), stores.reopen(tmp_path):
        pass


def extend(directory: Path, num_trials: int) -> None:
    with stores.reopen(directory) as store:
        stores.configure_again(store, stores.extended(store.config, directory, num_trials))


def test_extended_study_is_asked_for_more_and_for_nothing_else(tmp_path: Path) -> None:
    make_study(tmp_path)
    extend(tmp_path, 20)
    with stores.reopen(tmp_path) as store:
        assert store.config.search.num_trials == 20
        assert store.config.model_copy(update={"search": study_config().search}) == study_config()
        assert store.record.fingerprint == store.config.fingerprint("study")
        assert len(store.trials()) == 1


def test_configured_shares_keep_their_proportions_when_extended(tmp_path: Path) -> None:
    search = {"num_trials": 6, "trials_per_method": {"labels": 2, "kd": 4}}
    with stores.create(tmp_path, study_config(search=search)):
        pass
    extend(tmp_path, 21)
    with stores.reopen(tmp_path) as store:
        assert store.config.search.trials_per_method == {"labels": 7, "kd": 14}


@pytest.mark.parametrize("num_trials", [5, 6])
def test_extending_to_no_more_than_there_is_is_refused(tmp_path: Path, num_trials: int) -> None:
    make_study(tmp_path)
    before = (tmp_path / "study.json").read_bytes()
    with pytest.raises(
        ValueError, match=rf"--trials {num_trials}: .* asked for 6 already .*kd-study resume .*; allowed are 7 and more"
    ):
        extend(tmp_path, num_trials)
    assert (tmp_path / "study.json").read_bytes() == before


def test_space_that_seemed_exhausted_is_asked_again_when_extended(tmp_path: Path) -> None:
    make_study(tmp_path)
    with stores.reopen(tmp_path) as store:
        store.study.set_user_attr(EXHAUSTED_ATTRIBUTE, value=True)
    extend(tmp_path, 20)
    with stores.reopen(tmp_path) as store:
        assert not store.study.user_attrs[EXHAUSTED_ATTRIBUTE]


def test_what_a_kill_left_of_a_write_is_swept_away_on_opening(tmp_path: Path) -> None:
    make_study(tmp_path)
    (tmp_path / "verify").mkdir()
    for name in ("verify/.0123abcd-mv2dd9lh.json", ".status-k1.json"):
        (tmp_path / name).touch()
    (tmp_path / "verify" / "0123abcd.json").write_text("{}")
    with stores.reopen(tmp_path):
        pass
    assert [path.name for path in (tmp_path / "verify").iterdir()] == ["0123abcd.json"]
    assert not list(tmp_path.glob(".*"))
