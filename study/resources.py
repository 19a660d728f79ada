"""What one trial gets and how many run at once, as frozen data: reading it costs no import of Ray."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from study.limits import EpochLimit
from trainables.config import Frozen

UNMEASURED_SHARE = 0.25  # of a GPU, where nothing has said how many students a GPU is good for


def _share_or_planned(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value == "planned" or (is_number and 0.0 <= value <= 1.0):  # type: ignore[operator] # it is a number
        return value
    raise ValueError('a trial trains on one GPU: allowed are a share of it from 0 (CPUs alone) to 1, and "planned"')


class NodesToCome(Frozen):
    """Nodes that a running cluster adds when trials wait for one; Ray tells nobody what it may still add."""

    num_cpus: int = Field(ge=1, description="of each")
    num_gpus: int = Field(0, ge=0, description="of each")
    max_nodes: int = Field(ge=1, description="of this kind, those that are up among them")

    def amounts(self) -> dict[str, float]:
        """What one of them has, as Ray describes a node."""
        return {"CPU": float(self.num_cpus), "GPU": float(self.num_gpus)}


class ResourcesConfig(Frozen):
    """What one trial gets, and how many run at once."""

    cpus_per_trial: Annotated[int, Field(ge=1)] = 1
    gpus_per_trial: Annotated[float | Literal["planned"], BeforeValidator(_share_or_planned)] = Field(
        UNMEASURED_SHARE,
        description='where the cluster has a GPU; 0 for CPUs only; "planned": to each student its own, by its memory '
        "and by how many together train faster, both measured beforehand",
    )
    max_concurrent_trials: int | None = Field(None, ge=1, description="None: as many as the cluster holds")
    max_failures: int = Field(5, ge=0, description="restarts of a trial whose process or node died, or that hung")
    max_minutes_per_epoch: EpochLimit = Field("measured", description='a trial hangs after them; or "measured", "none"')
    max_minutes_unwritable: float = Field(
        10.0, gt=0.0, le=525_600.0, description="wait for a store that cannot be written to"
    )
    dashboard: bool = Field(True, description="start Ray's dashboard with a local cluster")
    object_store_mib: int = Field(512, ge=80, description="of a local cluster")
    autoscaled: NodesToCome | None = Field(
        None, description="of a running cluster that grows and shrinks with the queue; None: what is up is all there is"
    )

    @property
    def uses_gpus(self) -> bool:
        """Whether trials run on GPUs where there are some."""
        return self.gpus_per_trial != 0.0

    @property
    def unplanned_share(self) -> float:
        """Of a GPU, for a student of which nothing has been measured."""
        return UNMEASURED_SHARE if self.gpus_per_trial == "planned" else self.gpus_per_trial
