"""What a reproduction of Hinton et al. 2015, section 3, leaves behind: errors counted by class, run by run."""

from pydantic import Field

from trainables.config import Frozen
from trainables.hinton2015 import Experiment, Hinton2015Recipe


class ErrorCount(Frozen):
    """Wrong predictions on some images, by their true class."""

    num_wrong_by_class: tuple[int, ...]
    num_images_by_class: tuple[int, ...]

    @property
    def num_wrong(self) -> int:
        """Of all classes."""
        return sum(self.num_wrong_by_class)

    @property
    def num_images(self) -> int:
        """Of all classes."""
        return sum(self.num_images_by_class)

    @property
    def fraction(self) -> float:
        """Share of the images that is wrong."""
        return self.num_wrong / self.num_images


class ShiftedErrors(Frozen):
    """Errors once a number is added to the biases of some classes."""

    shift: float = Field(description="in the unit of the logits; below 0: the biases are lowered")
    errors: ErrorCount


class ExperimentResult(Frozen):
    """A finished run: what it was, what it cost, and its errors.

    A twin has errors on validation images and none on test images; any other run the other way round, for it has
    learnt from the validation images.
    """

    experiment: Experiment
    fingerprint: str
    num_parameters: int
    num_images_shown: int
    on_validation: ErrorCount | None = None
    on_validation_shifted: ShiftedErrors | None = Field(None, description="with the fewest errors on validation")
    on_test: ErrorCount | None = None
    on_test_shifted: ShiftedErrors | None = Field(None, description="by what its twin chose on validation")
    on_test_shifted_by_itself: ShiftedErrors | None = Field(
        None, description="by what has the fewest errors on the test images themselves, as the paper chose it"
    )
    train_seconds: float
    num_threads: int
    device: str
    versions: dict[str, str]


class Hinton2015Record(Frozen):
    """Every run of every seed that is finished."""

    recipe: Hinton2015Recipe
    num_seeds: int = Field(ge=1, description="that were asked for")
    results: tuple[ExperimentResult, ...]

    def by_seed(self, key: str) -> dict[int, ExperimentResult]:
        """The finished runs of one name, by seed."""
        return {each.experiment.seed: each for each in self.results if each.experiment.key == key}
