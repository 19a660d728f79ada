"""Trials and studies as a driver sees them, for tests of what is shown of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from study.watch.readings import StudyView
from tests.factories import student
from trainables.config import LossConfig
from trainables.metrics import metric
from trainables.records import StatusRecord, TrialRecord, TrialState

LAUNCHED = datetime(2026, 1, 1, tzinfo=UTC)
OBJECTIVES = (metric("validation_accuracy"), metric("latency_p50_ms_batch1"))


def epochs(*numbers: float, **fields: float | None) -> tuple[dict[str, float | None], ...]:
    """One report after each of these, every one with the same further numbers."""
    given: dict[str, float | None] = {"validation_accuracy": 0.5, "train_loss": 1.5, "train_seconds": 2.0, **fields}
    return tuple({"epoch": number, **given} for number in numbers)


def trial(
    number: int, state: TrialState, *, began_s: float = 1.0, method: str = "labels", **fields: Any
) -> TrialRecord:
    """One of four epochs that began so long after the launch."""
    began = LAUNCHED.timestamp() + began_s
    given: dict[str, Any] = {
        "number": number,
        "state": state,
        "parameters": {"width": 2, "method": method},
        "student": student(epochs=4, loss=LossConfig(name=method)),
        "metrics": {},
        "epochs": (),
        "origin": "search",
        "duplicate_of": None,
        "reason": None,
        "slot": 0,
        "spans": ((began, None if state is TrialState.RUNNING else began + 9.0),),
        "facts": {},
        **fields,
    }
    return TrialRecord(**given)


def finished(number: int, accuracy: float, latency: float, **fields: Any) -> TrialRecord:
    """One that came to its end, with these objectives."""
    metrics = {"validation_accuracy": accuracy, "latency_p50_ms_batch1": latency}
    given: dict[str, Any] = {"metrics": metrics, "epochs": epochs(1, 2, 3, 4), **fields}
    return trial(number, TrialState.COMPLETE, **given)


def status(**fields: Any) -> StatusRecord:
    given: dict[str, Any] = {
        "name": "test",
        "stage": "search",
        "detail": "",
        "num_target_trials": 24,
        "num_trials": {},
        "front": (),
        "started_at": LAUNCHED,
        "updated_at": datetime.now(UTC),
        "seconds_left": None,
        "pid": 1,
        "host": "here",
        **fields,
    }
    return StatusRecord(**given)


def view(trials: Sequence[TrialRecord], **fields: Any) -> StudyView:
    """A study of these trials, whose epochs show 1,000 images."""
    given: dict[str, Any] = {
        "study": "/studies/a",
        "status": status(),
        "trials": trials,
        "objectives": OBJECTIVES,
        "devices": {"CPU": 4.0},
        "held_by": lambda _: {"CPU": 1.0},
        "images_per_epoch": lambda transfer: round(1_000 * transfer.share),
        **fields,
    }
    return StudyView(**given)
