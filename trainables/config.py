"""What a network, a student and a dataset are, as frozen data: checked when built, and equal when their fields are."""

import json
import operator
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

OptionScalar = bool | int | float | str
OptionList = tuple[OptionScalar, ...]
OptionDict = dict[str, OptionScalar | OptionList]
OptionTable = dict[str, OptionDict]  # options of others, by their name
OptionValue = OptionScalar | OptionList | OptionDict | OptionTable

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Precision = Literal["float32", "bfloat16"]
RequestedPrecision = Literal["auto", "float32", "bfloat16"]


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
    num_views: int | None = Field(
        None, ge=1, description="of an image, shown again: epoch e shows view e % num_views; None: each a new one"
    )

    @property
    def active(self) -> dict[str, object]:
        """What is done to an image, by the names of the fields: JSON data."""
        return {name: value for name, value in self.each_view.model_dump(mode="json").items() if value}

    @property
    def is_identity(self) -> bool:
        """Whether the view of an image is the image itself."""
        return not self.active

    @property
    def repeats_nothing(self) -> bool:
        """Whether views are to be shown again where there are none."""
        return self.num_views is not None and self.is_identity

    @property
    def each_view(self) -> Self:
        """How a view is made, however many there are."""
        return self.model_copy(update={"num_views": None})

    def view(self, epoch: int) -> int:
        """Which view epoch `epoch` shows, both from 0."""
        return epoch if self.num_views is None else epoch % self.num_views

    def views_within(self, epochs: int) -> int:
        """How many views of an image so many epochs show."""
        return epochs if self.num_views is None else min(epochs, self.num_views)


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
    precision: RequestedPrecision = Field(
        "auto", description="auto: the faster one on a GPU that has both, float32 elsewhere; bfloat16 is by autocast"
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


class Execution(Frozen):
    """How the steps of a training are computed: up to rounding, what they compute is the same."""

    precision: Precision = Field("float32", description="bfloat16: by autocast, weights and their steps in float32")
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    tf32: bool = Field(False, description="products in float32 by tensor cores, with 10 bits of mantissa")
    optimizer: Literal["fused", "foreach"] = Field("fused", description="the form in which torch runs it")
    compile: Literal["none", "default", "cuda_graphs"] = Field(
        "none", description="the network's training passes by torch.compile, and replayed as CUDA graphs"
    )


class TransferConfig(Frozen):
    """Which of the training images a student learns from, and which of these have labels; drawn evenly over classes."""

    share: float = Field(1.0, gt=0.0, le=1.0, description="of the training images")
    label_share: Fraction = Field(1.0, description="of those; the others teach through the teacher alone")
    omitted_classes: tuple[Annotated[int, Field(ge=0)], ...] = Field((), description="of which no image is shown")
    seed: int = Field(0, ge=0, lt=2**32, description="of the draw")

    @property
    def is_everything(self) -> bool:
        """Whether every image is shown with its label."""
        return self.shows_every_image and self.label_share == 1.0

    @property
    def shows_every_image(self) -> bool:
        """Whether every image is shown, with its label or without."""
        return self.share == 1.0 and not self.omitted_classes


class StudentConfig(Frozen):
    """One candidate: its network, what teaches it, and how it is trained."""

    model: ModelConfig
    loss: LossConfig
    training: TrainingConfig
    transfer: TransferConfig = TransferConfig()


class TrialAssignment(Frozen):
    """All that a trial's process is told about one trial."""

    number: int = Field(ge=0, description="of the Optuna trial")
    student: StudentConfig
    isolated: dict[str, float | None] = Field(
        {}, description="metrics known from the profile, repeated in every result"
    )
    metrics: tuple[NamedConfig, ...] = Field((), description="of logits, which each evaluation computes too")
    report_at: tuple[Annotated[float, Field(gt=0.0)], ...] = Field(
        (), description="epochs, fractions of one among them, at which it reports beside the end of each"
    )
    num_stored_reports: int = Field(0, ge=0, description="of them, those whose metrics the study already holds")
    num_failures: int = Field(0, ge=0, description="processes that ended under it")
    max_step_s: float | None = Field(None, gt=0.0, description="a step that takes longer hangs; None: no limit")
    patience_s: float = Field(600.0, gt=0.0, description="for which a store that cannot be written to is waited for")
    checkpoint: str = Field(description="path of the living trial's state, resumed from where it exists")
    weights: str = Field(description="path for the weights after the full budget")
    inputs: str = Field("", description="images and teacher, as `shared_objects.share` names them")
    execution: Execution | None = Field(None, description="chosen by the profile; None: as it is done without trying")
    cpus: float = Field(1.0, gt=0.0)
    gpus: float = Field(0.0, ge=0.0, le=1.0, description="share of a GPU; 0 on a CPU")
    context_mib: float | None = Field(None, ge=0.0, description="of the GPU's memory, that its process takes by itself")
    idle_watts: float | None = Field(None, ge=0.0, description="of the GPU when nothing runs; None: not measured")


def _option_text(value: OptionValue) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
