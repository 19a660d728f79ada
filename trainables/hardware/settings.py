"""How long and how often an architecture is measured, as frozen data: reading it costs no import of torch."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from trainables.config import Frozen, RequestedPrecision

BatchSize = Annotated[int, Field(ge=1, le=65_536)]


class ProfileSettings(Frozen):
    """What `profile` spends on one architecture, alone on its device."""

    inference_batch_sizes: tuple[BatchSize, ...] = Field((1, 8, 64), min_length=1)
    seconds_per_batch_size: float = Field(
        0.5, gt=0.0, le=600.0, description="of an attempt at one inference batch size; 30 runs are made anyway"
    )
    seconds_per_training_batch_size: float = Field(
        0.5, gt=0.0, le=600.0, description="of the training window; at least 2 s where the board counts its energy"
    )
    max_attempts: int = Field(3, ge=1, le=20, description="a latency that is not stable is measured up to so often")
    reuse: bool = Field(True, description="take what an earlier study measured on the same device, where it is kept")
    num_threads: int = Field(1, ge=1, le=1_024, description="CPU threads of the passes whose latency is measured")
    executions: Literal["measured", "eager", "fixed"] = Field(
        "measured",
        description="how students are computed on a GPU: as is fastest of what is tried for each network and batch "
        "size, compiled among them; the same without compiling; or nothing is tried. On a CPU there is but one way",
    )

    @field_validator("inference_batch_sizes")
    @classmethod
    def _each_once(cls, batch_sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(batch_sizes)) < len(batch_sizes):
            raise ValueError(f"inference batch sizes {list(batch_sizes)}: each may be named once")
        return batch_sizes


class StudentTrainings(Frozen):
    """What is known of the students' trainings before any is measured."""

    precision: RequestedPrecision = Field("auto", description="that they all ask for")
    num_images: int = Field(1, ge=1, description="that the shortest of them shows in all its epochs")
