"""Optuna's samplers, as a study's configuration names them, at a seed of their own for each ask."""

import warnings
from collections.abc import Mapping

import optuna
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    NSGAIISampler,
    PartialFixedSampler,
    RandomSampler,
    TPESampler,
)

from study.config import SearchConfig


class GridSampler(BruteForceSampler):
    """Every student of a finite space, once, in an order of the seed; when it is done the proposer sees it."""

    def after_trial(self, *_: object) -> None:
        """Optuna's would stop `study.optimize`, which is not what runs."""


def make_sampler(config: SearchConfig, seed: int, fixed: Mapping[str, object]) -> BaseSampler:
    """A fresh sampler, so that what it proposes depends on seed and history alone.

    Args:
        config: which sampler, and its settings.
        seed: for this ask; only its last 32 bits count.
        fixed: parameters that are given rather than sampled.
    """
    with warnings.catch_warnings():
        # Multivariate TPE and fixed parameters have been "experimental" in Optuna for years.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = _base(config, seed & 0xFFFFFFFF)
        return PartialFixedSampler(dict(fixed), sampler) if fixed else sampler


def _base(config: SearchConfig, seed: int) -> BaseSampler:
    if config.sampler == "random":
        return RandomSampler(seed=seed)
    if config.sampler == "grid":
        return GridSampler(seed=seed)
    if config.sampler == "nsga2":
        return NSGAIISampler(seed=seed)
    # group: temperature and alpha exist under some methods alone, and are modelled apart from what all share.
    return TPESampler(
        n_startup_trials=config.num_startup_trials, multivariate=True, group=True, constant_liar=True, seed=seed
    )
