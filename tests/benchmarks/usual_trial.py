"""The peer of our trial: a function trainable. It needs torch, which its process imports before the first line runs."""

import os
import time
from pathlib import Path
from typing import Any

import torch
from ray import tune

from tests.benchmarks.step_times import gaps_s, note, read


def train(config: dict[str, Any]) -> None:
    """A training too small to matter."""
    began = time.time()
    network = torch.nn.Linear(64, 3)
    optimizer = torch.optim.AdamW(network.parameters())
    for _ in range(4):
        optimizer.zero_grad()
        loss = network(torch.randn(32, 64)).square().mean()
        loss.backward()
        optimizer.step()
    note(Path(config["times"]), trial=config["number"], pid=os.getpid(), began=began)
    tune.report({"loss": loss.item()})


def run_trials(directory: Path, *, num_trials: int, cpus: int, reuse_actors: bool) -> list[float]:
    """Seconds between each trial and the next, run by Tune one after the other on the connected cluster."""
    times = directory / "times"
    directory.mkdir()
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": cpus}),
        param_space={"times": str(times), "number": tune.grid_search(list(range(num_trials)))},
        tune_config=tune.TuneConfig(reuse_actors=reuse_actors),
        run_config=tune.RunConfig(name="usual", storage_path=str(directory), verbose=0),
    )
    results = tuner.fit()
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} trials failed: {results.errors[0]}")
    return gaps_s(read(times))
