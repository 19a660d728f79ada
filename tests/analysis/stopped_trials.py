"""Trials as early stopping leaves them: each with its decisions, after the rungs that it came to."""

from typing import Any

from tests.analysis.study_directory import MadeTrial
from trainables.records import RungAction, RungDecision

GO_ON, PAUSE, STOP = RungAction.GO_ON, RungAction.PAUSE, RungAction.STOP


def decision(
    epoch: float, action: RungAction, *, gain: float = 0.0, num_ended: int = 5, promoted: bool = False
) -> RungDecision:
    return RungDecision(
        epoch=epoch, action=action, reason="as expected", gain_fraction=gain, num_judged=12, num_ended=num_ended,
        promoted=promoted,
    )  # fmt: skip


def in_full(*, paused_at: tuple[float, ...] = (), **about: Any) -> MadeTrial:
    """Trained for all 4 epochs past the rungs at a half, 1 and 2; where it was paused it went on."""
    decisions = [
        decision(each, PAUSE if each in paused_at else GO_ON, promoted=each in paused_at) for each in (0.5, 1, 2)
    ]
    return MadeTrial(full_epochs=4, told_at=(0.5, 1, 2, 3, 4), decisions=decisions, **about)


def stopped(at: float, *, gain: float = 0.0, num_ended: int = 5, **about: Any) -> MadeTrial:
    """Paused at one of the rungs (a half, 1, 2), and never again trained."""
    told_at = [each for each in (0.5, 1.0, 2.0) if each <= at]
    decisions = [*(decision(each, GO_ON) for each in told_at[:-1]), decision(at, PAUSE, gain=gain, num_ended=num_ended)]
    return MadeTrial(state="pruned", full_epochs=4, told_at=told_at, decisions=decisions, paused_at_epoch=at, **about)


def waiting(at: float, **about: Any) -> MadeTrial:
    """Paused at a rung while the search goes on."""
    return MadeTrial(
        state="running", full_epochs=4, told_at=(at,), decisions=[decision(at, PAUSE)], paused_at_epoch=at, **about
    )


KD: dict[str, Any] = {"method": "kd", "temperature": 4.0, "alpha": 0.5}
# 6 students of 4 epochs: 24 in full, of which 4 + 4 + 1 + 0.5 + 2 + 0.5 were trained.
A_SEARCH = [
    in_full(width=2, latency_ms=0.1, spans=((0.0, 8.0),)),
    in_full(width=8, latency_ms=0.3, accuracy=0.98, paused_at=(0.5,), spans=((0.0, 1.0), (9.0, 16.0)), slot=1),
    stopped(1.0, width=2, latency_ms=0.1, gain=0.0004, spans=((1.0, 3.0),), slot=1),
    stopped(0.5, width=8, latency_ms=0.3, gain=0.9, num_ended=2, spans=((3.0, 4.0),), slot=1),
    stopped(2.0, width=8, latency_ms=0.3, gain=0.0006, spans=((4.0, 8.0),), slot=1, **KD),
    MadeTrial(state="fail", width=8, latency_ms=0.3, full_epochs=4, told_at=(0.5,), decisions=[decision(0.5, GO_ON)],
              spans=((8.0, 9.0),), **KD),
]  # fmt: skip
