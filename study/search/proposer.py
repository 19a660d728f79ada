"""What to try next: unfinished trials first, then enqueued ones, then asked ones; and what became of each. No Ray."""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import optuna
from optuna.trial import FixedTrial, Trial

from search_spaces.space import SearchSpace
from study.config import SearchConfig
from study.search.samplers import SamplingContext, proposals
from study.search.shares import method_shares
from study.store import StudyStore
from trainables.config import StudentConfig
from trainables.metrics import Metric, Source, metric
from trainables.randomness import derive_seed
from trainables.records import (
    DUPLICATE_ATTRIBUTE,
    EXHAUSTED_ATTRIBUTE,
    FACTS_ATTRIBUTE,
    METRICS_ATTRIBUTE,
    ORIGIN_ATTRIBUTE,
    REASON_ATTRIBUTE,
    SLOT_ATTRIBUTE,
    SPANS_ATTRIBUTE,
    STUDENT_ATTRIBUTE,
    TrialRecord,
    TrialState,
    epoch_attribute,
)

MAX_DUPLICATES_IN_A_ROW = 200

IsolatedMetrics = Callable[[StudentConfig], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial that should be trained, with what is known of it."""

    number: int
    student: StudentConfig
    isolated: Mapping[str, float | None]
    num_stored_epochs: int


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
        self._objectives: tuple[Metric, ...] = tuple(metric(name) for name in store.config.objectives)
        self._proposals = proposals(
            SamplingContext(self._config, store.config.seed, space.suggest, self._known_objectives())
        )
        self._study_id = store.storage.get_study_id_from_name(store.record.name)
        self._records = {record.number: record for record in store.trials()}
        self._unfinished = deque(n for n, record in self._records.items() if record.state is TrialState.RUNNING)

    @property
    def _has_shares(self) -> bool:
        """Whether each method has its share; a grid gives each as many trials as it has students, unless told."""
        return self._config.sampler != "grid" or self._config.trials_per_method is not None

    @property
    def _max_duplicates(self) -> int:
        """A grid gives a student twice only when it has no other left."""
        return 1 if self._config.sampler == "grid" else MAX_DUPLICATES_IN_A_ROW

    @property
    def num_trials(self) -> int:
        """How many trials the study is to have, duplicates not counted."""
        return self._num_trials

    @property
    def is_finished(self) -> bool:
        """Whether the study has all its trials, and each has ended."""
        running = any(record.state is TrialState.RUNNING for record in self.records())
        return not running and (self._num_counted() >= self._num_trials or self._is_exhausted())

    def records(self) -> Sequence[TrialRecord]:
        """All trials as last told."""
        return list(self._records.values())

    def next(self) -> Proposal | None:
        """The next trial to train; None when the study has as many as it should, or the space holds no more."""
        while self._unfinished:
            number = self._unfinished.popleft()
            student = self._records[number].student or self._configure_again(number)
            if not self._settle_duplicate(number):
                return self._proposal(number, student)
        for _ in range(self._max_duplicates):
            if self._num_counted() >= self._num_trials or self._is_exhausted():
                return None
            number, student = self._ask()
            if not self._settle_duplicate(number):
                return self._proposal(number, student)
        self._store.study.set_user_attr(EXHAUSTED_ATTRIBUTE, value=True)
        return None

    def started(self, number: int, slot: int) -> None:
        """A process begins to train the trial, for the first time or again, as the `slot`-th at once."""
        spans = [*self._records[number].spans, (time.time(), None)]
        self._write(number, {SLOT_ATTRIBUTE: slot, SPANS_ATTRIBUTE: spans})

    def record_epoch(self, number: int, metrics: Mapping[str, float | None]) -> None:
        """Store the metrics after one epoch; an epoch that comes again (after a restart) replaces itself."""
        epoch = metrics["epoch"]
        if epoch is None:
            raise ValueError(f"trial {number}: a result without its epoch")
        self._write(number, {epoch_attribute(int(epoch)): _finite(metrics)})

    def complete(self, number: int, metrics: Mapping[str, float | None], facts: Mapping[str, str]) -> None:
        """The trial ran its full budget; without a finite value for each objective it failed all the same."""
        values = [metrics.get(each.name) for each in self._objectives]
        for each, value in zip(self._objectives, values, strict=True):
            if value is None or not math.isfinite(value):
                self._end(number, optuna.trial.TrialState.FAIL, metrics, facts, reason=f"{each.name} is {value}")
                return
        self._end(number, optuna.trial.TrialState.COMPLETE, metrics, facts)

    def prune(self, number: int, metrics: Mapping[str, float | None], facts: Mapping[str, str], reason: str) -> None:
        """The trial was stopped before its full budget: it stands on no front."""
        self._end(number, optuna.trial.TrialState.PRUNED, metrics, facts, reason=reason)

    def fail(self, number: int, reason: str) -> None:
        """The trial has no result, and trying again would give none."""
        self._end(number, optuna.trial.TrialState.FAIL, {}, {}, reason=reason)

    def _is_exhausted(self) -> bool:
        """Whether so many duplicates came in a row that the space seems to hold no other student."""
        return bool(self._store.study.user_attrs.get(EXHAUSTED_ATTRIBUTE, False))

    def _num_counted(self) -> int:
        return sum(record.duplicate_of is None and record.state is not TrialState.WAITING for record in self.records())

    def _ask(self) -> tuple[int, StudentConfig]:
        waiting = [n for n, record in self._records.items() if record.state is TrialState.WAITING]
        number = min(waiting, default=len(self._records))
        self._store.study.sampler = self._sampler(number, is_enqueued=bool(waiting))
        trial = self._store.study.ask()
        if trial.number != number:
            raise RuntimeError(
                f"the storage gave trial {trial.number} where {number} was due: does another process ask?"
            )
        return number, self._suggest(trial)

    def _configure_again(self, number: int) -> StudentConfig:
        """A driver died after it asked for the trial and before it stored the student: the same is asked again."""
        is_enqueued = self._records[number].origin is not None
        self._store.study.sampler = self._sampler(number, is_enqueued=is_enqueued)
        return self._suggest(Trial(self._store.study, self._trial_id(number)))

    def _sampler(self, number: int, *, is_enqueued: bool) -> optuna.samplers.BaseSampler:
        is_free = is_enqueued or not self._space.methods or not self._has_shares
        fixed = {} if is_free else {"method": self._due_method()}
        return self._proposals(derive_seed(self._store.config.seed, "ask", number), fixed)

    def _known_objectives(self) -> dict[int, Callable[[Mapping[str, Any]], float]]:
        """By index, each objective that the profile tells before a student is trained."""

        def teller(name: str) -> Callable[[Mapping[str, Any]], float]:
            def tell(parameters: Mapping[str, Any]) -> float:
                value = self._isolated(self._space.suggest(FixedTrial(dict(parameters)))).get(name)  # type: ignore[arg-type] # asked alike
                return math.nan if value is None else value

            return tell

        isolated = [index for index, each in enumerate(self._objectives) if each.source is Source.ISOLATED]
        return {index: teller(self._objectives[index].name) for index in isolated}

    def _due_method(self) -> str:
        """The method that is furthest behind its share."""
        asked = Counter(
            str(record.parameters.get("method"))
            for record in self.records()
            if record.duplicate_of is None and record.student is not None
        )
        shares = method_shares(self._config, self._space)

        def progress(method: str) -> float:
            return asked[method] / shares[method] if shares[method] else math.inf

        return min(self._space.methods, key=progress)

    def _suggest(self, trial: Trial) -> StudentConfig:
        student = self._space.suggest(trial)
        training = student.training.model_copy(update={"seed": self._store.config.seed})
        student = student.model_copy(update={"training": training})
        number = trial.number
        self._refresh(number)
        original = self._original_of(number, student)
        self._write(
            number,
            {ORIGIN_ATTRIBUTE: self._records[number].origin or "search"}
            | ({} if original is None else {DUPLICATE_ATTRIBUTE: original})
            | {STUDENT_ATTRIBUTE: student.model_dump(mode="json")},  # last: with it the trial is configured
        )
        return student

    def _original_of(self, number: int, student: StudentConfig) -> int | None:
        for other in self.records():
            if other.number != number and other.student == student and other.duplicate_of is None:
                return other.number
        return None

    def _settle_duplicate(self, number: int) -> bool:
        """Whether the trial repeats another; if that one has ended, tell this one the same."""
        record = self._records[number]
        if record.duplicate_of is None:
            return False
        original = self._records[record.duplicate_of]
        if original.state is TrialState.COMPLETE:
            self.complete(number, original.metrics, original.facts)
        elif original.state is TrialState.PRUNED:
            self.prune(number, original.metrics, original.facts, original.reason or "")
        elif original.state is TrialState.FAILED:
            self.fail(number, original.reason or "")
        return True

    def _proposal(self, number: int, student: StudentConfig) -> Proposal:
        return Proposal(number, student, dict(self._isolated(student)), len(self._records[number].epochs))

    def _end(
        self,
        number: int,
        state: optuna.trial.TrialState,
        metrics: Mapping[str, float | None],
        facts: Mapping[str, str],
        reason: str | None = None,
    ) -> None:
        spans = list(self._records[number].spans)  # an earlier one without its end was cut off: its end is unknown
        if spans:
            spans[-1] = (spans[-1][0], time.time())
        attributes: dict[str, object] = {METRICS_ATTRIBUTE: _finite(metrics), FACTS_ATTRIBUTE: dict(facts)}
        if spans:
            attributes[SPANS_ATTRIBUTE] = spans
        if reason is not None:
            attributes[REASON_ATTRIBUTE] = reason
        self._write(number, attributes)
        complete = state is optuna.trial.TrialState.COMPLETE
        values = [metrics[each.name] for each in self._objectives] if complete else None
        self._store.study.tell(number, values, state)  # type: ignore[arg-type]
        self._refresh(number)
        self._store.paths.checkpoint(number).unlink(missing_ok=True)
        for record in self.records():
            if record.duplicate_of == number and record.state is TrialState.RUNNING:
                self._settle_duplicate(record.number)

    def _write(self, number: int, attributes: Mapping[str, object]) -> None:
        trial_id = self._trial_id(number)
        for name, value in attributes.items():
            self._store.storage.set_trial_user_attr(trial_id, name, value)
        self._refresh(number)

    def _refresh(self, number: int) -> None:
        self._records[number] = TrialRecord.from_optuna(self._store.storage.get_trial(self._trial_id(number)))

    def _trial_id(self, number: int) -> int:
        return self._store.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """What is not a finite number is unknown: JSON has no word for it, and no table should."""
    return {name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()}
