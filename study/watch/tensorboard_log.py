"""TensorBoard's event files: a run a trial, a scalar a metric and epoch, and what was searched as hyperparameters."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast, final

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import FileWriter, SummaryWriter
from torch.utils.tensorboard.summary import hparams

from study.store import StudyStore
from study.watch.scalars import scalars
from trainables.records import ENDED, TrialRecord

BEGUN, HAS_ENDED = "_hparams_/session_start_info", "_hparams_/session_end_info"  # tags of TensorBoard's own


def open_log(store: StudyStore) -> "TensorBoardLog":
    """The log of a study, in its own directory."""
    return TensorBoardLog(store.paths.tensorboard, store.record.objectives)


@final
class TensorBoardLog:
    """Writes what the files do not hold yet: those of a trial are read before its first write.

    Args:
        folder: of all runs.
        objectives: names, which are the columns of TensorBoard's table of hyperparameters.
    """

    def __init__(self, folder: Path, objectives: Sequence[str]) -> None:
        self._folder = folder
        self._objectives = objectives
        self._open: dict[int, _Run] = {}
        self._ended: set[int] = set()

    def tell(self, trials: Sequence[TrialRecord]) -> None:
        """Write what is new of these, and let it be read."""
        for trial in trials:
            if trial.number not in self._ended:
                self._tell(trial)

    def close(self) -> None:
        """Write out and close every file."""
        for run in self._open.values():
            run.close()
        self._open.clear()

    def _tell(self, trial: TrialRecord) -> None:
        told = list(scalars(trial, self._objectives))
        if not told:
            return
        run = self._open.get(trial.number)
        if run is None:
            run = self._open[trial.number] = _Run(self._folder / f"student_{trial.number}")
        columns = dict.fromkeys(self._objectives, 0.0)
        experiment, begun, has_ended = hparams(dict(trial.parameters), columns)  # type: ignore[no-untyped-call]
        run.mark(BEGUN, experiment, begun)
        for scalar in told:
            run.write(scalar.name, scalar.value, scalar.step)
        if trial.state in ENDED:
            run.mark(HAS_ENDED, has_ended)
            self._ended.add(trial.number)
        if trial.state in ENDED or trial.is_paused:
            self._open.pop(trial.number).close()
        else:
            run.flush()


@final
class _Run:
    """The event files of one trial; another is begun when there is something to write.

    A file that a kill left torn is read up to there, and TensorBoard goes on with the next.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._written: set[tuple[str, int]] = set()
        self._marks: set[str] = set()
        if folder.is_dir():
            events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
            events.Reload()
            self._marks = set(events.summary_metadata)
            self._written = {(name, each.step) for name in events.Tags()["scalars"] for each in events.Scalars(name)}

    def mark(self, name: str, *summaries: object) -> None:
        """Write summaries, the last of which has this name, once."""
        if name not in self._marks:
            files = cast("FileWriter", self._opened().file_writer)
            for summary in summaries:
                files.add_summary(summary)
            self._marks.add(name)

    def write(self, name: str, value: float, step: int) -> None:
        """Write a scalar, once."""
        if (name, step) not in self._written:
            self._opened().add_scalar(name, value, step)
            self._written.add((name, step))

    def flush(self) -> None:
        """Let it be read."""
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        """Write out and close."""
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self._folder))
        return self._writer
