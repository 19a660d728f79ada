"""What a transfer analysis leaves behind: each student against its teacher on the same images, as records."""

from datetime import datetime

from pydantic import Field

from trainables.config import Frozen, ModelConfig, StudentConfig
from trainables.verified import Role


class Share(Frozen):
    """So many of so many images."""

    num: int = Field(ge=0)
    total: int = Field(ge=0)

    @property
    def fraction(self) -> float | None:
        """`num` over `total`; None of no images."""
        return self.num / self.total if self.total else None


class LayerMatrix(Frozen):
    """A similarity of each of the student's layers (rows) with each of the teacher's; None where it has no meaning."""

    student_layers: tuple[str, ...]
    teacher_layers: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]

    def of(self, student_layer: str, teacher_layer: str) -> float | None:
        """The similarity of two layers."""
        return self.values[self.student_layers.index(student_layer)][self.teacher_layers.index(teacher_layer)]

    @property
    def matched(self) -> float | None:
        """Mean over the layers that both networks have by name; None where there is none with a value."""
        shared = [name for name in self.student_layers if name in self.teacher_layers]
        known = [value for name in shared if (value := self.of(name, name)) is not None]
        return sum(known) / len(known) if known else None


class ClassTransfer(Frozen):
    """The images of one class."""

    label: int
    num_images: int
    accuracy: float
    agreement: float | None = Field(description="with the teacher, as a share of the images; None for the teacher")
    boundary_distance: float | None = Field(description="mean over the sampled images of the class that have one")


class BoundaryTransfer(Frozen):
    """The decision boundary between an image's likeliest class and the runner-up, on the sampled images."""

    num_reached: int = Field(description="sampled images whose boundary was found")
    mean_distance: float | None = Field(description="L2, in normalised pixels, over the images reached")
    cosine: float | None = Field(description="mean, of student's and teacher's directions to the teacher's boundary")


class NetworkQuality(Frozen):
    """A network against the labels."""

    accuracy: float
    nll_nats: float
    ece: float = Field(description="expected calibration error, 15 bins of equal width")
    boundary: BoundaryTransfer
    classes: tuple[ClassTransfer, ...]


class TeacherTransfer(NetworkQuality):
    """The teacher that all students of the study are held against."""

    model: ModelConfig
    num_mistakes: int


class StudentTransfer(NetworkQuality):
    """One trained student against the teacher."""

    weights: str = Field(description="file of its weights, relative to the study's directory: what it is told apart by")
    trial: int
    role: Role | None = Field(description="in the verification; None for a student of the search")
    seed_index: int | None
    student: StudentConfig
    control: str | None = Field(
        description="weights of the labels-only student of the same network; None if it has none"
    )
    agreement: Share
    agreement_on_mistakes: Share = Field(description="of the images that the teacher gets wrong")
    kl_t1_nats: float = Field(description="KL(teacher || student) at temperature 1, mean over the images")
    kl_t4_nats: float = Field(description="the same at temperature 4, without the factor T^2")
    rank_correlation: float | None = Field(description="Spearman, of the logits of all classes but the true one")
    cka: LayerMatrix
    attention: LayerMatrix


class TransferRecord(Frozen):
    """All analysed students of a study; on validation images as they are, never on test images."""

    created_at: datetime
    num_images: int
    num_layer_images: int = Field(description="of them, those that CKA is computed on")
    num_boundary_images: int = Field(description="of them, those whose decision boundary was looked for")
    teacher: TeacherTransfer
    students: tuple[StudentTransfer, ...]
    left_out: tuple[str, ...] = Field((), description="students that could not be analysed, with the reason")
    seconds: float
