"""MLflow through its own client, over a store of files: what stands there after one launch, and after more."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from study.watch.mlflow_log import TRIAL_TAG, MlflowLog, check
from tests.study.watch.views import epochs, finished, trial
from trainables.records import TrialRecord, TrialState

# MLflow's own tables, under a SQLAlchemy that is newer than it knows.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

OBJECTIVES = ("validation_accuracy", "latency_p50_ms_batch1")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes seconds to make
    return MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())


def told(client: MlflowClient, *launches: Iterable[TrialRecord], study: str = "test 2026") -> None:
    """Each launch a log of its own, told record by record."""
    for records in launches:
        log = MlflowLog(client, "test", study, "first", OBJECTIVES)
        for record in records:
            log.tell([record])
        log.close()


def runs(client: MlflowClient) -> dict[str, Run]:
    """By name; two of one name would be told apart by their number."""
    experiment = client.get_experiment_by_name("test")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def history(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]


def at_work(*numbers: float) -> TrialRecord:
    return trial(7, TrialState.RUNNING, epochs=epochs(*numbers))


def test_study_is_a_run_and_each_trial_a_run_below_it(client: MlflowClient) -> None:
    told(client, [at_work(1), at_work(1, 2), finished(7, 0.9, 2.0)])
    found = runs(client)
    study, student = found["first"], found["student_7"]
    assert student.data.tags["mlflow.parentRunId"] == study.info.run_id
    assert student.data.tags[TRIAL_TAG] == "7"
    assert student.data.params == {"width": "2", "method": "labels"}
    assert history(client, student, "validation_accuracy") == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.5)]
    assert history(client, student, "latency_p50_ms_batch1") == [(4, 2.0)]
    assert (study.info.status, student.info.status) == ("FINISHED", "FINISHED")


def test_resumed_launch_tells_only_what_is_new(client: MlflowClient) -> None:
    told(client, [at_work(1, 2)], [at_work(1, 2), at_work(1, 2, 3), finished(7, 0.9, 2.0)], [finished(7, 0.9, 2.0)])
    found = runs(client)
    assert set(found) == {"first", "student_7"}
    assert history(client, found["student_7"], "train_loss") == [(1, 1.5), (2, 1.5), (3, 1.5), (4, 1.5)]


def test_launch_makes_up_for_what_a_killed_one_did_not_tell(client: MlflowClient) -> None:
    MlflowLog(client, "test", "test 2026", "first", OBJECTIVES).tell([at_work(1)])
    told(client, [at_work(1, 2, 3)])
    assert [step for step, _ in history(client, runs(client)["student_7"], "train_loss")] == [1, 2, 3]


def test_study_that_was_cut_off_is_killed_and_then_runs_again(client: MlflowClient) -> None:
    told(client, [at_work(1)])
    assert runs(client)["first"].info.status == "KILLED"
    MlflowLog(client, "test", "test 2026", "first", OBJECTIVES)
    assert runs(client)["first"].info.status == "RUNNING"


def test_study_that_was_cut_off_in_its_first_epoch_is_killed_too(client: MlflowClient) -> None:
    told(client, [trial(7, TrialState.RUNNING)])
    assert runs(client)["first"].info.status == "KILLED"


@pytest.mark.parametrize(
    ("state", "status"),
    [(TrialState.PRUNED, "KILLED"), (TrialState.FAILED, "FAILED")],
)
def test_trial_that_did_not_come_to_its_end_says_so(client: MlflowClient, state: TrialState, status: str) -> None:
    told(client, [at_work(1), trial(7, state, epochs=epochs(1))])
    assert runs(client)["student_7"].info.status == status


def test_studies_of_one_name_have_runs_of_their_own(client: MlflowClient) -> None:
    told(client, [at_work(1)])
    told(client, [at_work(1, 2)], study="test 2027")
    experiment = client.get_experiment_by_name("test")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == 4
    assert sorted(len(history(client, run, "train_loss")) for run in found) == [0, 0, 1, 2]


def test_address_where_nothing_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ValueError, match=r'logs\.mlflow = "http://127\.0\.0\.1:9": no MLflow answers there \(.+\)'):
        check("http://127.0.0.1:9")


@pytest.mark.parametrize("uri", ["nonsense://a", "postgresql+nosuchdriver://a"])
def test_address_that_is_none_is_named(uri: str) -> None:
    with pytest.raises(ValueError, match=r"logs\.mlflow = .* no MLflow answers there"):
        check(uri)
