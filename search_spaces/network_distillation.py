"""Students of any network by name, the project's own or yours, in several widths where it has them."""

from collections.abc import Sequence
from typing import Annotated, Self, final

from pydantic import Field, model_validator

from search_spaces.distillation import Distillation
from trainables.config import ModelConfig, OptionDict

MULTIPLIER = "width_multiplier"
Width = Annotated[float, Field(gt=0.0)]


@final
class NetworkDistillation(Distillation):
    """The network `student`, which is told its width by one of its options; a multiplier of its channels, as a rule."""

    student: str = Field(min_length=1, description='a name of `trainables.models.MODELS`, or "package.module:function"')
    student_options: OptionDict = Field({}, description="of it, the same for every student")
    width_option: str = Field(MULTIPLIER, min_length=1, description="by which it is told its width")
    widths: tuple[Width, ...] = Field((1.0,), min_length=1, description="a multiplier of 1 alone is not told")

    @model_validator(mode="after")
    def _widths_can_be_told(self) -> Self:
        if self.width_option in self.student_options:
            raise ValueError(f"student_options: {self.width_option} varies, by widths = {list(self.widths)}")
        return self

    @property
    def name(self) -> str:
        """For titles and tables."""
        return "network_distillation"

    @property
    def width_values(self) -> Sequence[int | float]:
        """Whole numbers as such: networks that count channels take no others."""
        return tuple(
            int(width) if self.width_option != MULTIPLIER and width.is_integer() else width for width in self.widths
        )

    def network(self, width: float) -> ModelConfig:
        """The network of that width."""
        if self.width_option == MULTIPLIER and self.widths == (1.0,):
            return ModelConfig(name=self.student, options={**self.student_options})
        return ModelConfig(name=self.student, options={**self.student_options, self.width_option: width})
