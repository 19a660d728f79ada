"""What to try next: unfinished trials first, then enqueued ones, then asked ones; and what became of each. No Ray."""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import optuna
from optuna.trial import Trial

from search_spaces.space import SearchSpace
from study.search.asking import Asking
from study.search.constraints import IsolatedMetrics, broken_by, first_broken
from study.search.ledger import Ledger
from study.search.process_ends import ProcessEnds
from study.search.settings import SearchConfig
from study.search.stopping import EarlyStopping
from study.store import StudyStore
from trainables.config import StudentConfig
from trainables.records import (
    BREAKS_ATTRIBUTE,
    DUPLICATE_ATTRIBUTE,
    EXHAUSTED_ATTRIBUTE,
    ORIGIN_ATTRIBUTE,
    STUDENT_ATTRIBUTE,
    RungAction,
    RungDecision,
    TrialRecord,
    TrialState,
)

Metrics = Mapping[str, float | None]
MAX_ASKED_IN_VAIN = 200  # duplicates, and students that are known to break a constraint


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial that should be trained, with what is known of it."""

    number: int
    student: StudentConfig
    isolated: Metrics
    num_stored_reports: int
    report_at: tuple[float, ...]
    num_failures: int = 0


@final
class Proposer:
    """Hands out trials until the target count, and writes what becomes of them to the storage.

    Everything it decides, it decides from the storage: built anew after its process was killed, it goes on where the
    storage stands. Duplicates are told with the values of the trial they repeat, are not trained, and do not count.

    `next` may run in one thread while another calls the rest: only `next` adds trials, and each trial has one writer.
    """

    def __init__(
        self, store: StudyStore, space: SearchSpace, isolated: IsolatedMetrics, *, num_trials: int | None = None
    ) -> None:
        self._store = store
        self._space = space
        self._isolated = isolated
        self._config: SearchConfig = store.config.search
        self._num_trials = num_trials if num_trials is not None else self._config.num_trials
        self.own_metrics = store.config.own_metrics
        self._objectives = store.config.objective_metrics
        self._constraints = store.config.constraints
        self._asking = Asking(store.config, space, isolated, store.evidence)
        self._ledger = Ledger(store, self._objectives, self._asking.asked)
        self.ends = ProcessEnds(store, self._ledger)
        self._stopping = self._early_stopping()
        self._do_what_was_decided()
        unfinished = [each for each in self.records() if each.state is TrialState.RUNNING and not each.is_paused]
        self._interrupted = deque(each.number for each in unfinished if each.spans)
        self._unfinished = deque(each.number for each in unfinished if not each.spans)

    @property
    def _max_in_vain(self) -> int:
        """How many asks in a row may give nothing to train; a grid gives a student twice when it has no other left."""
        return 1 if self._config.sampler == "grid" else MAX_ASKED_IN_VAIN

    @property
    def num_trials(self) -> int:
        """How many trials the study is to have, duplicates not counted."""
        return self._num_trials

    @property
    def is_finished(self) -> bool:
        """Whether the study has all its trials, and each has ended."""
        running = any(record.state is TrialState.RUNNING for record in self.records())
        return not running and (self._ledger.num_counted >= self._num_trials or self._is_exhausted())

    def records(self) -> Sequence[TrialRecord]:
        """All trials as last told."""
        return self._ledger.all()

    def changed(self) -> Sequence[TrialRecord]:
        """Those that have changed since this was asked last, as last told; at first, all."""
        return self._ledger.changed()

    def going_on(self) -> Proposal | None:
        """A trial that has begun and should go on now: cut off with an earlier launch, or paused until now."""
        number = self._interrupted.popleft() if self._interrupted else None
        if number is None and self._stopping is not None:
            number = self._stopping.promoted(self.records())
        if number is None:
            return None
        self._ledger.unpause(number)
        record = self._ledger[number]
        if record.student is None:
            raise RuntimeError(f"trial {number} has begun without a student")
        return self._proposal(number, record.student)

    def next(self) -> Proposal | None:
        """The next trial to begin; None when the study has as many as it should, or the space holds no more."""
        while self._unfinished:
            number = self._unfinished.popleft()
            student = self._ledger[number].student or self._configure_again(number)
            if not self._settle_duplicate(number) and not self._settle_infeasible(number, student):
                return self._proposal(number, student)
        num_in_vain = 0
        while num_in_vain < self._max_in_vain:
            if self._ledger.num_counted >= self._num_trials or self._is_exhausted():
                return None
            number, student = self._ask()
            is_duplicate = self._settle_duplicate(number)
            if not is_duplicate and not self._settle_infeasible(number, student):
                return self._proposal(number, student)
            num_in_vain += is_duplicate or self._config.sampler != "grid"
        self._store.study.set_user_attr(EXHAUSTED_ATTRIBUTE, value=True)
        return None

    def started(self, number: int, slot: int) -> None:
        """A process begins to train the trial, for the first time or again, as the `slot`-th at once."""
        self._ledger.started(number, slot)

    def record_epoch(self, number: int, metrics: Metrics) -> None:
        """Store the metrics after one epoch; an epoch that comes again (after a restart) replaces itself."""
        self._ledger.record_epoch(number, metrics)

    def judge(self, number: int, metrics: Metrics) -> RungDecision | None:
        """What becomes of a trial after this epoch; None where nothing judges it. It is stored before it is told."""
        return None if self._stopping is None else self._stopping.judge(self._ledger[number], metrics)

    def decision(self, number: int, epoch: float) -> RungDecision | None:
        """What was decided of the trial after so many epochs."""
        return next((each for each in self._ledger[number].decisions if each.epoch == epoch), None)

    def pause(self, number: int, epoch: float, facts: Mapping[str, str]) -> None:
        """The trial holds no slot for now; its checkpoint waits until it goes on or is stopped."""
        self._ledger.pause(number, epoch, facts)

    def stop_paused(self) -> None:
        """The search ends: what is still paused is stopped."""
        for record in self.records():
            if record.is_paused:
                decision = record.decisions[-1]
                reason = f"paused after epoch {decision.epoch:g} ({decision.reason}) until the search ended"
                self._stop(record, reason)

    def complete(
        self, number: int, metrics: Metrics, facts: Mapping[str, str], last_epoch: Metrics | None = None
    ) -> None:
        """The trial ran its full budget; without a finite value for each objective it failed all the same."""
        if last_epoch is not None:
            self._ledger.record_epoch(number, last_epoch, is_last=True)
        for name, value in ((each.name, metrics.get(each.name)) for each in self._objectives):
            if value is None or not math.isfinite(value):
                self._end(number, optuna.trial.TrialState.FAIL, metrics, facts, reason=f"{name} is {value}")
                return
        broken = first_broken(self._constraints, metrics)
        if broken is not None:
            self._ledger.write(number, {BREAKS_ATTRIBUTE: broken})
        self._end(number, optuna.trial.TrialState.COMPLETE, metrics, facts)

    def prune(self, number: int, metrics: Metrics, facts: Mapping[str, str], reason: str) -> None:
        """The trial was stopped before its full budget: it stands on no front."""
        self._end(number, optuna.trial.TrialState.PRUNED, metrics, facts, reason=reason)

    def fail(self, number: int, reason: str) -> None:
        """The trial has no result, and trying again would give none."""
        self._end(number, optuna.trial.TrialState.FAIL, {}, {}, reason=reason)

    def process_ended(self, number: int, limit_s: float | None) -> None:
        """The trial's process ended before the trial: it goes on from its checkpoint, unless that was too often."""
        self.ends.ended(number, limit_s)
        if (reason := self.ends.hopeless(number)) is not None:
            self.fail(number, reason)
        else:
            self._interrupted.appendleft(number)

    def _is_exhausted(self) -> bool:
        """Whether so many asks in a row were in vain that the space seems to hold no other student."""
        return bool(self._store.study.user_attrs.get(EXHAUSTED_ATTRIBUTE, False))

    def _ask(self) -> tuple[int, StudentConfig]:
        waiting = self._ledger.waiting
        number = min(waiting, default=self._ledger.num_trials)
        self._store.study.sampler = self._asking.sampler(number, is_enqueued=bool(waiting))
        trial = self._store.study.ask()
        if trial.number != number:
            raise RuntimeError(
                f"the storage gave trial {trial.number} where {number} was due: does another process ask?"
            )
        return number, self._suggest(trial)

    def _configure_again(self, number: int) -> StudentConfig:
        """A driver died after it asked for the trial and before it stored the student: the same is asked again."""
        self._store.study.sampler = self._asking.sampler(number, is_enqueued=self._ledger[number].origin is not None)
        return self._suggest(Trial(self._store.study, self._ledger.trial_id(number)))

    def _suggest(self, trial: Trial) -> StudentConfig:
        with self._ledger.with_the_next():
            student = self._space.suggest(trial)
        training = student.training.model_copy(update={"seed": self._store.config.seed})
        student = student.model_copy(update={"training": training})
        number = trial.number
        self._ledger.refresh(number)  # it may be new
        original = self._ledger.original_of(number, student)
        self._ledger.write(
            number,
            {ORIGIN_ATTRIBUTE: self._ledger[number].origin or "search"}
            | ({} if original is None else {DUPLICATE_ATTRIBUTE: original})
            | {STUDENT_ATTRIBUTE: student.model_dump(mode="json")},  # last: with it the trial is configured
        )
        return student

    def _settle_duplicate(self, number: int) -> bool:
        """Whether the trial repeats another; if that one has ended, tell this one the same."""
        record = self._ledger[number]
        if record.duplicate_of is None:
            return False
        original = self._ledger[record.duplicate_of]
        if original.state is TrialState.COMPLETE:
            self.complete(number, original.metrics, original.facts)
        elif original.state is TrialState.PRUNED:
            self.prune(number, original.metrics, original.facts, original.reason or "")
        elif original.state is TrialState.FAILED:
            self.fail(number, original.reason or "")
        return True

    def _settle_infeasible(self, number: int, student: StudentConfig) -> bool:
        """Whether the trial is known to break a constraint: then it is not trained, and does not count."""
        broken = broken_by(self._constraints, self._isolated(student))
        if broken is None:
            return False
        self._ledger.write(number, {BREAKS_ATTRIBUTE: broken.text})
        self.prune(number, self._isolated(student), {}, f"not trained: it breaks {broken.text}")
        return True

    def _proposal(self, number: int, student: StudentConfig) -> Proposal:
        report_at = () if self._stopping is None else self._stopping.epochs(student)
        record, isolated = self._ledger[number], dict(self._isolated(student))
        return Proposal(number, student, isolated, len(record.epochs), report_at, len(record.failures))

    def _early_stopping(self) -> EarlyStopping | None:
        if self._config.early_stopping == "none":
            return None
        stopping = EarlyStopping(
            self._config, self._objectives, self._isolated, self._ledger.write, self._space.suggest
        )
        stopping.rebuild(self.records())
        return stopping

    def _do_what_was_decided(self) -> None:
        """What had been decided when an earlier driver died, and it had not done."""
        for record in self.records():
            if (hopeless := self.ends.hopeless(record.number)) is not None:
                self.fail(record.number, hopeless)
                continue
            decision = record.pending_decision
            if decision is None:
                continue
            if decision.promoted:
                self._ledger.unpause(record.number)
            elif decision.action is RungAction.PAUSE:
                self.pause(record.number, decision.epoch, record.facts)
            elif decision.action is RungAction.STOP:
                self._stop(record, decision.reason)

    def _stop(self, record: TrialRecord, reason: str) -> None:
        isolated = {} if record.student is None else self._isolated(record.student)
        self.prune(record.number, {**isolated, **record.epochs[-1]}, record.facts, reason)

    def _end(
        self,
        number: int,
        state: optuna.trial.TrialState,
        metrics: Metrics,
        facts: Mapping[str, str],
        reason: str | None = None,
    ) -> None:
        self._ledger.end(number, state, metrics, facts, reason)
        if self._stopping is not None:
            self._stopping.ended(self._ledger[number])
        for repeat in self._ledger.repeats(number):
            if self._ledger[repeat].state is TrialState.RUNNING:
                self._settle_duplicate(repeat)
