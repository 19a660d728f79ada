"""What a study leaves behind: its records, and a trial's mapping to Optuna. Reads and writes nothing itself."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from trainables.config import Frozen, LossConfig, ModelConfig, StudentConfig
from trainables.metrics import Metric, metric
from trainables.own_metrics import own_metrics

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ParameterValue = bool | int | float | str


class EvidenceRecord(Frozen):
    """What another study's students the sampler was told of; `StudyPaths.evidence` holds them."""

    study: str
    created_at: datetime
    num_students: int = Field(ge=1)


class StudyRecord(Frozen):
    """What was asked for and by which versions: written when the study is created, and when it is extended."""

    name: str
    created_at: datetime
    objectives: tuple[str, ...]
    config: dict[str, Any] = Field(description="the StudyConfig as JSON data")
    fingerprint: str
    versions: dict[str, str]
    import_folder: str | None = Field(
        None, description="folder of the user's TOML, from which its own entries are imported"
    )
    evidence: EvidenceRecord | None = None
    images: str | None = Field(None, description="digest of the images it began with; None: an older study, not known")

    @property
    def own_metrics(self) -> tuple[Metric, ...]:
        """Those that the study has beside the declared ones."""
        return own_metrics(self.config)

    @property
    def objective_metrics(self) -> tuple[Metric, ...]:
        """The objectives as metrics."""
        return tuple(metric(name, self.own_metrics) for name in self.objectives)


class TeacherRecord(Frozen):
    """The teacher, or an assistant: accuracy on validation, and the stage's inputs as a fingerprint."""

    model: ModelConfig
    loss: LossConfig | None = Field(None, description="by which an assistant was taught; None: the teacher, on labels")
    num_parameters: int
    validation_accuracy: float
    validation_nll: float
    epochs: int
    train_seconds: float
    fingerprint: str
    source: str | None = Field(None, description="where a teacher that was trained elsewhere comes from")


class OutputsRecord(Frozen):
    """How students of the search that learn from logits on augmented views are told them. A pass is over all images."""

    num_views: int = Field(ge=0, description="whose logits are stored, a pass each; 0: none")
    num_bytes: int = Field(ge=0, description="that they take")
    replaced_passes: float = Field(ge=0.0, description="of a teacher run beside the students that look them up")
    live_passes: float = Field(ge=0.0, description="of one that is run beside the others of them")


def own_parameter(parameters: Mapping[str, ParameterValue], name: str) -> ParameterValue | None:
    """Of a trial's parameters that of the name, or the one that its method has for itself; None: neither."""
    return parameters.get(name, parameters.get(f"{parameters.get('method')}_{name}"))


class TrialState(StrEnum):
    """A trial's state, in Optuna's terms. Only COMPLETE, the full budget, may stand on a front."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "fail"


ENDED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED})

# User attributes of an Optuna trial.
STUDENT_ATTRIBUTE = "student"  # StudentConfig as JSON data
METRICS_ATTRIBUTE = "metrics"  # final metrics, name -> value or None
ORIGIN_ATTRIBUTE = "origin"  # "baseline" or "search"
DUPLICATE_ATTRIBUTE = "duplicate_of"  # number of the trial that was trained instead
BREAKS_ATTRIBUTE = "breaks"  # the constraint that it does not keep
REASON_ATTRIBUTE = "reason"  # why it was stopped or failed
FACTS_ATTRIBUTE = "facts"  # device, host and versions, name -> text
SLOT_ATTRIBUTE = "slot"  # which of the concurrent slots it ran on, from 0
SPANS_ATTRIBUTE = "spans"  # [[start, end or None], ...] in seconds since the epoch, one for each time it ran
FAILED_AT_ATTRIBUTE = "failed_at"  # [how many reports were stored then, ...], one for each failure
FAILURES_ATTRIBUTE = "failures"  # [reason, ...], one for each process that ended under it, over all launches
PAUSED_ATTRIBUTE = "paused_at_epoch"  # of a RUNNING trial that holds no slot; None once it goes on
EPOCH_PREFIX = "epoch:"  # + number, which may be a fraction: the metrics then
DECISION_PREFIX = "decision:"  # + epoch: `RungDecision`
# User attributes of an Optuna study.
EXHAUSTED_ATTRIBUTE = "exhausted"  # the sampler found nothing but duplicates for long
REFERENCE_ATTRIBUTE = "reference_point"  # of hypervolumes: a value for each objective, in its own unit
OBJECTIVES_ATTRIBUTE = "objectives"  # metric names, in the order of the directions


def epoch_attribute(epoch: float) -> str:
    """Name of the user attribute that holds the metrics after so many epochs, whole or not."""
    return f"{EPOCH_PREFIX}{epoch:g}"


def decision_attribute(epoch: float) -> str:
    """Name of the user attribute that holds what was decided at the rung after so many epochs."""
    return f"{DECISION_PREFIX}{epoch:g}"


class RungAction(StrEnum):
    """What becomes of a trial at a rung."""

    GO_ON = "go_on"
    PAUSE = "pause"
    STOP = "stop"


class RungDecision(Frozen):
    """What early stopping decided about a trial after `epoch` epochs, and why."""

    epoch: float = Field(gt=0.0)
    action: RungAction
    reason: str
    gain_fraction: float = Field(ge=0.0, description="what it was expected to add, of the rung's hypervolume")
    num_judged: int = Field(ge=1, description="trials that had come to the rung, this one among them")
    num_ended: int = Field(ge=0, description="of them, those that had come to their end")
    promoted: bool = Field(default=False, description="it was paused here, and went on once others had come")


class TrialRecord(Frozen):
    """One trial as the storage shows it."""

    number: int
    state: TrialState
    parameters: dict[str, ParameterValue]
    student: StudentConfig | None
    metrics: dict[str, float | None] = Field(description="of the last epoch, with the architecture's isolated metrics")
    epochs: tuple[dict[str, float | None], ...] = Field(description='by epoch, each with its "epoch"')
    origin: str | None
    duplicate_of: int | None
    breaks: str | None = None
    reason: str | None
    slot: int | None
    spans: tuple[tuple[float, float | None], ...]
    facts: dict[str, str]
    failures: tuple[str, ...] = Field((), description="why each process ended that did not come to the trial's end")
    failed_at: tuple[int, ...] = Field((), description="of each of those, how many reports were stored by then")
    paused_at_epoch: float | None = None
    decisions: tuple[RungDecision, ...] = Field((), description="by epoch")

    def parameter(self, name: str) -> ParameterValue | None:
        """The parameter of that name, or the one that its method has for itself ("dkd_temperature"); None: neither."""
        return own_parameter(self.parameters, name)

    @property
    def num_failures_in_vain(self) -> int:
        """How many processes have ended since it last came any further."""
        return sum(each >= len(self.epochs) for each in self.failed_at)

    @property
    def may_stand_on_a_front(self) -> bool:
        """Whether it ran its full budget itself, and keeps every constraint."""
        return self.state is TrialState.COMPLETE and self.duplicate_of is None and self.breaks is None

    @property
    def is_refused(self) -> bool:
        """Whether it was never trained, for it was known beforehand to break a constraint."""
        return self.breaks is not None and self.state is TrialState.PRUNED

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for: neither a repetition nor refused."""
        return self.duplicate_of is None and not self.is_refused

    @property
    def is_paused(self) -> bool:
        """Whether it is unfinished and holds no slot."""
        return self.state is TrialState.RUNNING and self.paused_at_epoch is not None

    @property
    def pending_decision(self) -> RungDecision | None:
        """What was decided at its last epoch and not done, where its driver died in between."""
        last = self.decisions[-1] if self.decisions else None
        if last is None or self.state is not TrialState.RUNNING or last.epoch != self.metrics.get("epoch"):
            return None
        should_pause = last.action is RungAction.PAUSE and not last.promoted
        return last if last.action is RungAction.STOP or should_pause is not self.is_paused else None

    @classmethod
    def from_optuna(cls, trial: "FrozenTrial", before: "TrialRecord | None" = None) -> "TrialRecord":
        """Read a trial of an Optuna study of ours.

        Args:
            trial: as it is now.
            before: what was read of it earlier, if it was: its student is written once, and then taken from there.
        """
        attributes = trial.user_attrs
        epochs = {
            float(name.removeprefix(EPOCH_PREFIX)): values
            for name, values in attributes.items()
            if name.startswith(EPOCH_PREFIX)
        }
        ordered = [epochs[epoch] for epoch in sorted(epochs)]
        decisions = [
            RungDecision.model_validate(values)
            for name, values in attributes.items()
            if name.startswith(DECISION_PREFIX)
        ]
        student = None if before is None else before.student
        if student is None and (given := attributes.get(STUDENT_ATTRIBUTE)) is not None:
            student = StudentConfig.model_validate(given)
        return cls(
            number=trial.number,
            state=TrialState(trial.state.name.lower()),
            parameters=trial.params,
            student=student,
            metrics=attributes.get(METRICS_ATTRIBUTE) or (ordered[-1] if ordered else {}),
            epochs=tuple(ordered),
            origin=attributes.get(ORIGIN_ATTRIBUTE),
            duplicate_of=attributes.get(DUPLICATE_ATTRIBUTE),
            breaks=attributes.get(BREAKS_ATTRIBUTE),
            reason=attributes.get(REASON_ATTRIBUTE),
            slot=attributes.get(SLOT_ATTRIBUTE),
            spans=tuple((start, end) for start, end in attributes.get(SPANS_ATTRIBUTE, ())),
            failures=tuple(attributes.get(FAILURES_ATTRIBUTE, ())),
            failed_at=tuple(attributes.get(FAILED_AT_ATTRIBUTE, ())),
            paused_at_epoch=attributes.get(PAUSED_ATTRIBUTE),
            decisions=tuple(sorted(decisions, key=lambda each: each.epoch)),
            facts=attributes.get(FACTS_ATTRIBUTE, {}),
        )


class StatusRecord(Frozen):
    """How far a study is, for whoever asks from outside; written whole by the driver."""

    name: str
    stage: str = Field(description="a stage's name, or done, interrupted, failed")
    detail: str
    num_target_trials: int
    num_trials: dict[str, int] = Field(description="by TrialState, and how many are paused")
    front: tuple[dict[str, Any], ...] = Field(
        description="number, parameters and objectives of each student on the front"
    )
    started_at: datetime
    updated_at: datetime
    seconds_left: float | None
    teachers: str | None = Field(None, description="the teacher, and the assistants below it, once they are trained")
    own_metrics: tuple[Metric, ...] = Field((), description="those that the study has beside the declared ones")
    pid: int | None = Field(description="of the driver; None: read from the storage, where none has told")
    host: str | None
