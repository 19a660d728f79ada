"""What early stopping did: how far each student was trained, what became of it at each rung, and what that saved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from trainables.records import RungAction, RungDecision, TrialRecord, TrialState

# Before so many of a rung's trials have ended, what a trial shows there is not projected to an end (study.search).
MIN_ENDED_TO_PROJECT = 3


class Fate(StrEnum):
    """What became of a trial at a rung."""

    WENT_ON = "went on at once"
    PROMOTED = "went on after a pause"
    WAITS = "still paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Rung:
    """How many trials came to a rung, and what became of them there."""

    epoch: float
    num_trials: int
    num_by_fate: dict[Fate, int]


@dataclass(frozen=True, slots=True)
class Spent:
    """Epochs of all students that were asked for: trained, and why the rest was not; and seconds.

    `seconds` are of training and validation, of the trials that came to their end or were stopped; None where one of
    them did not tell. `full_seconds` are what these would have taken in full, each at its own speed.
    """

    trained_epochs: float
    full_epochs: float
    saved_epochs: float
    failed_epochs: float
    open_epochs: float
    seconds: float | None
    full_seconds: float | None


def asked_students(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The trials that were to be trained: configured, begun or about to, neither a repetition nor refused."""
    return tuple(
        trial
        for trial in trials
        if trial.student is not None and trial.counts and trial.state is not TrialState.WAITING
    )


def epochs_trained(trial: TrialRecord) -> float:
    """How many epochs a trial was trained for as far as it has reported: 0.25 after a quarter of the first."""
    return 0.0 if not trial.epochs else float(trial.epochs[-1].get("epoch") or 0.0)


def full_epochs(trial: TrialRecord) -> float:
    """How many epochs a trial would have been trained for."""
    return 0.0 if trial.student is None else max(float(trial.student.training.epochs), epochs_trained(trial))


def epochs_within(epochs: float, start: float, end: float) -> float:
    """How many of the first `epochs` lie between `start` and `end`."""
    return max(0.0, min(epochs, end) - start)


def stopped_at_epoch(trial: TrialRecord) -> float | None:
    """After how many epochs a trial was stopped; None where it was not."""
    return epochs_trained(trial) if trial.state is TrialState.PRUNED and trial.counts else None


def paused_at_epoch(trial: TrialRecord) -> float | None:
    """After how many epochs a trial was paused for the last time, whatever came after; None where it never was."""
    paused = [each.epoch for each in trial.decisions if each.action is RungAction.PAUSE]
    return paused[-1] if paused else trial.paused_at_epoch


def fate(trial: TrialRecord, decision: RungDecision) -> Fate:
    """What became of the trial where that was decided."""
    if decision.action is RungAction.GO_ON:
        return Fate.WENT_ON
    if decision.promoted or epochs_trained(trial) > decision.epoch:
        return Fate.PROMOTED
    return Fate.WAITS if trial.state is TrialState.RUNNING else Fate.STOPPED


def went_on_after_a_pause(trial: TrialRecord) -> bool:
    """Whether the trial was paused at some rung and trained further."""
    return any(fate(trial, each) is Fate.PROMOTED for each in trial.decisions)


def rungs(trials: Sequence[TrialRecord]) -> tuple[Rung, ...]:
    """The rungs that trials came to, by epoch."""
    by_epoch: dict[float, Counter[Fate]] = {}
    for trial in trials:
        for decision in trial.decisions:
            by_epoch.setdefault(decision.epoch, Counter())[fate(trial, decision)] += 1
    return tuple(
        Rung(epoch, by_epoch[epoch].total(), {each: by_epoch[epoch][each] for each in Fate})
        for epoch in sorted(by_epoch)
    )


def stretches(trials: Sequence[TrialRecord]) -> tuple[tuple[float, float], ...]:
    """The epochs of a student cut at the rungs: start and end of each stretch, from 0 to the longest training."""
    ends = {each.epoch for each in rungs(trials)} | {full_epochs(trial) for trial in asked_students(trials)}
    ordered = sorted(ends - {0.0})
    return tuple(zip([0.0, *ordered], ordered, strict=False))


def epochs_left(asked: Sequence[TrialRecord]) -> dict[TrialState, float]:
    """Epochs that the `asked_students` have not been trained for, by what became of them."""
    left = dict.fromkeys(TrialState, 0.0)
    for trial in asked:
        left[trial.state] += full_epochs(trial) - epochs_trained(trial)
    return left


def spent(trials: Sequence[TrialRecord]) -> Spent:
    """What the search has trained and what it would have trained without early stopping."""
    asked = asked_students(trials)
    left = epochs_left(asked)
    ended = [each for each in asked if each.state in {TrialState.COMPLETE, TrialState.PRUNED} and each.epochs]
    seconds = [_seconds(trial) for trial in ended]
    known = [each for each in seconds if each is not None]
    is_known = len(known) == len(seconds)
    return Spent(
        trained_epochs=sum(map(epochs_trained, asked)),
        full_epochs=sum(map(full_epochs, asked)),
        saved_epochs=left[TrialState.PRUNED],
        failed_epochs=left[TrialState.FAILED],
        open_epochs=left[TrialState.RUNNING],
        seconds=sum(taken for taken, _ in known) if is_known else None,
        full_seconds=sum(full for _, full in known) if is_known else None,
    )


def seconds_per_epoch(trial: TrialRecord) -> float | None:
    """Seconds of training for one epoch, over all that the trial has reported; None where it did not tell."""
    trained = _total(trial, "train_seconds")
    return None if trained is None or epochs_trained(trial) == 0.0 else trained / epochs_trained(trial)


def stopping_decision(trial: TrialRecord) -> RungDecision | None:
    """What stopped the trial; None where it was not stopped at a rung."""
    last = trial.decisions[-1] if trial.decisions else None
    return last if last is not None and stopped_at_epoch(trial) == last.epoch else None


def is_projected(decision: RungDecision) -> bool:
    """Whether the expected gain is one of the trial's end, and not its place among what others showed at the rung."""
    return decision.num_ended >= MIN_ENDED_TO_PROJECT


def _seconds(trial: TrialRecord) -> tuple[float, float] | None:
    """What a trial took, and what it would have taken in full at its own speed, validated after each whole epoch."""
    trained, evaluated = _total(trial, "train_seconds"), _total(trial, "evaluation_seconds")
    speed = seconds_per_epoch(trial)
    if trained is None or evaluated is None or speed is None:
        return None
    return trained + evaluated, full_epochs(trial) * (speed + evaluated / len(trial.epochs))


def _total(trial: TrialRecord, name: str) -> float | None:
    """A number summed over all that the trial reported; None where it reported nothing, or one without it."""
    values = [each.get(name) for each in trial.epochs]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
