"""What a search space is: a way from an Optuna trial to a student, and what must be known about it beforehand."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import optuna
from optuna.trial import FixedTrial

from trainables.config import ModelConfig, StudentConfig


@runtime_checkable
class SearchSpace(Protocol):
    """The students of a study. Its methods are pure; `suggest` depends on the trial's answers alone."""

    @property
    def name(self) -> str:
        """For titles and tables."""

    @property
    def methods(self) -> Sequence[str]:
        """Values of the categorical parameter "method"; each is given the same number of trials. Empty: no quota."""

    def suggest(self, trial: optuna.Trial) -> StudentConfig:
        """The student of a trial. The study sets the training seed, one for all of a search's trials."""

    def baselines(self) -> Sequence[Mapping[str, object]]:
        """Parameters of what is enqueued first: labels-only students, then what they are to be compared with."""

    def architectures(self) -> Sequence[ModelConfig]:
        """Every network that `suggest` can name: what `profile` must measure."""

    def training_batch_sizes(self) -> Sequence[int]:
        """Every batch size that `suggest` can name."""


def student_of(space: SearchSpace, parameters: Mapping[str, Any]) -> StudentConfig:
    """The student that these parameters lead to.

    Raises:
        ValueError: the space asks for one that is not given, or for another value.
    """
    return space.suggest(FixedTrial(dict(parameters)))  # type: ignore[arg-type] # asked alike
