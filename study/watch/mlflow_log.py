"""MLflow: the study as a run, each trial as a run below it, each epoch a step of its metrics."""

import time
from collections.abc import Iterator, Sequence
from typing import final

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from study.store import StudyStore
from study.watch.scalars import Scalar, scalars
from trainables.records import TrialRecord, TrialState

STUDY_TAG, TRIAL_TAG = "kd_study.study", "kd_study.trial"
STATUSES = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAILED: "FAILED"}
MAX_METRICS = 1_000  # that MLflow takes at once


def check(uri: str) -> None:
    """See that MLflow answers there.

    Raises:
        ValueError: it does not.
    """
    try:
        MlflowClient(tracking_uri=uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, ImportError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f'logs.mlflow = "{uri}": no MLflow answers there ({reason})') from error


def open_log(store: StudyStore) -> "MlflowLog":
    """The log of a study, under the tracking URI of its configuration."""
    client = MlflowClient(tracking_uri=store.config.logs.mlflow)
    study = f"{store.config.name} {store.record.created_at.isoformat()}"
    return MlflowLog(client, store.config.name, study, store.paths.root.name, store.record.objectives)


@final
class MlflowLog:
    """Finds what an earlier launch has told, and tells the rest.

    Args:
        client: of the tracking server.
        experiment: name of the experiment that the study stands in; made where there is none.
        study: what tells this study from all others, wherever its directory is moved.
        run_name: what people see of it.
        objectives: names.
    """

    def __init__(
        self, client: MlflowClient, experiment: str, study: str, run_name: str, objectives: Sequence[str]
    ) -> None:
        self._client = client
        self._study = study
        self._objectives = objectives
        known = client.get_experiment_by_name(experiment)
        self._experiment = client.create_experiment(experiment) if known is None else known.experiment_id
        runs = list(self._found())
        trials = {int(run.data.tags[TRIAL_TAG]): run for run in runs if TRIAL_TAG in run.data.tags}
        self._earlier = {number: run for number, run in trials.items() if run.info.status not in STATUSES.values()}
        self._ended = trials.keys() - self._earlier.keys()
        self._at_work: set[int] = set()
        self._runs: dict[int, str] = {}
        self._told: dict[int, set[tuple[str, int]]] = {}
        parents = [run.info.run_id for run in runs if TRIAL_TAG not in run.data.tags]
        if parents:
            client.update_run(parents[0], status="RUNNING")
        self._parent = parents[0] if parents else self._created(run_name, {STUDY_TAG: study})

    def tell(self, trials: Sequence[TrialRecord]) -> None:
        """Tell what is new of these."""
        for trial in trials:
            if trial.number not in self._ended:
                self._at_work.add(trial.number)
                self._tell(trial)
                if trial.state in STATUSES:
                    self._at_work.discard(trial.number)

    def close(self) -> None:
        """The study's run has finished where each of its trials has ended; else it was cut off."""
        self._client.set_terminated(self._parent, "KILLED" if self._at_work else "FINISHED")

    def _tell(self, trial: TrialRecord) -> None:
        every = list(scalars(trial, self._objectives))
        if not every:
            return
        if trial.number not in self._runs:
            self._begin(trial, every)
        run_id, told = self._runs[trial.number], self._told[trial.number]
        now_ms = int(time.time() * 1000)
        new = [Metric(each.name, each.value, now_ms, each.step) for each in every if each.key not in told]
        for begin in range(0, len(new), MAX_METRICS):
            self._client.log_batch(run_id, metrics=new[begin : begin + MAX_METRICS])
        told.update(each.key for each in every)
        if trial.state in STATUSES:
            self._client.set_terminated(run_id, STATUSES[trial.state])
            self._ended.add(trial.number)
            del self._runs[trial.number], self._told[trial.number]

    def _begin(self, trial: TrialRecord, every: Sequence[Scalar]) -> None:
        """The trial's run: an earlier launch's with what that has told, or a new one."""
        number, earlier = trial.number, self._earlier.pop(trial.number, None)
        if earlier is None:
            tags = {STUDY_TAG: self._study, TRIAL_TAG: str(number), MLFLOW_PARENT_RUN_ID: self._parent}
            run_id, histories = self._created(f"student_{number}", tags), []
        else:
            run_id = earlier.info.run_id
            names = sorted({each.name for each in every})
            histories = [self._client.get_metric_history(run_id, name) for name in names]
        self._client.log_batch(run_id, params=[Param(name, str(value)) for name, value in trial.parameters.items()])
        self._runs[number] = run_id
        self._told[number] = {(each.key, each.step) for history in histories for each in history}

    def _created(self, name: str, tags: dict[str, str]) -> str:
        return str(self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id)

    def _found(self) -> Iterator[Run]:
        """The runs of this study, whichever launch made them."""
        of_this_study, token = f"tags.`{STUDY_TAG}` = '{self._study}'", None
        while True:
            page = self._client.search_runs([self._experiment], of_this_study, page_token=token)
            yield from page
            token = page.token
            if not token:
                return
