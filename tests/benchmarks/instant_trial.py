"""A trial that takes no time: it reports as many numbers as a student does, and ends. Imports nothing but Tune."""

import random
from typing import Any

from ray import tune

OBJECTIVES = {"validation_accuracy": "max", "latency_p50_ms_batch1": "min"}
NUMBERS = (
    *OBJECTIVES,
    "train_loss", "num_method_parameters", "validation_nll", "validation_agreement", "train_seconds",
    "evaluation_seconds", "shared_cpu_utilization_fraction", "process_memory_mib", "num_parameters",
    "forward_flops_per_image", "train_images_per_s", "train_mfu_fraction", "gpu_utilization_fraction",
    "cpu_utilization_fraction", "peak_memory_mib", "energy_joules_per_image", "latency_p90_ms_batch1",
    "latency_p99_ms_batch1",
)  # fmt: skip


class InstantTrial(tune.Trainable):
    """One epoch of nothing, on one CPU that Ray counts; its process takes the next trial."""

    _config: dict[str, Any]

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the first trial; what there is to learn from, it leaves alone."""
        self._config = config

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another one in the same process."""
        self._config = new_config
        return True

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:  # noqa: ARG003 - Tune's
        """One CPU."""
        return tune.PlacementGroupFactory([{"CPU": 1}])

    def step(self) -> dict[str, Any]:
        """The one report of a trial."""
        numbers = {name: random.random() for name in NUMBERS}
        told = {"epoch": 1.0, "number": self._config.get("number"), "finished": True, "failure": None, "device": "cpu"}
        return {**numbers, **told, "shared_gpu_utilization_fraction": None, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """There is no state."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """There is no state."""
