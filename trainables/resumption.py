"""Training that may end at any moment and go on: its state is written after each epoch, for a run of its own."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast, final

from trainables.checkpoints import load_state, save_state
from trainables.teacher_outputs import Split
from trainables.training import DistillationRun, EpochMetrics, EvaluationMetrics

logger = logging.getLogger(__name__)


@final
class ResumableTraining:
    """A run that goes on from its checkpoint where there is one of the same inputs, to the same bits.

    Args:
        run: at its start.
        checkpoint: where its state is kept; left there at the end, for whoever stores the result to remove.
        fingerprint: of the run's inputs; a state of other inputs is not taken.
    """

    def __init__(self, run: DistillationRun, checkpoint: Path, fingerprint: str) -> None:
        self.run = run
        self.seconds = 0.0
        self._checkpoint = checkpoint
        self._fingerprint = fingerprint
        self._load()

    def epochs(self) -> Iterator[tuple[EpochMetrics, EvaluationMetrics]]:
        """Train what is left, an epoch at a time; each is on the disk before it is told. `seconds` are of training.

        Raises:
            TrainingDivergedError: a loss or an output is not finite.
        """
        while not self.run.is_finished:
            started = time.perf_counter()
            trained = self.run.run_epoch()
            self.seconds += time.perf_counter() - started
            evaluated = self.run.evaluate(Split.VALIDATION)
            state = {"run": self.run.state_dict(), "seconds": self.seconds, "fingerprint": self._fingerprint}
            save_state(self._checkpoint, state)
            yield trained, evaluated

    def _load(self) -> None:
        if not self._checkpoint.exists():
            return
        try:
            state = load_state(self._checkpoint)
        except ValueError as error:  # a disk's fault: it is better trained again than lost
            logger.warning("%s; its training begins anew", error)
            return
        if state["fingerprint"] == self._fingerprint:
            self.run.load_state_dict(cast("dict[str, object]", state["run"]))
            self.seconds = cast("float", state["seconds"])
