"""A study whose trials lie in PostgreSQL, from the system's package: locked, waited for, and gone on with elsewhere."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.results import read_study
from study import store as stores
from study.database import hold_in_database, open_database
from study.locks import StudyLockedError
from tests.end_to_end.conftest import SMALL, environment, kd_study, overrides, run
from tests.end_to_end.postgresql_server import PostgresqlServer, running_postgresql
from tests.factories import study_config
from trainables.patience import Patience, StoreUnwritableError
from trainables.records import TrialRecord, TrialState

pytest.importorskip("psycopg")
pytestmark = pytest.mark.slow  # a server, and two Ray clusters, one after the other


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with running_postgresql() as running:
        yield running


def test_one_driver_a_study_whatever_files_it_sees_and_others_beside_it(server: PostgresqlServer) -> None:
    with (
        hold_in_database(server.url, "one"),
        hold_in_database(server.url, "another"),
        pytest.raises(StudyLockedError, match='another driver works on study "one"'),
        hold_in_database(server.url, "one"),
    ):
        pass
    with hold_in_database(server.url, "one"):
        pass


def test_second_driver_whose_directory_is_a_copy_is_refused(server: PostgresqlServer, tmp_path: Path) -> None:
    """As one on another machine, to which the shared folder does not show the first one's lock."""
    with stores.create(tmp_path / "study", study_config(storage=server.url)):
        copy = tmp_path / "copy"
        copy.mkdir()
        (copy / "study.json").write_bytes((tmp_path / "study" / "study.json").read_bytes())
        with pytest.raises(StudyLockedError, match="another driver works on study"), stores.reopen(copy):
            pass


def test_server_that_is_away_between_two_operations_is_waited_for(server: PostgresqlServer, tmp_path: Path) -> None:
    with stores.create(tmp_path, study_config(storage=server.url)) as store:
        told: list[str] = []

        def tell(text: str) -> None:
            told.append(text)
            if "trying again" in text:
                server.start()

        store.patience.tell = tell
        store.study.ask()
        server.stop()
        store.study.ask()
        assert [trial.number for trial in store.trials()] == [0, 1]
    assert "cannot be written to" in told[0]
    assert told[1].endswith("can be written to again")


def test_server_that_stays_away_is_given_up_with_what_it_said(server: PostgresqlServer) -> None:
    patience = Patience("DB", 1.0, tell=lambda _: None)
    storage = open_database(server.url, patience)
    server.stop()
    try:
        with pytest.raises(StoreUnwritableError, match=r"DB cannot be written to \(.*\), for"):
            storage.get_all_studies()
    finally:
        server.start()


def test_study_whose_head_is_lost_goes_on_on_a_new_cluster(server: PostgresqlServer, tmp_path: Path) -> None:
    directory = tmp_path / "study"
    fields = [*SMALL, "search.num_trials=4", "verify.max_students=0", f'storage="{server.url}"']
    driver = subprocess.Popen(
        kd_study("run", "smoke", "--dir", str(directory), *overrides(fields)),
        stdout=subprocess.DEVNULL,
        env=environment(),
    )
    give_up_at = time.monotonic() + 300.0
    while len(before := complete(directory)) < 2 and driver.poll() is None and time.monotonic() < give_up_at:
        time.sleep(0.5)
    driver.send_signal(signal.SIGKILL)  # its local Ray, head and worker in one, goes with it
    assert driver.wait() == -signal.SIGKILL
    assert before
    ended = run("resume", str(directory))
    assert ended.returncode == 0, ended.stderr
    after = complete(directory)
    assert len(after) == 4
    assert {number: after[number] for number in before} == before
    assert not (directory / "optuna.journal").exists()


def complete(directory: Path) -> dict[int, TrialRecord]:
    """Trials that ran to their end; none while there is no study."""
    if not (directory / "study.json").exists():
        return {}
    trials = read_study(directory).trials
    return {trial.number: trial for trial in trials if trial.state is TrialState.COMPLETE}
