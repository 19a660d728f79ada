"""A halving study driven by hand: Tune's part with one worker, students whose curves are a formula, and power cuts."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import JournalStorage
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

import search_spaces
from search_spaces.space import SearchSpace
from study import store as stores
from study.config import StudyConfig
from study.search.baselines import enqueue_baselines
from study.search.proposer import Proposal, Proposer
from study.search.scheduler import StudyScheduler
from study.search.searcher import StudySearcher
from study.search.slots import Slots
from tests.factories import study_config
from trainables.config import NamedConfig, StudentConfig, TrialAssignment
from trainables.records import TrialRecord
from trainables.study_paths import StudyPaths

Metrics = dict[str, float | None]


class PowerCutError(BaseException):
    """The driver is gone, and writes nothing any more."""


def halving_config(**search: Any) -> StudyConfig:
    """12 students of 4 epochs, judged after 0.5, 1 and 2 of them; `search` replaces fields."""
    fields = {
        "num_trials": 12,
        "sampler": "random",
        "early_stopping": "pareto_halving",
        "halving": {"first_rung": 0.5, "least_gain": 0.02},
        **search,
    }
    return study_config(search=fields)


def halving_space() -> SearchSpace:
    options = {"widths": (1, 2, 4), "batch_sizes": (64,), "epochs": 4}
    return search_spaces.build(NamedConfig(name="cnn_distillation", options=options))


def isolated(student: StudentConfig) -> Metrics:
    return {"latency_p50_ms_batch1": float(student.model.options["width"])}  # type: ignore[arg-type]


def accuracy(student: StudentConfig, epoch: float) -> float:
    """Wider is better, a rate near 0.005 too; each student comes to its own end at its own speed."""
    missed = math.log10(student.training.optimizer.learning_rate / 5e-3) ** 2
    end = 1.0 - 0.3 / float(student.model.options["width"]) - 0.4 * missed  # type: ignore[arg-type]
    speed = 1.0 + 2.0 * (student.loss.name == "kd")
    return end * (1.0 - math.exp(-speed * epoch))


def curve(student: StudentConfig, report_at: tuple[float, ...]) -> list[Metrics]:
    whole = map(float, range(1, student.training.epochs + 1))
    return [{"epoch": epoch, "validation_accuracy": accuracy(student, epoch)} for epoch in sorted({*report_at, *whole})]


def assign(proposal: Proposal) -> TrialAssignment:
    return TrialAssignment(
        number=proposal.number,
        student=proposal.student,
        isolated=dict(proposal.isolated),
        num_stored_reports=proposal.num_stored_reports,
        report_at=proposal.report_at,
        checkpoint="c",
        weights="w",
    )


class Driver:
    """One life of a driver. `trained` are the reports that each student has in its checkpoint: it outlives a driver."""

    def __init__(self, store: stores.StudyStore, trained: dict[int, int], num_slots: int = 1) -> None:
        self.paths: StudyPaths = store.paths
        self.proposer = Proposer(store, halving_space(), isolated)
        self.searcher = StudySearcher(self.proposer, assign, Slots(), num_slots)
        self.scheduler = StudyScheduler(self.proposer)
        self._trained = trained

    def run(self) -> list[TrialAssignment]:
        """To the end of the search; what was handed out."""
        handed_out = []
        while (assignment := self.hand_out()) is not None:
            handed_out.append(assignment)
            for result in self.results(assignment):
                if not self.tell(result):
                    break
        return handed_out

    def hand_out(self, tune_id: str = "a") -> TrialAssignment | None:
        given = self.searcher.suggest(tune_id)
        if given is None and self.searcher._asked is not None:  # Tune asks again in its next step
            self.searcher._asked.result()
            given = self.searcher.suggest(tune_id)
        if given == Searcher.FINISHED:
            return None
        assignment = TrialAssignment.model_validate(given)
        self.proposer.started(assignment.number, 0)
        return assignment

    def results(self, assignment: TrialAssignment) -> Iterator[dict[str, Any]]:
        """As a student's process tells them: those that are not stored again, then what is trained now."""
        metrics = curve(assignment.student, assignment.report_at)
        number = assignment.number
        told = min(assignment.num_stored_reports, len(metrics) - 1)
        for index in range(told, len(metrics)):
            self._trained[number] = max(self._trained.get(number, 0), index + 1)
            finished = index == len(metrics) - 1
            facts = {"number": number, "finished": finished, "failure": None, "done": finished, "hostname": "here"}
            yield {**assignment.isolated, **metrics[index], **facts}

    def tell(self, result: dict[str, Any], tune_id: str = "a") -> bool:
        """Whether the trial goes on."""
        if result["done"] or self.scheduler.on_trial_result(None, None, result) == TrialScheduler.STOP:
            self.searcher.on_trial_complete(tune_id, {**result, "done": True})
            return False
        self.searcher.on_trial_result(tune_id, result)
        return True

    def records(self) -> dict[int, TrialRecord]:
        return {record.number: record for record in self.proposer.records()}


@contextmanager
def driver(
    directory: Path,
    config: StudyConfig | None = None,
    trained: dict[int, int] | None = None,
    *,
    num_slots: int = 1,
) -> Iterator[Driver]:
    """A new study where there is none; else its next driver."""
    config = config or halving_config()
    exists = StudyPaths(directory).study_json.exists()
    with stores.reopen(directory) if exists else stores.create(directory, config) as store:
        enqueue_baselines(store, halving_space(), isolated)
        made = Driver(store, {} if trained is None else trained, num_slots)
        try:
            yield made
        finally:
            made.searcher._executor.shutdown()  # a process takes its threads along


@contextmanager
def power_cut(after: int) -> Iterator[None]:
    """So many writes of a trial reach the storage; then none does, and the driver is gone."""
    left = itertools.chain(range(after), itertools.repeat(None))

    def cut(write: Callable[..., Any]) -> Callable[..., Any]:
        def write_while_there_is_power(*arguments: Any, **named: Any) -> Any:
            if next(left) is None:
                raise PowerCutError
            return write(*arguments, **named)

        return write_while_there_is_power

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(PowerCutError):
        for name in ("set_trial_user_attr", "set_trial_state_values"):
            patch.setattr(JournalStorage, name, cut(getattr(JournalStorage, name)))
        yield
