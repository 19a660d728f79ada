"""A student's trial that takes its time over an epoch, and no CPU for it. Imports no more than a trial does."""

import time
from typing import Any

from tests.benchmarks.timed_trial import TimedStudentTrial

EPOCH_S = 0.5


class SlowedStudentTrial(TimedStudentTrial):
    """Waits before each epoch."""

    def step(self) -> dict[str, Any]:
        """As it is, after a wait that does not count as the step's."""
        time.sleep(EPOCH_S)
        return super().step()
