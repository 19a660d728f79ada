"""NePS's Bayesian optimisation, which with several objectives is BoTorch's qLogNEHVI."""

import random

import neps  # type: ignore[import-not-found]
import numpy as np
import torch

from tests.benchmarks.search.contestants import Values
from tests.benchmarks.search.tables import Table


def run(table: Table, seed: int, num_evaluations: int) -> Values:
    """By asking and telling; its MOASHA and PriMO need fidelities, which these tables do not have.

    It takes its random numbers from the three global generators.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the one it uses
    torch.manual_seed(seed)
    space = {
        each.name: neps.HPOInteger(0, len(each.choices) - 1)
        if each.is_ordered
        else neps.HPOCategorical(list(each.choices))
        for each in table.parameters
    }
    search = neps.AskAndTell(neps.algorithms.bayesian_optimization(neps.SearchSpace(space)))
    told = Values()
    for _ in range(num_evaluations):
        asked = search.ask()
        accuracy, cost = table.evaluate(asked.config)
        search.tell(asked, {"objective_to_minimize": [-accuracy, cost]})
        told.append((accuracy, cost))
    return told
