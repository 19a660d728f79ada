"""The teacher and the assistants below it, as frozen data: trained, brought, alone or an ensemble."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from trainables.config import AugmentationConfig, Frozen, LossConfig, ModelConfig, StudentConfig, TrainingConfig

TeacherOutputs = Literal["auto", "stored", "live"]
ENSEMBLE = "ensemble"  # the name of several networks as one, in `trainables.models.MODELS`


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
    outputs: TeacherOutputs = Field(
        "auto",
        description="live: the network itself is run where a method or its views need it; stored: never, its logits on "
        "the views of the training are stored beforehand; auto: where it costs less, and fits",
    )
    max_stored_mib: int = Field(2048, ge=1, description="logits on views that may be stored, on disk and in memory")

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

    @field_validator("training")
    @classmethod
    def _views_that_are_repeated_exist(cls, training: TrainingConfig | None) -> TrainingConfig | None:
        return training if training is None else _with_views_to_repeat(training)

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


class AssistantConfig(Frozen):
    """A network that is taught by the teacher, or the assistant before it, and teaches what comes below it.

    A student learns little from a teacher that is far larger; one of a size between may bridge the gap (Mirzadeh et
    al., AAAI 2020, "Improved Knowledge Distillation via Teacher Assistant").
    """

    model: ModelConfig
    loss: LossConfig = LossConfig(name="kd")
    training: TrainingConfig

    @field_validator("training")
    @classmethod
    def _views_that_are_repeated_exist(cls, training: TrainingConfig) -> TrainingConfig:
        return _with_views_to_repeat(training)

    @property
    def student(self) -> StudentConfig:
        """What it is to the one above it."""
        return StudentConfig(model=self.model, loss=self.loss, training=self.training)

    def as_teacher(self, outputs: TeacherOutputs) -> TeacherConfig:
        """What it is to those below it, whose views are their own: how it was shown images itself is left out."""
        training = self.training.model_copy(update={"augmentation": AugmentationConfig()})
        return TeacherConfig(model=self.model, training=training, outputs=outputs)


def _with_views_to_repeat(training: TrainingConfig) -> TrainingConfig:
    if training.augmentation.repeats_nothing:
        raise ValueError(
            f"augmentation.num_views = {training.augmentation.num_views}: images are shown as they are, so that there "
            "is no view to repeat; leave it out, or set shift_pixels, flip, rand_augment or cutout_pixels"
        )
    return training
