"""How the trials of a search are shared among the methods."""

from search_spaces.space import SearchSpace
from study.config import SearchConfig


def method_shares(config: SearchConfig, space: SearchSpace) -> dict[str, int]:
    """How many trials each method is to have: as configured, else the same for each, the first ones taking the rest.

    Raises:
        ValueError: the configured shares are not of the space's methods, or do not add up to the number of trials.
    """
    if config.trials_per_method is None:
        whole, rest = divmod(config.num_trials, max(1, len(space.methods)))
        return {method: whole + (index < rest) for index, method in enumerate(space.methods)}
    shares = config.trials_per_method
    if set(shares) != set(space.methods):
        raise ValueError(
            f"search.trials_per_method names {', '.join(sorted(shares)) or 'nothing'}: "
            f"it must name the methods of the space, {', '.join(space.methods) or 'which has none'}"
        )
    if sum(shares.values()) != config.num_trials:
        raise ValueError(
            f"search.trials_per_method adds up to {sum(shares.values())}: "
            f"it must add up to search.num_trials = {config.num_trials}"
        )
    return shares
