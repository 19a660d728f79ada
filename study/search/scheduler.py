"""Early stopping as Ray Tune's scheduler: asks what becomes of a trial at each result, and leaves the rest to Tune."""

import pickle
from pathlib import Path
from typing import Any, final

from ray.exceptions import RayTaskError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.search.proposer import Proposer
from study.search.searcher import of_training
from trainables.records import RungAction


@final
class StudyScheduler(FIFOScheduler):
    """Stops a trial that does not go on, whether for good or for now.

    A paused trial ends for Tune too: its slot and its process are free at once, its checkpoint is the study's own, and
    the searcher hands it out again when it may go on. Tune's own PAUSE would keep it in a queue that the searcher is
    not told of, and `fit()` from ending.
    """

    def __init__(self, proposer: Proposer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._proposer = proposer

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its scheduler for `Tuner.restore`, which a study does not use: the storage is the truth."""
        return {}

    def on_trial_result(self, tune_controller: object, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        """An epoch of a trial, or a part of one, has ended."""
        if result["epoch"] is None:
            return TrialScheduler.CONTINUE
        decision = self._proposer.judge(result["number"], of_training(result, self._proposer.own_metrics))
        goes_on = decision is None or decision.action is RungAction.GO_ON
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: object, trial: Any) -> None:  # noqa: ARG002 - Tune's signature
        """A trial's process ended. The searcher is told next, and not of what: here it is noted.

        One that ended with a node whose drain was announced as a preemption comes here, too: Tune counts nothing and
        starts it again by itself, with the same assignment, and the searcher is not told. What was noted of it is then
        replaced by what the next process of the trial ends of, if that one does not come to its end.
        """
        self._proposer.ends.note(trial.config["number"], _error_of(trial))


def _error_of(trial: Any) -> BaseException | None:
    """What Tune has just written down, in a folder of this driver's session; None: nothing that can be read."""
    try:
        error = pickle.loads(Path(trial.pickled_error_file).read_bytes())  # noqa: S301 - this process wrote it
    except Exception:  # noqa: BLE001 - an exception of a user's own may not come back; what is lost is a word
        return None
    cause = error.cause if isinstance(error, RayTaskError) else error
    return cause if isinstance(cause, BaseException) else None
