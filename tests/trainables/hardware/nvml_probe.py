"""A process that finds the stand-in for NVML, opens telemetry as it is told to, and tells what it reads.

Each line of its input is a probe as JSON, and so is each line of its output. The library looks at the environment at
each call, so that one process does for all of them.
"""

import dataclasses
import io
import json
import logging
import os
import sys
from typing import Any
from unittest import mock

from trainables.hardware.nvml import open_telemetry
from trainables.hardware.telemetry import Sampler

IDLE_WATTS, SECONDS = 0.05, 4.0  # of the sampler's clock


def probe(index: int, environment: dict[str, str], *, knows_pid: bool, num_readings: int) -> dict[str, Any]:
    """Open telemetry of the device, read it so often, then sample it as over an epoch."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("CUDA_", "FAKE_"))}
    log = io.StringIO()
    handler, moments = logging.StreamHandler(log), iter([0.0, 0.0, SECONDS])
    logging.getLogger().addHandler(handler)
    pid = os.getpid() if knows_pid else None
    with (
        mock.patch.dict(os.environ, kept | environment, clear=True),
        mock.patch("trainables.hardware.nvml.host_pid", return_value=pid),
    ):
        telemetry = open_telemetry(index)
        readings = [dataclasses.asdict(telemetry.read()) for _ in range(num_readings)]
        sampler = Sampler(telemetry, num_threads=1, interval_s=1e6, idle_watts=IDLE_WATTS, clock=lambda: next(moments))
        with sampler:
            sampled = sampler.averages()
        facts = telemetry.facts()
    logging.getLogger().removeHandler(handler)
    return {
        "kind": type(telemetry).__name__,
        "readings": readings,
        "sampled": sampled,
        "facts": facts,
        "pid": os.getpid(),
        "log": log.getvalue(),
    }


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(probe(**json.loads(line))) + "\n")
        sys.stdout.flush()
