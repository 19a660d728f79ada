"""Syne Tune's EHVI. Its MOASHA stops trials by their learning curves, which these tables do not have."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from syne_tune.config_space import choice, randint  # type: ignore[import-not-found]
from syne_tune.optimizer.baselines import EHVI  # type: ignore[import-not-found]
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler  # type: ignore[import-not-found]

from tests.benchmarks.search.contestants import Values
from tests.benchmarks.search.tables import REFERENCE, Table, minimised

# EHVI counts what it maximises above 2 in each objective, a constant of its source.
ITS_REFERENCE = 2.0


def run(table: Table, seed: int, num_evaluations: int) -> Values:
    """By asking and telling.

    Its reference point cannot be chosen, and any error or cost above -2 would lie beyond it. So it is told values on
    the true front's own ranges, moved to where its reference is the one by which all are judged: which the others are
    not told.
    """
    best, worst = minimised(table.front_N2).min(axis=0), minimised(table.front_N2).max(axis=0)
    names = ["error", "cost"]
    space = {
        each.name: randint(0, len(each.choices) - 1) if each.is_ordered else choice(list(each.choices))
        for each in table.parameters
    }
    scheduler = AskTellScheduler(EHVI(space, metrics=names, do_minimize=True, random_seed=seed))
    told = Values()
    for _ in range(num_evaluations):
        with doubles():
            asked = scheduler.ask()
        values = table.evaluate(asked.config)
        scaled = (minimised(np.array(values)) - best) / (worst - best) - REFERENCE - ITS_REFERENCE
        scheduler.tell(asked, {name: float(each) for name, each in zip(names, scaled, strict=True)})
        told.append(values)
    return told


@contextmanager
def doubles() -> Iterator[None]:
    """Its own numbers are of the default type, its GP's are doubles: BoTorch 0.18 refuses the two together."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
