"""The trials of a study as its storage has them, and what is written of each: one writer, every write read back."""

import contextlib
import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import final

import optuna

from study.journal_backend import DriversJournal
from study.search.samplers import SAMPLERS
from study.search.tally import Tally
from study.store import StudyStore
from trainables.config import StudentConfig
from trainables.metrics import Metric
from trainables.records import (
    FACTS_ATTRIBUTE,
    FAILED_AT_ATTRIBUTE,
    FAILURES_ATTRIBUTE,
    METRICS_ATTRIBUTE,
    PAUSED_ATTRIBUTE,
    REASON_ATTRIBUTE,
    SLOT_ATTRIBUTE,
    SPANS_ATTRIBUTE,
    TrialRecord,
    TrialState,
    epoch_attribute,
)


@final
class Ledger:
    """Records by number; what is not a finite number is stored as unknown.

    What is asked at every trial is kept beside them: to look through thousands of records each time would take longer
    than all else that a driver does for a trial.
    """

    def __init__(self, store: StudyStore, objectives: Sequence[Metric], asked: Tally) -> None:
        self._store = store
        self._objectives = objectives
        self._study_id = store.storage.get_study_id_from_name(store.record.name)
        self._ids = dict[int, int]()
        self._records = dict[int, TrialRecord]()
        self._changed = dict[int, TrialRecord]()
        self._changing = threading.Lock()
        self._asked = asked
        self._waiting = set[int]()
        self._originals = dict[str, int]()  # by `_key`
        self._repeats = defaultdict[int, list[int]](list)
        self._counted = set[int]()
        self._heard = dict[int, float]()  # when a trial began or last told of an epoch, by the monotonic clock
        for record in store.trials():
            self._keep(record)

    def __getitem__(self, number: int) -> TrialRecord:
        """The trial as last told."""
        return self._records[number]

    def all(self) -> list[TrialRecord]:
        """Every trial as last told."""
        return list(self._records.values())

    @property
    def num_trials(self) -> int:
        """How many there are, whatever became of them."""
        return len(self._records)

    def changed(self) -> list[TrialRecord]:
        """Those that have changed since this was asked last, as last told."""
        with self._changing:
            changed, self._changed = self._changed, {}
        return list(changed.values())

    @property
    def num_counted(self) -> int:
        """How many trials count, and do not wait any more."""
        return len(self._counted)

    @property
    def waiting(self) -> Sequence[int]:
        """The enqueued trials that nobody has asked for yet."""
        return tuple(self._waiting)

    def repeats(self, number: int) -> Sequence[int]:
        """The trials that repeat the trial."""
        return self._repeats.get(number, ())

    def trial_id(self, number: int) -> int:
        """The storage's own name of the trial."""
        if number not in self._ids:
            found = self._store.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
            self._ids[number] = found
        return self._ids[number]

    def refresh(self, number: int) -> None:
        """Read the trial from the storage."""
        trial = self._store.storage.get_trial(self.trial_id(number))
        self._keep(TrialRecord.from_optuna(trial, self._records.get(number)))

    def with_the_next(self) -> contextlib.AbstractContextManager[None]:
        """Within, what is written goes to the disk with what this thread writes next, where the storage can do so."""
        storage = self._store.storage
        return storage.holding() if isinstance(storage, DriversJournal) else contextlib.nullcontext()

    def write(self, number: int, attributes: Mapping[str, object]) -> None:
        """Store attributes of the trial, in their order, and in one piece."""
        *first, (last, value_of_last) = attributes.items()
        self._write_with_the_next(number, dict(first))
        self._store.storage.set_trial_user_attr(self.trial_id(number), last, value_of_last)
        self.refresh(number)

    def started(self, number: int, slot: int) -> None:
        """A process begins to train the trial, for the first time or again, as the `slot`-th at once."""
        spans = [*self[number].spans, (time.time(), None)]
        self.write(number, {SLOT_ATTRIBUTE: slot, SPANS_ATTRIBUTE: spans})
        self._heard[number] = time.monotonic()

    def seconds_unheard(self, number: int) -> float:
        """Since its process began, or last told of an epoch; 0 where it never began."""
        now = time.monotonic()
        return now - self._heard.get(number, now)

    def process_ended(self, number: int, reason: str) -> None:
        """The trial's process ended before the trial did."""
        record = self[number]
        failures, at = [*record.failures, reason], [*record.failed_at, len(record.epochs)]
        spans = self._closed_spans(number)
        self.write(number, {SPANS_ATTRIBUTE: spans, FAILED_AT_ATTRIBUTE: at, FAILURES_ATTRIBUTE: failures})

    def original_of(self, number: int, student: StudentConfig) -> int | None:
        """Another trial of the very student that repeats none itself; None: there is none."""
        original = self._originals.get(_key(student))
        return None if original == number else original

    def record_epoch(self, number: int, metrics: Mapping[str, float | None], *, is_last: bool = False) -> None:
        """Store the metrics after an epoch or a part of one; what comes again (after a restart) replaces itself.

        The last one goes to the disk with the trial's end, which must follow.
        """
        epoch = metrics["epoch"]
        if epoch is None:
            raise ValueError(f"trial {number}: a result without its epoch")
        (self._write_with_the_next if is_last else self.write)(number, {epoch_attribute(epoch): _finite(metrics)})
        self._heard[number] = time.monotonic()

    def pause(self, number: int, epoch: float, facts: Mapping[str, str]) -> None:
        """The trial holds no slot for now; its checkpoint waits until it goes on or is stopped."""
        spans = {SPANS_ATTRIBUTE: self._closed_spans(number), FACTS_ATTRIBUTE: dict(facts)}
        self.write(number, {**spans, PAUSED_ATTRIBUTE: epoch})

    def unpause(self, number: int) -> None:
        """The trial goes on."""
        if self[number].is_paused:
            self.write(number, {PAUSED_ATTRIBUTE: None})

    def end(
        self,
        number: int,
        state: optuna.trial.TrialState,
        metrics: Mapping[str, float | None],
        facts: Mapping[str, str],
        reason: str | None = None,
    ) -> None:
        """The trial has ended; its checkpoint goes."""
        attributes: dict[str, object] = {METRICS_ATTRIBUTE: _finite(metrics), FACTS_ATTRIBUTE: dict(facts)}
        if spans := self._closed_spans(number):
            attributes[SPANS_ATTRIBUTE] = spans
        if reason is not None:
            attributes[REASON_ATTRIBUTE] = reason
        if self._store.config.search.sampler in SAMPLERS:
            self._write_with_the_next(number, attributes)
        else:  # of one's own, which may look at the trial before its state is told
            self.write(number, attributes)
        complete = state is optuna.trial.TrialState.COMPLETE
        values = [metrics[each.name] for each in self._objectives] if complete else None
        self._store.study.tell(number, values, state)  # type: ignore[arg-type]
        self.refresh(number)
        self._store.paths.checkpoint(number).unlink(missing_ok=True)

    def _write_with_the_next(self, number: int, attributes: Mapping[str, object]) -> None:
        trial_id = self.trial_id(number)
        with self.with_the_next():
            for name, value in attributes.items():
                self._store.storage.set_trial_user_attr(trial_id, name, value)

    def _keep(self, record: TrialRecord) -> None:
        """The record takes the place of an older one."""
        number, before = record.number, self._records.get(record.number)
        with self._changing:
            self._records[number] = self._changed[number] = record
        is_waiting = record.state is TrialState.WAITING
        (self._waiting.add if is_waiting else self._waiting.discard)(number)
        (self._counted.add if record.counts and not is_waiting else self._counted.discard)(number)
        if record.student is None:
            return
        self._asked.keep(number, record.parameters, counts=record.counts)
        if before is None or before.student is None:
            if record.duplicate_of is None:
                self._originals.setdefault(_key(record.student), number)
            else:
                self._repeats[record.duplicate_of].append(number)

    def _closed_spans(self, number: int) -> list[tuple[float, float | None]]:
        """The last one ends now, unless it has; an earlier one that was cut off keeps no end: it is unknown."""
        spans = list(self[number].spans)
        if spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], time.time())
        return spans


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """What is not a finite number is unknown: JSON has no word for it, and no table should."""
    return {name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()}


def _key(student: StudentConfig) -> str:
    """The same for students that are equal: 2 is 2.0, and the order of options says nothing."""
    return json.dumps(_equal_numbers(student.model_dump(mode="json")), sort_keys=True)


def _equal_numbers(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _equal_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_equal_numbers(each) for each in value]
    return float(value) if isinstance(value, int) else value
