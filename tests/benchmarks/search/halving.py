"""What Pareto halving saves and loses: searches replayed on recorded curves, halved and trained to their ends."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType

import numpy as np
import optuna
import torch

from analysis.curves import RecordedCurves, read_curves
from analysis.statistics import mean_interval
from study.config import overridden, parse_config
from study.replays import replay_once
from study.search.replay_summary import ReplaySummary
from tests.benchmarks.scoreboard import Row
from tests.benchmarks.search.race import ONE_THREAD, QUIET, environment
from tests.benchmarks.search.verdicts import plus_minus

RECORDED = Path(__file__).parents[2] / "recorded"
NUM_SEEDS = 20
NUM_WORKERS = 4
SHARE = 0.99
MIN_TIMES_FEWER = 3.0
MAX_LOST = 0.01
# Of each method, as the grid has them. What is halved may ask on to the end of the grid: epochs are what is counted.
SHARES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"none": {"labels": 10, "kd": 90}, "pareto_halving": {"labels": 16, "kd": 144}}
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The same search on the same curves: every trial to its end, and halved."""

    full: ReplaySummary
    halved: ReplaySummary

    @property
    def epochs_until_share(self) -> float | None:
        """Epochs that halving spent for 99 % of the hypervolume that full training ends with; None: it never did."""
        return self.halved.epochs_until(SHARE * self.full.hypervolume)

    @property
    def full_epochs_until_share(self) -> float:
        """Epochs that full training itself had spent when it was there."""
        return self.full.epochs_until(SHARE * self.full.hypervolume) or self.full.epochs


def pairs(sampler: str, latency: str, *, num_seeds: int = NUM_SEEDS) -> list[Pair]:
    """One a seed; the recordings, which differ in the training seed, take turns."""
    with (
        environment(ONE_THREAD | QUIET),
        ProcessPoolExecutor(max_workers=os.cpu_count(), mp_context=get_context("spawn"), initializer=_begin) as pool,
    ):
        return list(pool.map(partial(_pair, sampler, latency), range(num_seeds)))


def rows(sampler: str, latency: str, found: Sequence[Pair]) -> list[Row]:
    """What it saved, with its target, and what it lost."""
    what = f"halving, {sampler}, {latency}, {len(found)} seeds"
    missed = sum(pair.epochs_until_share is None for pair in found)
    spent = mean_interval([pair.halved.epochs if (told := pair.epochs_until_share) is None else told for pair in found])
    full = mean_interval([pair.full.epochs for pair in found])
    alike = mean_interval([pair.full_epochs_until_share for pair in found])
    lost = mean_interval([pair.halved.lost_fraction for pair in found])
    stopped = float(np.sum([pair.halved.num_front_stopped for pair in found]))
    asked = stopped + float(np.sum([pair.halved.num_front_found for pair in found]))
    fewer = full.mean / spent.mean
    at = f"epochs for {SHARE:.0%} of the hypervolume of full training"
    return [
        Row(
            f"{what}: {at} ({missed} of {len(found)} never came there: all that they spent)",
            plus_minus(spent),
            f"full training {full.mean:.0f}",
            f"{fewer:.2f}x fewer",
            f"at least {MIN_TIMES_FEWER:g}x",
            fewer >= MIN_TIMES_FEWER and missed == 0,
        ),
        Row(
            f"{what}: the same, full training counted until it was there itself",
            plus_minus(spent),
            f"full training {plus_minus(alike)}",
            f"{alike.mean / spent.mean:.2f}x fewer",
            "",
            None,
        ),
        Row(
            f"{what}: hypervolume lost by stopping",
            f"{lost.mean:.2%}",
            "",
            f"{stopped / max(1.0, asked):.0%} of the front's students that were asked were stopped",
            f"at most {MAX_LOST:.0%}",
            lost.mean <= MAX_LOST,
        ),
    ]


def recordings() -> list[RecordedCurves]:
    """By training seed."""
    return [read_curves(path) for path in sorted(RECORDED.glob("mnist-grid-*.json.gz"))]


def _begin() -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _pair(sampler: str, latency: str, seed: int) -> Pair:
    recorded = recordings()
    curves = recorded[seed % len(recorded)]
    summaries = [_search(curves, sampler, latency, stopping, seed) for stopping in ("none", "pareto_halving")]
    return Pair(*summaries)


def _search(curves: RecordedCurves, sampler: str, latency: str, stopping: str, seed: int) -> ReplaySummary:
    data = overridden(curves.config, ())
    data["objectives"] = ["validation_accuracy", latency]
    data["search"] |= {
        "sampler": sampler,
        "early_stopping": stopping,
        "num_trials": sum(SHARES[stopping].values()),
        "trials_per_method": dict(SHARES[stopping]),
    }
    return replay_once(curves, parse_config(data, curves.name), seed=seed, num_workers=NUM_WORKERS)[0]
