"""What a teacher, a student and a dataset are, as frozen data: checked when built, and equal when their fields are."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

OptionScalar = bool | int | float | str
OptionList = tuple[OptionScalar, ...]
OptionTable = dict[str, dict[str, OptionScalar | OptionList]]  # options of others, by their name
OptionValue = OptionScalar | OptionList | OptionTable

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


# Fields that came after studies had been run, and their values without effect. What holds one of these is what it was
# before there was the field: an older study's stored results stand.
_LATER_FIELDS: Mapping[str, object] = {
    "assistants": [],
    "max_norm": None,
    "mixup": 0.0,
    "transfer": {"share": 1.0, "label_share": 1.0, "omitted_classes": [], "seed": 0},
}


def without_later_fields(data: Any) -> Any:  # JSON data
    """JSON data of a configuration, for fingerprints: without fields that came later, where they are without effect."""
    if isinstance(data, dict):
        return {
            name: without_later_fields(value)
            for name, value in data.items()
            if name not in _LATER_FIELDS or value != _LATER_FIELDS[name]
        }
    return [without_later_fields(each) for each in data] if isinstance(data, list) else data


class Frozen(BaseModel):
    """Base of all configuration and records: immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NamedConfig(Frozen):
    """An entry of a registry, by name, with the options that its builder takes."""

    name: str = Field(min_length=1, description='a built-in name, or "package.module:object"')
    options: dict[str, OptionValue] = {}

    @property
    def key(self) -> str:
        """Canonical text, for example ``cnn(width=8)``: equal exactly where two configurations build the same thing."""
        listed = ",".join(f"{name}={_option_text(value)}" for name, value in sorted(self.options.items()))
        return f"{self.name}({listed})"


class ModelConfig(NamedConfig):
    """A network: a name from `trainables.models.MODELS` and its options."""


class LossConfig(NamedConfig):
    """A method of teaching a student: a name from `trainables.losses.LOSSES` and its options."""


class DatasetConfig(Frozen):
    """Which images, and how the training images are split; the test images are not touched by it."""

    name: str = "mnist"
    num_validation_images: int = Field(5_000, ge=1)
    split_seed: int = Field(0, ge=0, lt=2**32)
    max_train_images: int | None = Field(None, ge=1, description="use only this many training images; None for all")


class AugmentationConfig(Frozen):
    """Random views of the training images, a function of (seed, epoch, image index)."""

    shift_pixels: int = Field(0, ge=0, le=8, description="shift by up to this many pixels each way, zeros moving in")
    mixup: float = Field(
        0.0, ge=0.0, le=100.0, description="alpha of the Beta distribution of the share of a second image; 0: none"
    )

    @property
    def is_identity(self) -> bool:
        """Whether the view of an image is the image itself."""
        return self.shift_pixels == 0 and self.mixup == 0.0


class OptimizerConfig(Frozen):
    """AdamW (Loshchilov & Hutter 2019) or SGD with Nesterov momentum."""

    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0.0, description="peak of the schedule")
    weight_decay: float = Field(0.0, ge=0.0)
    momentum: float = Field(0.9, ge=0.0, lt=1.0, description="of SGD; AdamW's first beta is torch's default")
    max_norm: float | None = Field(
        None, gt=0.0, description="bound on the length of each unit's incoming weights in linear layers; None: none"
    )


class TrainingConfig(Frozen):
    """How a network is trained, whatever supervises it."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(128, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Literal["one_cycle", "cosine", "constant"] = "one_cycle"
    augmentation: AugmentationConfig = AugmentationConfig()
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 autocast on a CUDA device that has it, float32 elsewhere"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the weights, the order of the images, their views, dropout")


EVERY_CLASS = "none"  # the value of a parameter "omitted_class" that omits none


class TransferConfig(Frozen):
    """Which of the training images a student learns from, and which of these have labels; drawn evenly over classes."""

    share: float = Field(1.0, gt=0.0, le=1.0, description="of the training images")
    label_share: Fraction = Field(1.0, description="of those; the others teach through the teacher alone")
    omitted_classes: tuple[Annotated[int, Field(ge=0)], ...] = Field((), description="of which no image is shown")
    seed: int = Field(0, ge=0, lt=2**32, description="of the draw")

    @property
    def is_everything(self) -> bool:
        """Whether every image is shown with its label."""
        return self.share == 1.0 and self.label_share == 1.0 and not self.omitted_classes


class TeacherConfig(Frozen):
    """The network that is imitated, and how it is trained: on labels, there is nobody above it."""

    model: ModelConfig
    training: TrainingConfig
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    outputs: Literal["auto", "stored"] = Field(
        "auto", description="auto: the network itself is run where a method or its views need it; stored: never"
    )

    @model_validator(mode="after")
    def _labels_are_of_whole_images(self) -> Self:
        if self.training.augmentation.mixup:
            raise ValueError(
                f"training.augmentation.mixup = {self.training.augmentation.mixup:g}: must be 0 for a teacher, which "
                "learns from labels; a mixed image has none"
            )
        return self


class StudentConfig(Frozen):
    """One candidate: its network, what teaches it, and how it is trained."""

    model: ModelConfig
    loss: LossConfig
    training: TrainingConfig
    transfer: TransferConfig = TransferConfig()


class AssistantConfig(Frozen):
    """A network that is taught by the teacher, or the assistant before it, and teaches what comes below it.

    A student learns little from a teacher that is far larger; one of a size between may bridge the gap (Mirzadeh et
    al., AAAI 2020, "Improved Knowledge Distillation via Teacher Assistant").
    """

    model: ModelConfig
    loss: LossConfig = LossConfig(name="kd")
    training: TrainingConfig

    @property
    def student(self) -> StudentConfig:
        """What it is to the one above it."""
        return StudentConfig(model=self.model, loss=self.loss, training=self.training)

    def as_teacher(self, outputs: Literal["auto", "stored"]) -> TeacherConfig:
        """What it is to those below it, whose views are their own: how it was shown images itself is left out."""
        training = self.training.model_copy(update={"augmentation": AugmentationConfig()})
        return TeacherConfig(model=self.model, training=training, outputs=outputs)


class TrialAssignment(Frozen):
    """All that a trial's process is told about one trial."""

    number: int = Field(ge=0, description="of the Optuna trial")
    student: StudentConfig
    isolated: dict[str, float | None] = Field(
        {}, description="metrics known from the profile, repeated in every result"
    )
    report_at: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        (), description="epochs, fractions of one among them, at which it reports beside the end of each"
    )
    num_stored_reports: int = Field(0, ge=0, description="of them, those whose metrics the study already holds")
    checkpoint: str = Field(description="path of the living trial's state, resumed from where it exists")
    weights: str = Field(description="path for the weights after the full budget")
    cpus: float = Field(1.0, gt=0.0)
    gpus: float = Field(0.0, ge=0.0)


def _option_text(value: OptionValue) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
