"""The trials of a study as its storage has them, and what is written of each: one writer, every write read back."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import final

import optuna

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
    epoch_attribute,
)


@final
class Ledger:
    """Records by number; what is not a finite number is stored as unknown."""

    def __init__(self, store: StudyStore, objectives: Sequence[Metric]) -> None:
        self._store = store
        self._objectives = objectives
        self._study_id = store.storage.get_study_id_from_name(store.record.name)
        self._records = {record.number: record for record in store.trials()}
        self._heard = dict[int, float]()  # when a trial began or last told of an epoch, by the monotonic clock

    def __getitem__(self, number: int) -> TrialRecord:
        """The trial as last told."""
        return self._records[number]

    def all(self) -> list[TrialRecord]:
        """Every trial as last told."""
        return list(self._records.values())

    def trial_id(self, number: int) -> int:
        """The storage's own name of the trial."""
        return self._store.storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def refresh(self, number: int) -> None:
        """Read the trial from the storage."""
        self._records[number] = TrialRecord.from_optuna(self._store.storage.get_trial(self.trial_id(number)))

    def write(self, number: int, attributes: Mapping[str, object]) -> None:
        """Store attributes of the trial, in their order."""
        trial_id = self.trial_id(number)
        for name, value in attributes.items():
            self._store.storage.set_trial_user_attr(trial_id, name, value)
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
        for other in self.all():
            if other.number != number and other.student == student and other.duplicate_of is None:
                return other.number
        return None

    def record_epoch(self, number: int, metrics: Mapping[str, float | None]) -> None:
        """Store the metrics after an epoch or a part of one; what comes again (after a restart) replaces itself."""
        epoch = metrics["epoch"]
        if epoch is None:
            raise ValueError(f"trial {number}: a result without its epoch")
        self.write(number, {epoch_attribute(epoch): _finite(metrics)})
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
        self.write(number, attributes)
        complete = state is optuna.trial.TrialState.COMPLETE
        values = [metrics[each.name] for each in self._objectives] if complete else None
        self._store.study.tell(number, values, state)  # type: ignore[arg-type]
        self.refresh(number)
        self._store.paths.checkpoint(number).unlink(missing_ok=True)

    def _closed_spans(self, number: int) -> list[tuple[float, float | None]]:
        """The last one ends now, unless it has; an earlier one that was cut off keeps no end: it is unknown."""
        spans = list(self[number].spans)
        if spans and spans[-1][1] is None:
            spans[-1] = (spans[-1][0], time.time())
        return spans


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    """What is not a finite number is unknown: JSON has no word for it, and no table should."""
    return {name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()}
