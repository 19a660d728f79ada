"""Who is compared: our sampler and Optuna's, each as its documentation says for several objectives."""

import ast
import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Protocol

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from study.search.known_cost import KnownCostSampler
from tests.benchmarks.search.tables import COST, Table
from tests.source_rules import Source, imports

TOP = Path(__file__).parents[3]
OUR_MODULE = "study.search.known_cost"
NUM_WORKERS = 8
SPREAD_OF_DURATIONS = 0.5

Values = list[tuple[float, float]]


class Run(Protocol):
    """A search from its start: the values of what it asked, in the order in which they were told."""

    def __call__(self, table: Table, seed: int, num_evaluations: int) -> Values:
        """Search `table` with this seed."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A way to search; `version` says what its results depend on beside the table and the seed."""

    name: str
    version: str
    run: Run


def ours(table: Table, seed: int) -> BaseSampler:
    """Our sampler, told what a point costs."""
    return KnownCostSampler(table.suggest, {COST: table.cost}, seed=seed)


def ours_not_told(table: Table, seed: int) -> BaseSampler:
    """Our sampler, which has to learn both objectives."""
    return KnownCostSampler(table.suggest, seed=seed)


def random(_: Table, seed: int) -> BaseSampler:
    """Optuna's random sampler."""
    return RandomSampler(seed=seed)


def nsga2(_: Table, seed: int) -> BaseSampler:
    """Optuna's NSGA-II with its own settings: a population of 50."""
    return NSGAIISampler(seed=seed)


def tpe(_: Table, seed: int) -> BaseSampler:
    """Optuna's multi-objective TPE (Ozaki et al. 2022), multivariate: better than its default, its documents say."""
    return TPESampler(multivariate=True, seed=seed)


def gp(_: Table, seed: int) -> BaseSampler:
    """Optuna's Gaussian process and expected hypervolume improvement, told that the tables have no noise."""
    return GPSampler(deterministic_objective=True, seed=seed)


def search(
    make: Callable[[Table, int], BaseSampler], table: Table, seed: int, num_evaluations: int, *, num_workers: int = 1
) -> Values:
    """Ask and tell by Optuna, with virtual workers whose trials take random times, the earliest to end told first."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=make(table, seed))
    durations = np.random.default_rng([seed, num_workers])
    running: list[tuple[float, optuna.Trial]] = []
    now, told = 0.0, Values()
    for place in range(num_evaluations):
        for _ in range(min(num_workers, num_evaluations - place) - len(running)):
            trial = study.ask()
            table.suggest(trial)
            running.append((now + float(durations.lognormal(sigma=SPREAD_OF_DURATIONS)), trial))
        now, ended = running.pop(min(range(len(running)), key=lambda index: running[index][0]))
        values = table.evaluate(ended.params)
        study.tell(ended, values)
        told.append(values)
    return told


def contestants() -> Mapping[str, Contestant]:
    """By name; what of ours they depend on is read at this moment."""
    of_optuna = f"optuna {metadata.version('optuna')}"
    of_ours = f"{source_digest(OUR_MODULE)}, botorch {metadata.version('botorch')}"
    return {
        each.name: each
        for each in (
            Contestant("ours", of_ours, partial(search, ours)),
            Contestant("ours, not told", of_ours, partial(search, ours_not_told)),
            Contestant("ours, 8 workers", of_ours, partial(search, ours, num_workers=NUM_WORKERS)),
            Contestant("Optuna random", of_optuna, partial(search, random)),
            Contestant("Optuna NSGA-II", of_optuna, partial(search, nsga2)),
            Contestant("Optuna TPE", of_optuna, partial(search, tpe)),
            Contestant("Optuna GP", of_optuna, partial(search, gp)),
        )
    }


PEERS: Sequence[str] = ("Optuna random", "Optuna NSGA-II", "Optuna TPE", "Optuna GP")


def source_digest(module: str, top: Path = TOP) -> str:
    """Of a module and of all of ours that it imports, directly or not; comments and layout do not count.

    Raises:
        ValueError: there is no such module.
    """
    if not (top / f"{module.replace('.', '/')}.py").is_file():
        raise ValueError(f"there is no module {module} under {top}")
    digest, seen, waiting = hashlib.sha256(), set[str](), [module]
    while waiting:
        name = waiting.pop()
        file = top / f"{name.replace('.', '/')}.py"
        if name in seen or not file.is_file():
            continue
        seen.add(name)
        source = Source(file.relative_to(top).as_posix(), file.read_text(encoding="utf-8"))
        digest.update(f"{name} {ast.dump(source.tree)}\n".encode())
        found = {each for _, dotted in imports(source) for each in (dotted, dotted.rpartition(".")[0])}
        waiting += sorted(found, reverse=True)
    return digest.hexdigest()[:12]
