"""SMAC's random forest with ParEGO for several objectives, as its example has it."""

import logging
import tempfile
from pathlib import Path
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, Integer  # type: ignore[import-not-found]
from smac import HyperparameterOptimizationFacade, Scenario  # type: ignore[import-not-found]
from smac.multi_objective.parego import ParEGO  # type: ignore[import-not-found]
from smac.runhistory.dataclasses import TrialValue  # type: ignore[import-not-found]

from tests.benchmarks.search.contestants import Values
from tests.benchmarks.search.tables import Table


def run(table: Table, seed: int, num_evaluations: int) -> Values:
    """By asking and telling; each point once, for the tables have no noise."""
    space = ConfigurationSpace(seed=seed)
    space.add(
        [
            Integer(each.name, (0, len(each.choices) - 1))
            if each.is_ordered
            else Categorical(each.name, list(each.choices))
            for each in table.parameters
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space,
            objectives=["error", "cost"],
            deterministic=True,
            n_trials=num_evaluations,
            seed=seed,
            output_directory=Path(folder),
        )
        smac = HyperparameterOptimizationFacade(
            scenario,
            _never_called,
            multi_objective_algorithm=ParEGO(scenario),
            intensifier=HyperparameterOptimizationFacade.get_intensifier(scenario, max_config_calls=1),
            logging_level=logging.ERROR,
            overwrite=True,
        )
        told = Values()
        for _ in range(num_evaluations):
            asked = smac.ask()
            accuracy, cost = table.evaluate(dict(asked.config))
            smac.tell(asked, TrialValue(cost=[-accuracy, cost]))
            told.append((accuracy, cost))
    return told


def _never_called(config: Any, seed: int = 0) -> list[float]:
    """SMAC wants a function even where it is only asked and told."""
    raise NotImplementedError(f"asked and told, not run: {config}, {seed}")
