"""Who proposes students: Optuna's samplers and our own, by name, each seeded for the trial that it is asked for."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import optuna
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    GPSampler,
    NSGAIISampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)
from optuna.trial import FrozenTrial

from study.search.constraints import Constraint
from study.search.settings import SearchConfig
from trainables.registry import resolve

SAMPLERS = {
    "tpe": "study.search.samplers:tpe",
    "random": "study.search.samplers:random",
    "nsga2": "study.search.samplers:nsga2",
    "gp": "study.search.samplers:gp",
    "grid": "study.search.samplers:grid",
    "known_cost": "study.search.known_cost_search:known_cost",
}
TAKE_EVIDENCE = ("known_cost",)  # of them, those that learn from another study's trials


@dataclass(frozen=True, slots=True)
class SamplingContext:
    """What a sampler may know of the study it proposes for.

    Args:
        config: of the search.
        seed: of the study.
        suggest: the space.
        known: for each objective that is known before training, by its index, a function of a trial's parameters.
        objectives: metric names, in the study's order; with them a sampler can read what trials show on their way.
        constraints: that students must keep.
        metric_of: from a trial's parameters and a name, the isolated metric; None: there are no such constraints.
        evidence: COMPLETE trials of another study that fits.
    """

    config: SearchConfig
    seed: int
    suggest: Callable[[Any], object]
    known: Mapping[int, Callable[[Mapping[str, Any]], float]]
    objectives: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    metric_of: Callable[[Mapping[str, Any], str], float] | None = None
    evidence: tuple[FrozenTrial, ...] = ()


class Proposals(Protocol):
    """Gives the sampler of one ask: with the same seed, fixed parameters and history, the same proposal."""

    def __call__(self, seed: int, fixed: Mapping[str, object]) -> BaseSampler:
        """The sampler of the ask that has this seed (its last 32 bits count); `fixed` parameters are given."""


def proposals(context: SamplingContext) -> Proposals:
    """The sampler that the configuration names, as `Proposals`.

    Raises:
        ValueError: there is none of that name; the message lists those that there are.
    """
    build = resolve("sampler", SAMPLERS, context.config.sampler)
    if not callable(build):
        raise ValueError(f'sampler "{context.config.sampler}" is a {type(build).__name__}: it must be a function')
    made: Proposals = build(context)
    return made


def tpe(context: SamplingContext) -> Proposals:
    """Multivariate TPE (Bergstra et al. 2011), pending trials counted as bad (constant liar)."""

    # group: temperature and alpha exist under some methods alone, and are modelled apart from what all share.
    def fresh(seed: int) -> BaseSampler:
        return TPESampler(
            n_startup_trials=context.config.num_startup_trials,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=seed,
        )

    return _fresh_each_time(fresh)


def random(_: SamplingContext) -> Proposals:
    """Every parameter at random."""
    return _fresh_each_time(lambda seed: RandomSampler(seed=seed))


def nsga2(_: SamplingContext) -> Proposals:
    """The genetic algorithm NSGA-II (Deb et al. 2002)."""
    return _fresh_each_time(lambda seed: NSGAIISampler(seed=seed))


def gp(context: SamplingContext) -> Proposals:
    """Optuna's own Gaussian process: expected hypervolume improvement where every objective is unknown, simulated.

    It models the parameters that every trial has; what hangs on others is drawn at random.
    """

    def fresh(seed: int) -> BaseSampler:
        return GPSampler(
            n_startup_trials=context.config.num_startup_trials,
            deterministic_objective=False,
            warn_independent_sampling=False,
            seed=seed,
        )

    return _fresh_each_time(fresh)


def grid(_: SamplingContext) -> Proposals:
    """Every student of a finite space, once."""
    return _fresh_each_time(lambda seed: GridSampler(seed=seed))


class GridSampler(BruteForceSampler):
    """Every student of a finite space, once, in an order of the seed; when it is done the proposer sees it."""

    def after_trial(self, *_: object) -> None:
        """Optuna's would stop `study.optimize`, which is not what runs."""


def _fresh_each_time(make: Callable[[int], BaseSampler]) -> Proposals:
    """A new sampler for each ask, so that what it proposes depends on seed and history alone."""

    def sampler(seed: int, fixed: Mapping[str, object]) -> BaseSampler:
        with warnings.catch_warnings():
            # Multivariate TPE and fixed parameters have been "experimental" in Optuna for years.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = make(seed & 0xFFFFFFFF)
            return PartialFixedSampler(dict(fixed), made) if fixed else made

    return sampler
