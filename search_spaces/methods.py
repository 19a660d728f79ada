"""Every way of teaching side by side: the method as a parameter, each with its own hyperparameters."""

from typing import final

from pydantic import Field

from search_spaces.cnn_distillation import CnnDistillation, Width
from search_spaces.subspaces import SUBSPACES


@final
class Methods(CnnDistillation):
    """The two-stage convolutional network under all methods that the project has, or those that are named."""

    widths: tuple[Width, ...] = Field((2, 8), min_length=1)
    methods: tuple[str, ...] = Field(tuple(SUBSPACES), min_length=1, description="names of losses, one's own too")

    @property
    def name(self) -> str:
        """For titles and tables."""
        return "methods"
