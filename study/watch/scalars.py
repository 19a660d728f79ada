"""What a trial comes to as scalars by step, for logs that know nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainables.records import TrialRecord, TrialState


@dataclass(frozen=True, slots=True)
class Scalar:
    """A metric's value after `step` epochs."""

    name: str
    step: int
    value: float

    @property
    def key(self) -> tuple[str, int]:
        """What it is told apart by: a log has one value for each."""
        return self.name, self.step


def scalars(trial: TrialRecord, objectives: Sequence[str]) -> Iterator[Scalar]:
    """Each known metric of each whole epoch; and, of a trial that came to its end, the objectives known beforehand.

    A step is a whole number: what a trial reports within an epoch, at a rung, is left to the study's own storage. A
    repetition of another trial was never trained, and has none.
    """
    if trial.duplicate_of is not None:
        return
    last = 0
    for values in trial.epochs:
        epoch = values.get("epoch")
        if epoch is None or not epoch.is_integer():
            continue
        last = int(epoch)
        for name, value in values.items():
            if name != "epoch" and value is not None:
                yield Scalar(name, last, value)
    if trial.state is TrialState.COMPLETE:
        for name in objectives:
            value = trial.metrics.get(name)
            if value is not None and name not in trial.epochs[-1]:
                yield Scalar(name, last, value)
