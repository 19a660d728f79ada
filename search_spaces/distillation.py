"""Students of a network whose width varies: method and what it varies, training, views, images and labels."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

import optuna
from pydantic import Field, model_validator

from search_spaces.subspaces import Labels, Real, SubSpace, subspace
from trainables.config import (
    EVERY_CLASS,
    AugmentationConfig,
    Fraction,
    Frozen,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OptionTable,
    RandAugmentConfig,
    RequestedPrecision,
    StudentConfig,
    TrainingConfig,
    TransferConfig,
)

BatchSize = Annotated[int, Field(ge=1, le=8192)]
Share = Annotated[float, Field(gt=0.0, le=1.0)]
Range = tuple[Annotated[float, Field(gt=0.0)], Annotated[float, Field(gt=0.0)]]


class Distillation(Frozen):
    """Width, batch size and method are categorical; the learning rate is searched on a log scale.

    Each method has parameters of its own, which exist under it alone: temperature and alpha under "kd", those of
    `SUBSPACES` under the others, named after their method ("dkd_beta"). One's own method is taken with its defaults, or
    what `method_options` say, which also fix what would else be searched.

    Which images and labels a student is shown varies where more than one share is given, or a class to leave out. A
    method that cannot do with every share of the labels has a "label_share" of its own, of those that it can do with.
    """

    batch_sizes: tuple[BatchSize, ...] = Field((64, 128, 256), min_length=1)
    methods: tuple[str, ...] = Field(("labels", "kd"), min_length=1, description="names of losses, one's own too")
    learning_rates: Range = Field((1e-3, 2e-2), description="lowest and highest peak learning rate")
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = Field(0.0, ge=0.0)
    schedule: Literal["one_cycle", "cosine", "constant", "multi_step"] = "one_cycle"
    temperatures: Range = Field((1.0, 20.0), description="lowest and highest; Hinton's MNIST students used 20")
    alphas: tuple[Annotated[float, Field(ge=0.0, le=1.0)], Annotated[float, Field(ge=0.0, le=1.0)]] = (0.1, 1.0)
    steps: int | None = Field(
        None, ge=1, description="how many values of each range, evenly on its scale (for a grid); None: any value"
    )
    method_options: OptionTable = Field(
        {}, description='options of methods, fixed: {sum = {terms = ["labels", "dkd"], weights = [1.0, 0.5]}}'
    )
    shift_pixels: int = Field(0, ge=0, le=8, description="views of every method: images shifted by up to so many")
    flip: bool = Field(False, description="views of every method: every second image as in a mirror")
    cutout_pixels: int = Field(0, ge=0, le=256, description="views of every method: side of a square that is hidden")
    rand_augment: RandAugmentConfig | None = Field(None, description="views of every method: RandAugment's operations")
    num_views: int | None = Field(
        None, ge=1, description="of each image, shown again after so many epochs; None: every epoch shows new ones"
    )
    epochs: int = Field(2, ge=1)
    precision: RequestedPrecision = Field("auto", description="of training, see `TrainingConfig`")
    transfer_shares: tuple[Share, ...] = Field(
        (1.0,), min_length=1, description="of the training images that are shown"
    )
    label_shares: tuple[Fraction, ...] = Field((1.0,), min_length=1, description="of those, that have their label")
    omitted_classes: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="of which no image is shown, one at a time, beside students that are shown every class"
    )

    @model_validator(mode="after")
    def _lists_are_sets_and_ranges_ascend(self) -> Self:
        names = ("batch_sizes", "methods", "transfer_shares", "label_shares", "omitted_classes")
        lists: dict[str, Sequence[object]] = {name: getattr(self, name) for name in names}
        for name, values in {"widths": self.width_values, **lists}.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{name} = {list(values)} names a value twice: each may stand once")
        for name in ("learning_rates", "temperatures", "alphas"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} = [{low}, {high}]: the first must not exceed the second")
        return self

    @model_validator(mode="after")
    def _options_are_of_its_methods(self) -> Self:
        unknown = sorted(set(self.method_options) - set(self.methods))
        if unknown:
            raise ValueError(f'method_options: "{unknown[0]}" is none of methods = {list(self.methods)}')
        return self

    @model_validator(mode="after")
    def _every_method_has_its_labels(self) -> Self:
        for method in self.methods:
            own = self._own(method)
            if not own.label_shares(self.label_shares):
                wanted = "1" if own.labels is Labels.ALL else "a share above 0"
                raise ValueError(
                    f'label_shares = {list(self.label_shares)}: method "{method}" needs the labels of {own.labels} of '
                    f"its images, so that {wanted} must be among them"
                )
        return self

    @model_validator(mode="after")
    def _views_that_are_repeated_exist(self) -> Self:
        is_plain = not (self.shift_pixels or self.flip or self.cutout_pixels or self.rand_augment)
        if self.num_views is not None and is_plain and not any(self._own(each).mixup for each in self.methods):
            raise ValueError(
                f"num_views = {self.num_views}: every student is shown the images as they are, so that there is no "
                "view to repeat; leave it out, or set shift_pixels, flip, cutout_pixels or rand_augment"
            )
        return self

    @property
    @abstractmethod
    def width_values(self) -> Sequence[int | float]:
        """The values of the parameter "width"."""

    @abstractmethod
    def network(self, width: float) -> ModelConfig:
        """The network of a width."""

    def suggest(self, trial: optuna.Trial) -> StudentConfig:
        """The student of a trial."""
        width = trial.suggest_categorical("width", self.width_values)
        method = trial.suggest_categorical("method", self.methods)
        batch_size = trial.suggest_categorical("batch_size", self.batch_sizes)
        learning_rate = self._suggest_real(trial, "learning_rate", Real(*self.learning_rates))
        own = self._own(method)
        options = {
            option: self._suggest_real(trial, _parameter(method, option), values)
            for option, values in own.options.items()
        }
        return StudentConfig(
            model=self.network(width),
            loss=LossConfig(name=method, options={**own.fixed, **options}),
            training=TrainingConfig(
                epochs=self.epochs,
                batch_size=batch_size,
                optimizer=OptimizerConfig(
                    name=self.optimizer, learning_rate=learning_rate, weight_decay=self.weight_decay
                ),
                schedule=self.schedule,
                precision=self.precision,
                augmentation=AugmentationConfig(
                    shift_pixels=self.shift_pixels,
                    flip=self.flip,
                    rand_augment=self.rand_augment,
                    cutout_pixels=self.cutout_pixels,
                    mixup=own.mixup,
                    num_views=self.num_views,
                ),
            ),
            transfer=self._suggest_transfer(trial, method),
        )

    def _suggest_transfer(self, trial: optuna.Trial, method: str) -> TransferConfig:
        """Which images and labels the student is shown."""
        chosen: dict[str, float | str] = {
            name: trial.suggest_categorical(name, choices) for name, choices in self._transfers(method).items()
        }
        omitted = str(chosen.get("omitted_class", EVERY_CLASS))
        return TransferConfig(
            share=float(chosen.get("transfer_share", self.transfer_shares[0])),
            label_share=float(chosen.get(self._label_share(method), self.label_shares[0])),
            omitted_classes=() if omitted == EVERY_CLASS else (int(omitted),),
        )

    def _transfers(self, method: str) -> dict[str, tuple[float, ...] | tuple[str, ...]]:
        """The values of what varies of the images and labels that students of a method are shown."""
        values: dict[str, tuple[float, ...] | tuple[str, ...]] = {}
        if len(self.transfer_shares) > 1:
            values["transfer_share"] = self.transfer_shares
        if len(self.label_shares) > 1:
            values[self._label_share(method)] = self._own(method).label_shares(self.label_shares)
        if self.omitted_classes:
            values["omitted_class"] = (EVERY_CLASS, *map(str, self.omitted_classes))
        return values

    def _label_share(self, method: str) -> str:
        """Optuna keeps one list of choices for a name, so that one for fewer of them needs a name of its own."""
        is_any = self._own(method).label_shares(self.label_shares) == self.label_shares
        return "label_share" if is_any else f"{method}_label_share"

    def baselines(self) -> Sequence[Mapping[str, object]]:
        """A labels-only student of each width, then its partner under each other method, alike in all else.

        Each takes the smallest batch and the middle of every range, on the scale that it is searched on; of an even
        number of steps, the lower one of the two in the middle. It is shown every class, and the largest shares.
        """
        shared = {"batch_size": min(self.batch_sizes), "learning_rate": self._middle(Real(*self.learning_rates))}
        methods = sorted(self.methods, key=lambda method: method != "labels")  # labels first, else as listed
        return [
            {"width": width, "method": method, **shared, **self._middles(method), **self._most(method)}
            for method in methods
            for width in self.width_values
        ]

    def architectures(self) -> Sequence[ModelConfig]:
        """One network a width."""
        return [self.network(width) for width in self.width_values]

    def training_batch_sizes(self) -> Sequence[int]:
        """All of them."""
        return self.batch_sizes

    def _own(self, method: str) -> SubSpace:
        """What varies of a method; an option that is fixed here is not searched."""
        own = subspace(method)
        if method == "kd":
            own = SubSpace({"temperature": Real(*self.temperatures), "alpha": Real(*self.alphas, log=False)})
        fixed = {**own.fixed, **self.method_options.get(method, {})}
        searched = {option: values for option, values in own.options.items() if option not in fixed}
        return replace(own, options=searched, fixed=fixed)

    def _middles(self, method: str) -> dict[str, float]:
        own = self._own(method).options
        return {_parameter(method, option): self._middle(values) for option, values in own.items()}

    def _most(self, method: str) -> dict[str, float | str]:
        """Of images and labels as much as there is."""
        values = self._transfers(method)
        return {name: EVERY_CLASS if EVERY_CLASS in each else max(each) for name, each in values.items()}

    def _suggest_real(self, trial: optuna.Trial, name: str, values: Real) -> float:
        if self.steps is None:
            return trial.suggest_float(name, values.low, values.high, log=values.log)
        return trial.suggest_categorical(name, _evenly(values, self.steps))

    def _middle(self, values: Real) -> float:
        places = _evenly(values, 1 if self.steps is None else self.steps)
        return places[(len(places) - 1) // 2]


def _parameter(method: str, option: str) -> str:
    """The name of a parameter that a method has for itself; of "kd" they are called as in the paper."""
    return option if method == "kd" else f"{method}_{option}"


def _evenly(values: Real, steps: int) -> tuple[float, ...]:
    """That many different values from one end to the other, evenly by difference or by ratio; a single one is between.

    Rounded to 12 digits, which a reader can tell apart, and so that they are read back as they were written.
    """
    low, high = (math.log(values.low), math.log(values.high)) if values.log else (values.low, values.high)
    places = [0.5] if steps == 1 else [index / (steps - 1) for index in range(steps)]
    scaled = [low + place * (high - low) for place in places]
    return tuple(dict.fromkeys(float(f"{math.exp(each) if values.log else each:.12g}") for each in scaled))
