"""How long our sampler takes to be asked and told, and how often and how long it chooses hyperparameters."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna

from study.search.known_cost import KnownCostSampler
from study.search.surrogate import Surrogate

NUM_PENDING = 4
WINDOW = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One ask and one tell: the number of trials told before it, what it took, and what of that was fitting.

    `cpu_s` is what it would take were the machine not busy with other things.
    """

    num_told: int
    seconds: float
    cpu_s: float
    fits_s: Sequence[float]


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each fit since it was last read."""

    fits_s: list[float] = field(default_factory=list)

    def read(self) -> tuple[float, ...]:
        """What was noted, and begin anew."""
        noted, self.fits_s = tuple(self.fits_s), []
        return noted


def suggest(trial: Any) -> dict[str, Any]:
    """Five parameters: a choice, a whole number, two real ones of which one on a logarithmic scale, a conditional."""
    point = {
        "method": trial.suggest_categorical("method", ["labels", "kd", "dkd"]),
        "width": trial.suggest_int("width", 1, 64),
        "momentum": trial.suggest_float("momentum", 0.0, 0.99),
        "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
    }
    if point["method"] != "labels":
        point["temperature"] = trial.suggest_float("temperature", 1.0, 20.0)
    return point


def error(point: dict[str, Any]) -> float:
    """Falls with width; best near a rate of 0.01 and a temperature of 4."""
    off = 0.1 * (np.log10(point["rate"]) + 2.0) ** 2 + 0.1 * (point["momentum"] - 0.9) ** 2
    gain = 0.1 - 0.001 * (point["temperature"] - 4.0) ** 2 if "temperature" in point else 0.0
    return float(1.0 / (1.0 + point["width"]) + off - gain)


def cost(point: Any) -> float:
    """Known beforehand."""
    return float(point["width"] ** 1.5)


def steps(num_trials: int, *, seed: int) -> list[Step]:
    """A whole study, asked and told one trial at a time with four trials running."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=KnownCostSampler(suggest, {1: cost}, seed=seed)
    )
    running: deque[tuple[optuna.Trial, dict[str, Any]]] = deque()
    taken = []
    with timed_fits() as watch:
        for num_told in range(-NUM_PENDING, num_trials):
            values = None if num_told < 0 else (error(running[0][1]), cost(running[0][1]))
            began, cpu_began = time.perf_counter(), time.process_time()
            trial = study.ask()
            running.append((trial, suggest(trial)))
            if values is not None:
                study.tell(running.popleft()[0], values)
            taken.append(Step(num_told, time.perf_counter() - began, time.process_time() - cpu_began, watch.read()))
    return taken[NUM_PENDING:]


@contextmanager
def timed_fits() -> Iterator[Stopwatch]:
    """Note how long each `Surrogate.fit` takes inside the context."""
    watch, fit = Stopwatch(), Surrogate.fit

    def timed(surrogate: Surrogate, *args: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        fit(surrogate, *args, **kwargs)
        watch.fits_s.append(time.perf_counter() - began)

    with patch.object(Surrogate, "fit", timed):
        yield watch


def p95_without_refit_ms(taken: Sequence[Step], *, around: int, of_cpu: bool = False) -> float:
    """95th percentile of the steps with so many trials told, give or take half a window, that fitted nothing."""
    chosen = [each for each in taken if abs(each.num_told - around) <= WINDOW / 2 and not each.fits_s]
    return float(np.percentile([each.cpu_s if of_cpu else each.seconds for each in chosen], 95)) * 1_000.0
