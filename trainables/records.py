"""What a study leaves behind: file names, records, and a trial's mapping to Optuna. Reads and writes nothing itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from trainables.config import Frozen, ModelConfig, StudentConfig

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class StudyPaths:
    """Every path of a study directory, relative to where it stands now."""

    root: Path

    @property
    def study_json(self) -> Path:
        """`StudyRecord`."""
        return self.root / "study.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal file, the truth about trials."""
        return self.root / "optuna.journal"

    @property
    def status_json(self) -> Path:
        """`StatusRecord`, rewritten whole by the driver."""
        return self.root / "status.json"

    @property
    def lock(self) -> Path:
        """Held by the one driver."""
        return self.root / "driver.lock"

    @property
    def failure(self) -> Path:
        """Traceback of a launch that failed; gone when a later one succeeds."""
        return self.root / "failure.txt"

    @property
    def teacher(self) -> Path:
        """Folder of the teacher's weights, stored outputs and `TeacherRecord`."""
        return self.root / "teacher"

    @property
    def teacher_json(self) -> Path:
        """`TeacherRecord`, written last: where it stands, the folder is complete."""
        return self.teacher / "teacher.json"

    @property
    def teacher_weights(self) -> Path:
        """The teacher's weights."""
        return self.teacher / "teacher.safetensors"

    @property
    def teacher_checkpoint(self) -> Path:
        """State of an unfinished teacher."""
        return self.teacher / "checkpoint.pt"

    def teacher_logits(self, split: str) -> Path:
        """The teacher's logits on the un-augmented images of "train" or "validation", float32 (images, classes)."""
        return self.teacher / f"{split}_logits.npy"

    @property
    def profiles_json(self) -> Path:
        """`ProfilesRecord`."""
        return self.root / "profiles.json"

    @property
    def launches(self) -> Path:
        """Tune's own folders, one a launch, by number from 1."""
        return self.root / "launches"

    def checkpoint(self, trial_number: int) -> Path:
        """Whole training state of a living trial, replaced each epoch."""
        return self.root / "checkpoints" / f"{trial_number}.pt"

    def student_weights(self, trial_number: int) -> Path:
        """Weights of a trial that ran its full budget."""
        return self.root / "students" / f"{trial_number}.safetensors"

    @property
    def verify(self) -> Path:
        """Folder of the students that were trained again: `VerifiedRun` and weights of each."""
        return self.root / "verify"

    @property
    def verification_json(self) -> Path:
        """`VerificationRecord`, written last: where it stands, all of its runs do."""
        return self.verify / "verification.json"

    def verified_run(self, fingerprint: str) -> Path:
        """`VerifiedRun` of that fingerprint: the card of the weights beside it."""
        return self.verify / f"{fingerprint}.json"

    def verified_weights(self, fingerprint: str) -> Path:
        """Weights of the `VerifiedRun` of that fingerprint."""
        return self.verify / f"{fingerprint}.safetensors"

    def verified_checkpoint(self, fingerprint: str) -> Path:
        """State of an unfinished run of that fingerprint."""
        return self.verify / f"{fingerprint}.pt"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that files are written into whole."""
        return (self.root, self.teacher, self.root / "checkpoints", self.root / "students", self.verify)

    @property
    def report_html(self) -> Path:
        """The report, one file that opens without network."""
        return self.root / "report.html"

    @property
    def front_csv(self) -> Path:
        """The non-dominated students."""
        return self.root / "front.csv"

    @property
    def trials_csv(self) -> Path:
        """All trials, one row each."""
        return self.root / "trials.csv"

    @property
    def verified_csv(self) -> Path:
        """All runs of the verification, one row each."""
        return self.root / "verified.csv"

    @property
    def figures(self) -> Path:
        """The report's figures as PNG."""
        return self.root / "figures"


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


class TeacherRecord(Frozen):
    """The trained teacher: accuracy on validation, and the stage's inputs as a fingerprint."""

    model: ModelConfig
    num_parameters: int
    validation_accuracy: float
    validation_nll: float
    epochs: int
    train_seconds: float
    fingerprint: str


class TrialState(StrEnum):
    """A trial's state, in Optuna's terms. Only COMPLETE, the full budget, may stand on a front."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "fail"


# User attributes of an Optuna trial.
STUDENT_ATTRIBUTE = "student"  # StudentConfig as JSON data
METRICS_ATTRIBUTE = "metrics"  # final metrics, name -> value or None
ORIGIN_ATTRIBUTE = "origin"  # "baseline" or "search"
DUPLICATE_ATTRIBUTE = "duplicate_of"  # number of the trial that was trained instead
REASON_ATTRIBUTE = "reason"  # why it was stopped or failed
FACTS_ATTRIBUTE = "facts"  # device, host and versions, name -> text
SLOT_ATTRIBUTE = "slot"  # which of the concurrent slots it ran on, from 0
SPANS_ATTRIBUTE = "spans"  # [[start, end or None], ...] in seconds since the epoch, one for each launch it ran in
EPOCH_PREFIX = "epoch:"  # + number: that epoch's metrics
# User attributes of an Optuna study.
EXHAUSTED_ATTRIBUTE = "exhausted"  # the sampler found nothing but duplicates for long
OBJECTIVES_ATTRIBUTE = "objectives"  # metric names, in the order of the directions


def epoch_attribute(epoch: int) -> str:
    """Name of the user attribute that holds the metrics after `epoch` epochs (from 1)."""
    return f"{EPOCH_PREFIX}{epoch}"


class TrialRecord(Frozen):
    """One trial as the storage shows it."""

    number: int
    state: TrialState
    parameters: dict[str, bool | int | float | str]
    student: StudentConfig | None
    metrics: dict[str, float | None] = Field(description="of the last epoch, with the architecture's isolated metrics")
    epochs: tuple[dict[str, float | None], ...] = Field(description='by epoch, each with its "epoch"')
    origin: str | None
    duplicate_of: int | None
    reason: str | None
    slot: int | None
    spans: tuple[tuple[float, float | None], ...]
    facts: dict[str, str]

    @property
    def may_stand_on_a_front(self) -> bool:
        """Whether it ran its full budget itself."""
        return self.state is TrialState.COMPLETE and self.duplicate_of is None

    @classmethod
    def from_optuna(cls, trial: "FrozenTrial") -> "TrialRecord":
        """Read a trial of an Optuna study of ours."""
        attributes = trial.user_attrs
        epochs = {
            int(name.removeprefix(EPOCH_PREFIX)): values
            for name, values in attributes.items()
            if name.startswith(EPOCH_PREFIX)
        }
        ordered = [epochs[epoch] for epoch in sorted(epochs)]
        student = attributes.get(STUDENT_ATTRIBUTE)
        return cls(
            number=trial.number,
            state=TrialState(trial.state.name.lower()),
            parameters=trial.params,
            student=None if student is None else StudentConfig.model_validate(student),
            metrics=attributes.get(METRICS_ATTRIBUTE) or (ordered[-1] if ordered else {}),
            epochs=tuple(ordered),
            origin=attributes.get(ORIGIN_ATTRIBUTE),
            duplicate_of=attributes.get(DUPLICATE_ATTRIBUTE),
            reason=attributes.get(REASON_ATTRIBUTE),
            slot=attributes.get(SLOT_ATTRIBUTE),
            spans=tuple((start, end) for start, end in attributes.get(SPANS_ATTRIBUTE, ())),
            facts=attributes.get(FACTS_ATTRIBUTE, {}),
        )


class StatusRecord(Frozen):
    """How far a study is, for whoever asks from outside; written whole by the driver."""

    name: str
    stage: str = Field(description="a stage's name, or done, interrupted, failed")
    detail: str
    num_target_trials: int
    num_trials: dict[str, int] = Field(description="by TrialState")
    front: tuple[dict[str, Any], ...] = Field(
        description="number, parameters and objectives of each student on the front"
    )
    started_at: datetime
    updated_at: datetime
    seconds_left: float | None
    pid: int
    host: str
