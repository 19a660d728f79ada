"""How much of a search's slots went into training: what its students would take alone, over the time they had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainables.measurements import ArchitectureProfile
from trainables.records import TrialRecord


@dataclass(frozen=True, slots=True)
class SlotUse:
    """Seconds of slots, summed over the slots."""

    alone_s: float  # the same training, each student alone on its device
    training_s: float  # the training as it went, beside others
    evaluation_s: float
    wall_s: float  # of the search: last trial's end less first trial's start
    num_slots: int

    @property
    def fraction(self) -> float:
        """1 where the slots did nothing but train, as fast as alone."""
        return self.alone_s / (self.num_slots * self.wall_s)


def slot_use(
    trials: Sequence[TrialRecord], profiles: Mapping[str, ArchitectureProfile], num_train_images: int
) -> SlotUse:
    """Of a finished search in one launch; trials that never ran (duplicates) count nothing.

    Args:
        trials: with their spans, slots and epochs.
        profiles: by `ModelConfig.key`.
        num_train_images: in one epoch.

    Raises:
        ValueError: no trial has run, or one has not ended, was never configured or has no measured speed.
    """
    ran = [trial for trial in trials if trial.spans]
    if not ran:
        raise ValueError("no trial has run")
    alone_s, begins, ends = 0.0, [], []
    for trial in ran:
        began, ended = trial.spans[0][0], trial.spans[-1][1]
        if ended is None:
            raise ValueError(f"trial {trial.number} has not ended: the search must be finished")
        begins.append(began)
        ends.append(ended)
        alone_s += len(trial.epochs) * num_train_images / _images_per_s(trial, profiles)
    return SlotUse(
        alone_s=alone_s,
        training_s=_sum(ran, "train_seconds"),
        evaluation_s=_sum(ran, "evaluation_seconds"),
        wall_s=max(ends) - min(begins),
        num_slots=1 + max(trial.slot or 0 for trial in ran),
    )


def _images_per_s(trial: TrialRecord, profiles: Mapping[str, ArchitectureProfile]) -> float:
    if trial.student is None:
        raise ValueError(f"trial {trial.number} has no student")
    key, batch_size = trial.student.model.key, trial.student.training.batch_size
    speed = profiles[key].metrics(batch_size).get("train_images_per_s")
    if speed is None:
        raise ValueError(f"{key}: its speed at batch {batch_size} was not measured")
    return speed


def _sum(trials: Sequence[TrialRecord], name: str) -> float:
    return sum(epoch.get(name) or 0.0 for trial in trials for epoch in trial.epochs)
