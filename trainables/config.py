"""What a teacher, a student and a dataset are, as frozen data: checked when built, and equal when their fields are."""

import json
import operator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

OptionScalar = bool | int | float | str
OptionList = tuple[OptionScalar, ...]
OptionDict = dict[str, OptionScalar | OptionList]
OptionTable = dict[str, OptionDict]  # options of others, by their name
OptionValue = OptionScalar | OptionList | OptionDict | OptionTable

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


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

    @property
    def without_weights(self) -> "ModelConfig":
        """The same network for whoever puts other weights into it: torchvision's are then not fetched."""
        if "torchvision" not in {self.name, self.options.get("of")}:
            return self
        options = {name: value for name, value in self.options.items() if name != "weights"}
        return self.model_copy(update={"options": options})


ENSEMBLE = "ensemble"  # the name of several networks as one, in `trainables.models.MODELS`


class LossConfig(NamedConfig):
    """A method of teaching a student: a name from `trainables.losses.LOSSES` and its options."""


class DatasetConfig(NamedConfig):
    """A dataset from `trainables.data.DATASETS`, and how its training images are split; test images are left alone.

    Options that there are none of are not written: studies from before there were options are what they were.
    """

    name: str = Field("mnist", min_length=1)
    options: dict[str, OptionValue] = Field({}, exclude_if=operator.not_, description="such as root, its folder")
    num_validation_images: int = Field(5_000, ge=1)
    split_seed: int = Field(0, ge=0, lt=2**32)
    max_train_images: int | None = Field(None, ge=1, description="use only this many training images; None for all")


class RandAugmentConfig(Frozen):
    """Operations drawn evenly for each image, all at one magnitude (Cubuk et al., NeurIPS 2020, "RandAugment")."""

    num_ops: int = Field(2, ge=1, le=8, description="one after another; the same one may come twice")
    magnitude: int = Field(9, ge=0, le=30, description="on the scale of torchvision, whose strongest is 30")


class AugmentationConfig(Frozen):
    """Random views of the training images, a function of (seed, epoch, image index), made in this order.

    Zeros, which are black, move in with a shift: 4 pixels are the literature's crop of an image padded by 4.
    """

    shift_pixels: int = Field(0, ge=0, le=8, description="shift by up to this many pixels each way, zeros moving in")
    flip: bool = Field(False, description="show every second image, by chance, as in a mirror: left is right")
    rand_augment: RandAugmentConfig | None = Field(None, description="RandAugment's operations; None: none")
    cutout_pixels: int = Field(0, ge=0, le=256, description="side of a square, anywhere, of the mean colour; 0: none")
    mixup: float = Field(
        0.0, ge=0.0, le=100.0, description="alpha of the Beta distribution of the share of a second image; 0: none"
    )

    @property
    def active(self) -> dict[str, object]:
        """What is done, by the names of the fields: JSON data."""
        return {name: value for name, value in self.model_dump(mode="json").items() if value}

    @property
    def is_identity(self) -> bool:
        """Whether the view of an image is the image itself."""
        return not self.active


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
    accumulate: int = Field(1, ge=1, description="parts of a batch, one after another, whose gradients make one step")
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: Literal["one_cycle", "cosine", "constant", "multi_step"] = "one_cycle"
    milestones: tuple[float, ...] = Field(
        (150 / 240, 180 / 240, 210 / 240), min_length=1, description="of multi_step: shares of the training, rising"
    )
    milestone_decay: float = Field(0.1, gt=0.0, lt=1.0, description="of multi_step: factor of the rate at each")
    augmentation: AugmentationConfig = AugmentationConfig()
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 autocast on a CUDA device that has it, float32 elsewhere"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the weights, the order of the images, their views, dropout")

    @model_validator(mode="after")
    def _fields_go_together(self) -> Self:
        if not all(earlier < later for earlier, later in pairwise((0.0, *self.milestones, 1.0))):
            raise ValueError(f"milestones = {list(self.milestones)}: must rise, each above 0 and below 1")
        for name in ("milestones", "milestone_decay"):
            value, default = getattr(self, name), type(self).model_fields[name].default
            if self.schedule != "multi_step" and value != default:
                raise ValueError(f'{name} = {json.dumps(value)}: schedule must be "multi_step", not "{self.schedule}"')
        if self.accumulate > self.batch_size:
            raise ValueError(f"accumulate = {self.accumulate}: must be at most batch_size = {self.batch_size}")
        return self


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
    """The network that is imitated: trained on labels, there is nobody above it; or brought, trained elsewhere.

    Of several, trained alike from other seeds or brought, the mean of their probabilities is imitated.
    """

    model: ModelConfig
    training: TrainingConfig | None = Field(None, description="None: it is brought")
    weights: tuple[str, ...] | Literal["as_built"] = Field(
        (),
        description="of a teacher that is brought: its file, safetensors or a state dict, several for an ensemble; "
        '"as_built": those that its builder gives it, such as torchvision\'s',
    )
    num_members: int = Field(1, ge=1, le=32, description="an ensemble of so many, trained alike from their own seeds")
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    outputs: Literal["auto", "stored"] = Field(
        "auto", description="auto: the network itself is run where a method or its views need it; stored: never"
    )

    sha256: tuple[str, ...] = Field((), description="of each file of weights; filled in when a study is created")

    @field_validator("weights", mode="before")
    @classmethod
    def _one_file_is_a_list_of_one(cls, weights: object) -> object:
        if weights == "as_built":
            return weights
        files = (weights,) if isinstance(weights, str) else weights
        if not isinstance(files, list | tuple) or not all(isinstance(each, str) and each for each in files):
            raise ValueError('must be the path of a file, several in a list, or "as_built"')
        return files

    @model_validator(mode="after")
    def _is_trained_or_brought(self) -> Self:
        if self.training is None and not self.weights:
            raise ValueError("training: is required, or weights, the file of a teacher that was trained elsewhere")
        if self.weights and (self.training is not None or self.label_smoothing):
            raise ValueError(f"weights = {self.weights!r}: a brought teacher has no training, and no label_smoothing")
        if self.weights and self.num_members > 1:
            raise ValueError(f"num_members = {self.num_members}: of a teacher that is brought, weights names them all")
        taken = [name for name in ("of", "num_members") if name in self.model.options]
        if self.is_ensemble and (taken or self.model.name == ENSEMBLE):
            raise ValueError(f"model = {self.model.key}: several of it make an ensemble, which it must not be itself")
        return self

    @model_validator(mode="after")
    def _labels_are_of_whole_images(self) -> Self:
        if self.training is not None and self.training.augmentation.mixup:
            raise ValueError(
                f"training.augmentation.mixup = {self.training.augmentation.mixup:g}: must be 0 for a teacher, which "
                "learns from labels; a mixed image has none"
            )
        return self

    @property
    def is_brought(self) -> bool:
        """Whether it was trained elsewhere."""
        return self.training is None

    @property
    def is_ensemble(self) -> bool:
        """Whether it is several networks."""
        return self._num_networks > 1

    @property
    def _num_networks(self) -> int:
        return self.num_members if self.weights in {(), "as_built"} else len(self.weights)

    @property
    def network(self) -> ModelConfig:
        """What is run: the model, or an ensemble of it; of one that is brought without weights of its builder's own."""
        model = self.model.without_weights if self.is_brought else self.model
        if not self.is_ensemble:
            return model
        return ModelConfig(
            name=ENSEMBLE, options={"of": model.name, "num_members": self._num_networks, **model.options}
        )

    def member(self, place: int) -> "TeacherConfig":
        """The place-th of an ensemble by itself: the first one is the teacher that there would be alone."""
        if self.training is None or self.num_members == 1:
            return self
        training = self.training.model_copy(update={"seed": (self.training.seed + place) % 2**32})
        return self.model_copy(update={"training": training, "num_members": 1})


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
