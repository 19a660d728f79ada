"""How the trials of a search are shared among the methods, and among the values of other parameters."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution

from search_spaces.space import SearchSpace
from study.search.candidates import finite_choices, trace
from study.search.settings import SearchConfig
from study.search.tally import Choice

MAX_BALANCED_VALUES = 100
MAX_IN_VAIN = 10


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


def balanced_values(config: SearchConfig, space: SearchSpace) -> dict[str, Sequence[Any]]:
    """The values of each parameter at which a method is to have equally many trials.

    Raises:
        ValueError: the space has no such parameter, some method of it has not, or it takes any value of a range.
    """
    if not config.balanced:
        return {}
    if config.sampler == "grid":
        raise ValueError('search.balanced: search.sampler = "grid" trains every student once, and cannot be balanced')
    by_method = [_first_choices(space, method) for method in space.methods or (None,)]
    found: dict[str, Sequence[Any]] = {}
    for name in config.balanced:
        values = [finite_choices(each[name], at_most=MAX_BALANCED_VALUES) for each in by_method if name in each]
        is_alike = len(values) == len(by_method) and all(each == values[0] for each in values)
        if name == "method" or not is_alike or values[0] is None:
            allowed = sorted(
                each
                for each in set.intersection(*map(set, by_method)) - {"method"}
                if finite_choices(by_method[0][each], at_most=MAX_BALANCED_VALUES) is not None
            )
            raise ValueError(
                f'search.balanced names "{name}": it must name parameters that every student has, of at most '
                f"{MAX_BALANCED_VALUES} values, the same under each method: "
                f"{', '.join(allowed) or 'this space has none'}"
            )
        found[name] = values[0]
    return found


def _first_choices(space: SearchSpace, method: str | None) -> Mapping[str, BaseDistribution]:
    """The parameters of the method's students, where each takes its first value."""

    def choose(name: str, distribution: BaseDistribution) -> Any:
        if name == "method" and method is not None:
            return method
        return (finite_choices(distribution, at_most=MAX_BALANCED_VALUES) or [distribution.low])[0]  # type: ignore[attr-defined] # of a range

    return trace(space.suggest, choose).distributions


def due(
    shares: Mapping[str, int],
    balanced: Mapping[str, Sequence[Any]],
    asked: Mapping[Choice, int],
    in_vain: Mapping[Choice, int],
) -> dict[str, Any]:
    """What the next trial is to be: of the method furthest behind its share, and there at the rarest values.

    Values at which students were asked in vain far more often than not come last: none may have them, or none is left.

    Args:
        shares: trials that each method is to have; empty: the method is the sampler's to choose.
        balanced: values of each parameter that is balanced.
        asked: by choice, how many trials count.
        in_vain: and how many do not: a duplicate, or known to break a constraint.
    """
    num_asked = Counter[str]()
    for (method, *_), num in asked.items():
        num_asked[method] += num

    def progress(method: str) -> float:
        return num_asked[method] / shares[method] if shares[method] else math.inf

    fixed: dict[str, Any] = {"method": min(shares, key=progress)} if shares else {}
    if balanced:
        num_at, num_in_vain = (_by_values(each, fixed.get("method")) for each in (asked, in_vain))

        def rank(values: tuple[Any, ...]) -> tuple[bool, int]:
            return num_in_vain[values] > MAX_IN_VAIN + 2 * num_at[values], num_at[values]

        rarest = min(itertools.product(*balanced.values()), key=rank)
        fixed |= dict(zip(balanced, rarest, strict=True))
    return fixed


def _by_values(num_by_choice: Mapping[Choice, int], method: str | None) -> Counter[tuple[Any, ...]]:
    """Of the method, or of all of them, how many at each of the balanced values."""
    found = Counter[tuple[Any, ...]]()
    for (its_method, *values), num in num_by_choice.items():
        if method in {None, its_method}:
            found[tuple(values)] += num
    return found
