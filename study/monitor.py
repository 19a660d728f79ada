"""What Tune tells while it runs, turned into slots in the store and a word to whoever watches."""

from typing import Any, final

from ray.tune import Callback

from study.progress import Progress
from study.search.proposer import Proposer
from study.search.slots import Slots


@final
class Monitor(Callback):
    """Notes on which of the concurrent slots a trial runs, and shows each change."""

    def __init__(self, proposer: Proposer, slots: Slots, progress: Progress) -> None:
        self._proposer = proposer
        self._slots = slots
        self._progress = progress

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for `Tuner.restore`, which a study does not use."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial has a process, for the first time or after a failure."""
        number = trial.config["number"]
        self._proposer.started(number, self._slots.start(number))
        self._show()

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Any],
        trial: Any,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """An epoch has ended."""
        self._show()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The trial has ended and been told."""
        self._slots.stop(trial.config["number"])
        self._show()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its process ended once too often."""
        self._slots.stop(trial.config["number"])
        self._show()

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Its process ended; it will have another."""
        self._slots.stop(trial.config["number"])

    def _show(self) -> None:
        self._progress.show_trials(self._proposer.changed(), self._proposer.num_trials)
