"""Every file of a study directory by name. Reads and writes nothing."""

from dataclasses import dataclass
from pathlib import Path

MAX_ASSISTANTS = 8  # between a teacher and its students


@dataclass(frozen=True, slots=True)
class TeacherPaths:
    """Every path of a network that teaches: of the teacher's, or of an assistant's."""

    folder: Path

    @property
    def record(self) -> Path:
        """`TeacherRecord`, written last: where it stands, the folder is complete."""
        return self.folder / "teacher.json"

    @property
    def weights(self) -> Path:
        """Its weights."""
        return self.folder / "teacher.safetensors"

    @property
    def checkpoint(self) -> Path:
        """State of its unfinished training."""
        return self.folder / "checkpoint.pt"

    def member_checkpoint(self, place: int) -> Path:
        """The same of the place-th member of an ensemble, kept until all are trained."""
        return self.folder / f"checkpoint-{place}.pt"

    @property
    def checkpoints(self) -> list[Path]:
        """Every state that stands there."""
        return sorted(self.folder.glob("checkpoint*.pt"))

    def logits(self, split: str) -> Path:
        """Its logits on the un-augmented images of "train" or "validation", float32 (images, classes)."""
        return self.folder / f"{split}_logits.npy"

    @property
    def views(self) -> Path:
        """Folder of its logits on augmented views of the training images."""
        return self.folder / "views"

    def view_logits(self, fingerprint: str, view: int) -> Path:
        """One view's, float32 (images, classes); the fingerprint is of all views that are made alike."""
        return self.views / f"{fingerprint}-{view}.npy"

    @property
    def outputs(self) -> Path:
        """`OutputsRecord`: whether the students of the search look its outputs for their views up, and why."""
        return self.folder / "outputs.json"


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
    def evidence(self) -> Path:
        """Learning curves of another study, where the sampler was told of them."""
        return self.root / "evidence.json.gz"

    @property
    def replayed_stopping(self) -> Path:
        """What the search's early stopping lost over recorded students, after `kd-study replay --into`."""
        return self.root / "replayed_stopping.json"

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
    def teacher(self) -> TeacherPaths:
        """The teacher's weights, stored outputs and `TeacherRecord`."""
        return TeacherPaths(self.root / "teacher")

    def in_chain(self, place: int) -> TeacherPaths:
        """The same of the place-th that teaches: the teacher itself at 0, then the assistants below it."""
        return self.teacher if place == 0 else TeacherPaths(self.teacher.folder / "assistants" / str(place))

    @property
    def profiles_json(self) -> Path:
        """`ProfilesRecord`."""
        return self.root / "profiles.json"

    @property
    def tensorboard(self) -> Path:
        """Event files of TensorBoard, a folder a trial, where they are asked for."""
        return self.root / "tensorboard"

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
        chain = [self.in_chain(place) for place in range(1 + MAX_ASSISTANTS)]
        teaching = [folder for each in chain for folder in (each.folder, each.views)]
        return (self.root, *teaching, self.root / "checkpoints", self.root / "students", self.verify)

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
    def transfer_json(self) -> Path:
        """`TransferRecord` of the analysis: what went from the teacher to the students."""
        return self.root / "transfer.json"

    @property
    def transfer_csv(self) -> Path:
        """All students of the transfer analysis, one row each."""
        return self.root / "transfer.csv"

    @property
    def figures(self) -> Path:
        """The report's figures as PNG."""
        return self.root / "figures"
