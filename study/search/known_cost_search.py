"""The known-cost sampler in a study of ours: one for the whole search, told of each ask what is fixed and its seed."""

from collections.abc import Mapping

from optuna.samplers import BaseSampler

from study.search.known_cost import KnownCostSampler
from study.search.samplers import Proposals, SamplingContext


def known_cost(context: SamplingContext) -> Proposals:
    """Expected hypervolume improvement with every isolated objective known; see `KnownCostSampler`."""
    sampler = KnownCostSampler(
        context.suggest,
        context.known,
        num_startup_trials=context.config.num_startup_trials,
        seed=context.seed,
    )

    def proposals(seed: int, fixed: Mapping[str, object]) -> BaseSampler:  # noqa: ARG001 - its own is a function of it
        sampler.fix(fixed)
        return sampler

    return proposals
