"""pymoo's NSGA-II over mixed variables, as its guide has it: MixedVariableGA with rank and crowding survival."""

from typing import Any

import numpy as np
from pymoo.core.evaluator import Evaluator  # type: ignore[import-not-found]
from pymoo.core.mixed import MixedVariableGA  # type: ignore[import-not-found]
from pymoo.core.problem import Problem  # type: ignore[import-not-found]
from pymoo.core.variable import Choice, Integer  # type: ignore[import-not-found]
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding  # type: ignore[import-not-found]
from pymoo.problems.static import StaticProblem  # type: ignore[import-not-found]

from tests.benchmarks.search.contestants import Values
from tests.benchmarks.search.tables import Table, minimised

POPULATION_SIZE = 20  # of the guide's example; its own 50 would be half of the evaluations at random


def run(table: Table, seed: int, num_evaluations: int) -> Values:
    """Generation by generation, by asking and telling."""
    variables: dict[str, Any] = {
        each.name: Integer(bounds=(0, len(each.choices) - 1)) if each.is_ordered else Choice(options=each.choices)
        for each in table.parameters
    }
    problem = Problem(vars=variables, n_obj=2)
    algorithm = MixedVariableGA(pop_size=POPULATION_SIZE, survival=RankAndCrowding())
    algorithm.setup(problem, termination=("n_gen", num_evaluations), seed=seed, verbose=False)
    told = Values()
    while len(told) < num_evaluations:
        asked = algorithm.ask()
        values = [table.evaluate(each.X) for each in asked]
        told += values
        Evaluator().eval(StaticProblem(problem, F=minimised(np.array(values))), asked)
        algorithm.tell(infills=asked)
    return told[:num_evaluations]
