"""Students of the two-stage convolutional network, by width."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from search_spaces.distillation import Distillation
from trainables.config import ModelConfig

Width = Annotated[int, Field(ge=1, le=64)]


class CnnDistillation(Distillation):
    """Networks of `trainables.models.cnn`."""

    widths: tuple[Width, ...] = Field((1, 2, 4, 8, 16), min_length=1)

    @property
    def name(self) -> str:
        """For titles and tables."""
        return "cnn_distillation"

    @property
    def width_values(self) -> Sequence[int]:
        """Channels after the first stage."""
        return self.widths

    def network(self, width: float) -> ModelConfig:
        """The network of so many channels."""
        return ModelConfig(name="cnn", options={"width": width})
