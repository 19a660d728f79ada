"""What early stopping lost where all ends are known: a study's own search, replayed over recorded students."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from trainables.config import Frozen


class ReplayedStops(Frozen):
    """Students of one replayed search that were stopped after the same epoch."""

    epoch: float = Field(ge=0.0)
    num_stopped: int = Field(ge=1)
    num_of_front: int = Field(ge=0, description="of them, those that would have come to stand on the recorded front")


class ReplayedSearch(Frozen):
    """One replayed search, from a seed of its own."""

    seed: int
    num_asked: int = Field(ge=1)
    num_front_found: int = Field(ge=0, description="students of the recorded front that were trained to their end")
    epochs: float = Field(ge=0.0, description="that all its students were trained for")
    full_epochs: float = Field(gt=0.0, description="that full training of each would have taken")
    lost_fraction: float = Field(description="of the hypervolume that the same students would have reached in full")
    stops: tuple[ReplayedStops, ...]

    @property
    def left_out_fraction(self) -> float:
        """Share of the epochs that stopping left out."""
        return 1.0 - self.epochs / self.full_epochs

    @property
    def num_front_stopped(self) -> int:
        """Students of the recorded front that were asked for and stopped."""
        return sum(each.num_of_front for each in self.stops)


class ReplayedStopping(Frozen):
    """`replayed_stopping.json`: a study's search with its early stopping, over students that all ran to their ends."""

    recording: str
    num_recorded: int = Field(ge=1)
    exact_fraction: float = Field(ge=0.0, le=1.0, description="of the students asked for: recorded, not a similar one")
    num_workers: int = Field(ge=1)
    search: dict[str, Any] = Field(description="the search's configuration that was replayed, as JSON data")
    searches: tuple[ReplayedSearch, ...] = Field(min_length=1)

    def is_of(self, config: Mapping[str, Any]) -> bool:
        """Whether a study of that configuration still searches so; more trials make it another search."""
        return bool(config.get("search") == self.search)
