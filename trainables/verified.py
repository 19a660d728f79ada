"""What the verification leaves behind: students of the front trained again, and read once on the test images."""

from enum import StrEnum

from pydantic import Field

from trainables.config import Execution, Frozen, StudentConfig


class Preprocessing(Frozen):
    """What stands between an image's bytes and the network: (pixel / 255 - mean) / std by channel."""

    input_shape: tuple[int, int, int] = Field(description="channels, height, width")
    num_classes: int
    pixel_scale: float = Field(1 / 255, description="of the bytes, before the mean is taken off")
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    layout: str = "NCHW float32"


class Role(StrEnum):
    """Why it is verified: as one of the front, as the one that differs from it in method alone, or as the best.

    The best of its kind is the most accurate of the students that share certain parameters, tuned over the others.
    """

    STUDENT = "student"
    PARTNER = "partner"
    BEST = "best of its kind"


class SplitMetrics(Frozen):
    """A network on the images of one split, against their labels and beside the teacher."""

    num_images: int
    accuracy: float
    nll: float
    agreement: float = Field(description="with the teacher's predictions, right or wrong")
    accuracy_by_class: tuple[float | None, ...] = Field((), description="on the images of each; None: there is none")
    own: dict[str, float] = Field({}, description="metrics of logits that the study has, by declared name")

    def value(self, name: str) -> float | None:
        """One of them, or of the study's own, by its name; None: it is not known."""
        return self.own[name] if name in self.own else getattr(self, name, None)


class PlannedRun(Frozen):
    """A configuration that is to be trained once more."""

    trial: int = Field(description="of the student that is verified, here or by its partner")
    role: Role
    seed_index: int = Field(ge=1, description="which of the fresh seeds; the seed itself stands in student.training")
    student: StudentConfig
    fingerprint: str = Field(description="of its inputs: teacher, data, configuration and seed")
    execution: Execution | None = Field(None, description="chosen by the profile; None: as it is done without trying")


class VerifiedRun(PlannedRun):
    """A configuration trained once more, with a fresh seed, and read once on the test images: the card of its weights.

    What could not be trained (not finite, too little memory, refused by its loss) has a `failure`, and no metrics.
    """

    preprocessing: Preprocessing
    num_parameters: int | None
    validation_accuracy: float | None
    on_test: SplitMetrics | None
    failure: str | None
    train_seconds: float | None
    device: str
    versions: dict[str, str]


class VerificationRecord(Frozen):
    """What was verified: the runs of each chosen student and of its partner, and the teacher, on the test images."""

    trials: tuple[int, ...] = Field(description="the chosen students of the front, from the cheapest on")
    num_seeds: int
    best_of: tuple[str, ...] = Field((), description="the parameters that make a kind, of which the best is verified")
    teacher: SplitMetrics
    runs: tuple[VerifiedRun, ...]
