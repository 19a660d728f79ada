"""Processes that ended before their trial did: why, how often over all launches, and when that was too often."""

from typing import final

from study.search.ledger import Ledger
from study.store import StudyStore
from trainables.patience import StoreUnwritableError
from trainables.records import TrialState


@final
class ProcessEnds:
    """Counts them in the storage: a configuration that always fails is not tried for ever, by `resume` neither."""

    def __init__(self, store: StudyStore, ledger: Ledger) -> None:
        self._patience = store.patience
        self._max_failures = store.config.resources.max_failures
        self._ledger = ledger
        self._errors = dict[int, str]()

    def note(self, number: int, error: BaseException | None) -> None:
        """What the trial's process has ended of, None where that is not known; `ended` is told next.

        Raises:
            StoreUnwritableError: of that: no fault of the trial, and the next process would end of it, too.
        """
        if isinstance(error, StoreUnwritableError):
            self._patience.given_up = error
            raise error
        words = [line.strip() for line in str(error or "").splitlines() if line.strip()]
        self._errors[number] = f"{type(error).__name__}: {' '.join(words)[:300]}" if words else ""

    def ended(self, number: int, limit_s: float | None) -> None:
        """Store that the trial's process ended, and of what.

        Args:
            number: of the trial.
            limit_s: within which an epoch had to end; None: no limit. The clock of the trial's own process, which ends
                it, begins later than ours: whatever died earlier than this did not die of the limit.
        """
        reason = self._errors.pop(number, "") or "of what is not known"
        if limit_s is not None and self._ledger.seconds_unheard(number) >= limit_s:
            reason = f"no epoch within {limit_s / 60.0:.3g} min (resources.max_minutes_per_epoch); its log says where"
        self._ledger.process_ended(number, reason)

    def hopeless(self, number: int) -> str | None:
        """Why the trial is not tried again; None: it is, or it has ended."""
        record = self._ledger[number]
        in_vain = record.num_failures_in_vain  # on spot machines a long trial may lose many, and come on all the same
        if record.state is not TrialState.RUNNING or in_vain <= self._max_failures:
            return None
        times = "once" if in_vain == 1 else f"{in_vain} times"
        limit = f"resources.max_failures = {self._max_failures}"
        return f"its process ended {times} ({limit}), at last: {record.failures[-1]}"
