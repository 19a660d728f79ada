"""Learning curves of a finished study, as a file of their own: what searches are replayed on."""

import gzip
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from analysis.results import StudyResults, read_study
from trainables.config import Frozen, StudentConfig
from trainables.metrics import Source, is_metric, metric
from trainables.records import TrialState
from trainables.whole_files import replacing


class RecordedTrial(Frozen):
    """A student that was trained to its end: what it was, what was known of it, and what it was worth on its way."""

    number: int
    parameters: dict[str, bool | int | float | str]
    student: StudentConfig
    isolated: dict[str, float | None] = Field(description="metrics known before it was trained")
    epochs: tuple[dict[str, float | None], ...] = Field(
        min_length=1, description='metrics of training after each epoch or part of one, with its "epoch"; seconds too'
    )


class RecordedCurves(Frozen):
    """Learning curves of a study, and all that it was asked for."""

    name: str
    created_at: datetime
    config: dict[str, Any] = Field(description="the StudyConfig as JSON data")
    versions: dict[str, str]
    device: str | None
    num_left_out: int = Field(0, ge=0, description="trials that did not run to their end: of them no end is known")
    trials: tuple[RecordedTrial, ...] = Field(min_length=1)


def read_curves(path: Path) -> RecordedCurves:
    """The curves in a study's directory, or in a file that `write_curves` has written.

    Raises:
        ValueError: there are none, or the file cannot be read.
    """
    if path.is_dir():
        return curves_of(read_study(path))
    try:
        return RecordedCurves.model_validate_json(gzip.decompress(path.read_bytes()))
    except (OSError, EOFError, zlib.error, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: neither a study's directory nor recorded curves ({reason})") from error


def write_curves(curves: RecordedCurves, path: Path) -> None:
    """Write them as one compressed file, the same bytes for the same curves."""
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(curves.model_dump_json().encode(), mtime=0))


def curves_of(results: StudyResults) -> RecordedCurves:
    """The curves of the trials that ran to their end themselves.

    Raises:
        ValueError: there is none.
    """
    kept = _OF_AN_EPOCH | {each.name for each in results.record.own_metrics}
    trials = [
        RecordedTrial(
            number=trial.number,
            parameters=trial.parameters,
            student=trial.student,
            isolated={name: value for name, value in trial.metrics.items() if _is_isolated(name)},
            epochs=tuple({name: value for name, value in epoch.items() if name in kept} for epoch in trial.epochs),
        )
        for trial in results.trials
        if trial.state is TrialState.COMPLETE and trial.counts and trial.student is not None
    ]
    if not trials:
        raise ValueError(f"study {results.record.name} has no trial that ran to its end")
    profiles = results.profiles
    return RecordedCurves(
        name=results.record.name,
        created_at=results.record.created_at,
        config=results.record.config,
        versions=results.record.versions,
        device=None if profiles is None else profiles.teacher.device.name,
        num_left_out=sum(trial.counts for trial in results.trials) - len(trials),
        trials=tuple(trials),
    )


_OF_AN_EPOCH = frozenset(
    {"epoch", "validation_accuracy", "validation_nll", "validation_agreement", "train_loss", "train_seconds",
     "evaluation_seconds"}
)  # fmt: skip


def _is_isolated(name: str) -> bool:
    return is_metric(name) and metric(name).source is Source.ISOLATED
