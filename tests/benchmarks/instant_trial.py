"""A trial that takes no time: it reports as many numbers as a student does, and ends. Imports nothing but Tune."""

import os
import random
import time
from pathlib import Path
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
NUM_PROCESSES = 32
MEETING = "KD_STUDY_MEETING"  # environment variable: a folder, empty at first
LONGEST_MEETING_S = 300.0


class InstantTrial(tune.Trainable):
    """One epoch of nothing, on one CPU that Ray counts; its process takes the next trial.

    The first one of each process waits for all the others': else the first process would run every trial, while its
    driver goes on to start and to end the rest.
    """

    _config: dict[str, Any]
    _has_met = False

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
        if not self._has_met:
            meet(Path(os.environ[MEETING]))
            self._has_met = True
        numbers = {name: random.random() for name in NUMBERS}
        told = {"epoch": 1.0, "number": self._config.get("number"), "finished": True, "failure": None, "device": "cpu"}
        return {**numbers, **told, "shared_gpu_utilization_fraction": None, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """There is no state."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """There is no state."""


def meet(folder: Path) -> None:
    """Wait until as many processes have come.

    Raises:
        TimeoutError: some have not.
    """
    (folder / str(os.getpid())).touch()
    give_up_at = time.monotonic() + LONGEST_MEETING_S
    while len(list(folder.iterdir())) < NUM_PROCESSES:
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{NUM_PROCESSES} processes were to come within {LONGEST_MEETING_S:g} s")
        time.sleep(0.1)
