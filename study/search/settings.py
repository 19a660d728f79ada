"""Who proposes students, how many, and which are trained to their end, as frozen data."""

import itertools
from typing import Annotated, Literal

from pydantic import Field, field_validator

from trainables.config import Frozen


class HalvingConfig(Frozen):
    """When Pareto halving judges a trial, and how many of those it has judged go on."""

    rungs: tuple[Annotated[float, Field(gt=0.0)], ...] | None = Field(
        None, description="epochs after which trials are judged, ascending; None: `first_rung`, doubled again and again"
    )
    first_rung: float = Field(1.0, ge=0.01, description="where rungs are not given; a fraction is one of an epoch")
    least_gain: float = Field(
        5e-4, ge=0.0, lt=1.0, description="share of the hypervolume that a trial must be expected to add to go on"
    )
    keep_fraction: float = Field(
        1 / 3, gt=0.0, lt=1.0, description="of the trials at a rung, those that go on before any has come to its end"
    )
    pauses: bool = Field(
        default=True, description="a trial that does not go on may later, when more have come; false: it is stopped"
    )
    spares_baselines: bool = Field(default=False, description="baselines are judged and go on whatever comes of it")

    @field_validator("rungs")
    @classmethod
    def _rungs_ascend(cls, rungs: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if rungs is not None and any(later <= earlier for earlier, later in itertools.pairwise(rungs)):
            raise ValueError(f"{list(rungs)}: each must be later than the one before")
        return rungs

    def epochs_of_rungs(self, num_epochs: int) -> tuple[float, ...]:
        """After how many epochs a trial of `num_epochs` is judged; its end is no rung."""
        doubled = (self.first_rung * 2**index for index in itertools.count())
        rungs = itertools.takewhile(lambda each: each < num_epochs, doubled if self.rungs is None else self.rungs)
        return tuple(map(float, rungs))


class SearchConfig(Frozen):
    """How many students, and who proposes them."""

    num_trials: int = Field(24, ge=1)
    sampler: str = Field(
        "known_cost", description='a name from `study.search.samplers.SAMPLERS`, or "package.module:object"'
    )
    num_startup_trials: int = Field(10, ge=0, description="of a sampler with a model: trials before it models anything")
    early_stopping: Literal["none", "pareto_halving"] = "none"
    halving: HalvingConfig = HalvingConfig()
    constraints: dict[str, str] = Field(
        {}, description='metric name -> bound, such as "<= 2.0", that students must keep'
    )
    trials_per_method: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        None, description="for each method of the space, num_trials in all; None: every method gets the same number"
    )
    balanced: tuple[str, ...] = Field(
        (), description='parameters, such as "width", at each of whose values a method has equally many of its trials'
    )
