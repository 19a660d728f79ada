"""Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", section 3, as data: recipe and runs."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import Field, model_validator

from trainables.config import (
    AugmentationConfig,
    DatasetConfig,
    Fraction,
    Frozen,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    StudentConfig,
    TrainingConfig,
    TransferConfig,
)

# Its students saw "no 3s", and "only 7s and 8s" of the ten digits.
THREE = 3
SEVEN_AND_EIGHT = (7, 8)
NUM_CLASSES = 10

Units = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(gt=0.0)]


class Pixels(Frozen):
    """What a network sees of a byte: (byte / 255 - mean) / deviation. With a mean of 0, dropout makes pixels black."""

    mean: float = 0.0
    deviation: float = Field(1.0, gt=0.0)


class StepsRecipe(Frozen):
    """Epochs and optimiser of a run; what else it does is the paper's and stands in the plan."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    optimizer: OptimizerConfig


class TeacherRecipe(StepsRecipe):
    """The teacher: dropout, a bound on each unit's incoming weights (`optimizer.max_norm`), jittered inputs."""

    hidden: tuple[Units, ...] = (1200, 1200)
    input_dropout: float = Field(0.2, ge=0.0, lt=1.0)
    dropout: float = Field(0.5, ge=0.0, lt=1.0)
    shift_pixels: int = Field(2, ge=0, le=8)


class SoftRecipe(StepsRecipe):
    """A student that also matches the teacher's soft targets: (1 - alpha) labels + alpha T^2 KL."""

    alpha: Fraction


class WidthRecipe(Frozen):
    """The temperatures at which students of two layers of so many units are trained."""

    units: Units
    temperatures: tuple[Temperature, ...] = Field(min_length=1)
    soft: SoftRecipe | None = Field(None, description="None: as at the recipe's own temperature")


class Hinton2015Recipe(Frozen):
    """All that the paper leaves open, as it was found best on validation images; and what it says, as defaults."""

    dataset: DatasetConfig = DatasetConfig()
    pixels: Pixels = Pixels()
    teacher: TeacherRecipe
    student_hidden: tuple[Units, ...] = (800, 800)
    labels: StepsRecipe = Field(description="of the student on labels alone")
    temperature: Temperature = Field(20.0, description="of the student's soft targets")
    soft: SoftRecipe = Field(description="of the student on soft targets, and of those that miss classes")
    widths: tuple[WidthRecipe, ...]

    @model_validator(mode="after")
    def _one_recipe_a_student(self) -> Self:
        for width in self.widths:
            if (width.units,) * 2 == self.student_hidden and width.soft not in {None, self.soft}:
                raise ValueError(f"widths: {width.units} units are the student's own: they learn as `soft` says")
        return self


class Experiment(Frozen):
    """One network that is trained, once a seed.

    A twin learns from the training images without those held out for validation, which choose its biases; every other
    network learns from all of them, takes the biases that its twin chose, and is then read on the test images.
    """

    key: str = Field(pattern=r"^[A-Za-z0-9.-]+$", description="the name of its files")
    seed: int = Field(ge=0)
    student: StudentConfig
    is_twin: bool = False
    taught_by: str | None = Field(None, description="key of the experiment whose soft targets it matches")
    shifted_classes: tuple[int, ...] = Field((), description="those whose biases are moved together afterwards")
    shift_chosen_by: str | None = Field(None, description="key of the twin that chose by how much")


def twin_of(key: str) -> str:
    """The name of the twin that stays away from the validation images."""
    return f"{key}-twin"


def soft_key(units: int, temperature: float) -> str:
    """The name of a student of two layers of `units` at a temperature."""
    return f"soft-{units}-T{temperature:g}"


TEACHER, LABELS, NO_THREES, ONLY_SEVENS_AND_EIGHTS = "teacher", "labels", "no-3s", "only-7s-and-8s"


def plan(recipe: Hinton2015Recipe, seed: int) -> tuple[Experiment, ...]:
    """Every run of one seed, each after those that it takes something from."""
    teacher = _teacher(recipe, seed)
    student = _Students(recipe, seed)
    runs = [
        Experiment(key=twin_of(TEACHER), seed=seed, student=teacher, is_twin=True),
        Experiment(key=TEACHER, seed=seed, student=teacher),
        Experiment(key=LABELS, seed=seed, student=student.on_labels()),
        student.on_soft_targets(recipe.student_hidden, recipe.temperature, recipe.soft),
    ]
    everything_else = tuple(each for each in range(NUM_CLASSES) if each not in SEVEN_AND_EIGHT)
    runs += student.without_classes(NO_THREES, omitted=(THREE,), shifted=(THREE,))
    runs += student.without_classes(ONLY_SEVENS_AND_EIGHTS, omitted=everything_else, shifted=SEVEN_AND_EIGHT)
    for width in recipe.widths:
        soft = width.soft or recipe.soft
        runs += [student.on_soft_targets((width.units,) * 2, each, soft) for each in width.temperatures]
    by_key: dict[str, Experiment] = {}
    for run in runs:
        by_key.setdefault(run.key, run)  # the student at T 20 is also one of its width's
    return tuple(by_key.values())


def fingerprints(
    experiments: tuple[Experiment, ...], recipe: Hinton2015Recipe, versions: Mapping[str, str]
) -> dict[str, str]:
    """By key, a hash of all that a run's result depends on, the runs that it takes something from included.

    Settings at their defaults are left out: a setting that is added later, and is not used, changes no fingerprint.
    """
    found: dict[str, str] = {}
    for each in experiments:
        inputs = {
            "experiment": each.model_dump(mode="json", exclude_defaults=True),
            "dataset": recipe.dataset.model_dump(mode="json", exclude_defaults=True),
            "pixels": recipe.pixels.model_dump(mode="json", exclude_defaults=True),
            "versions": dict(versions),
            "from": [found[key] for key in (each.taught_by, each.shift_chosen_by) if key is not None],
        }
        found[each.key] = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
    return found


class _Students:
    """Students of one seed: no dropout, no bound, no jitter."""

    def __init__(self, recipe: Hinton2015Recipe, seed: int) -> None:
        self._recipe = recipe
        self._seed = seed

    def on_labels(self) -> StudentConfig:
        return StudentConfig(
            model=_network(self._recipe.student_hidden),
            loss=LossConfig(name="labels"),
            training=_training(self._recipe.labels, self._seed),
        )

    def on_soft_targets(self, hidden: tuple[int, ...], temperature: float, soft: SoftRecipe) -> Experiment:
        config = self._soft(hidden, temperature, soft, TransferConfig())
        return Experiment(key=soft_key(hidden[0], temperature), seed=self._seed, student=config, taught_by=TEACHER)

    def without_classes(
        self, key: str, *, omitted: tuple[int, ...], shifted: tuple[int, ...]
    ) -> tuple[Experiment, Experiment]:
        """The twin and then the student itself."""
        recipe = self._recipe
        transfer = TransferConfig(omitted_classes=omitted)
        config = self._soft(recipe.student_hidden, recipe.temperature, recipe.soft, transfer)
        common = {"seed": self._seed, "student": config, "shifted_classes": shifted}
        twin = Experiment(key=twin_of(key), is_twin=True, taught_by=twin_of(TEACHER), **common)
        return twin, Experiment(key=key, taught_by=TEACHER, shift_chosen_by=twin.key, **common)

    def _soft(
        self, hidden: tuple[int, ...], temperature: float, soft: SoftRecipe, transfer: TransferConfig
    ) -> StudentConfig:
        return StudentConfig(
            model=_network(hidden),
            loss=LossConfig(name="kd", options={"temperature": temperature, "alpha": soft.alpha}),
            training=_training(soft, self._seed),
            transfer=transfer,
        )


def _teacher(recipe: Hinton2015Recipe, seed: int) -> StudentConfig:
    teacher = recipe.teacher
    dropout = {"dropout": teacher.dropout, "input_dropout": teacher.input_dropout}
    return StudentConfig(
        model=_network(teacher.hidden, **dropout),
        loss=LossConfig(name="labels"),
        training=_training(teacher, seed, teacher.shift_pixels),
    )


def _network(hidden: tuple[int, ...], **dropout: float) -> ModelConfig:
    return ModelConfig(name="mlp", options={"hidden": hidden, **dropout})


def _training(steps: StepsRecipe, seed: int, shift_pixels: int = 0) -> TrainingConfig:
    return TrainingConfig(
        epochs=steps.epochs,
        batch_size=steps.batch_size,
        optimizer=steps.optimizer,
        augmentation=AugmentationConfig(shift_pixels=shift_pixels),
        precision="float32",
        seed=seed,
    )
