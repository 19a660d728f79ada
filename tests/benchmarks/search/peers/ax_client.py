"""Ax's Client with its own choice of method for several objectives: BoTorch's qLogNEHVI."""

import logging

from ax.api.client import Client  # type: ignore[import-not-found]
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig  # type: ignore[import-not-found]

from tests.benchmarks.search.contestants import Values
from tests.benchmarks.search.tables import Table


def run(table: Table, seed: int, num_evaluations: int) -> Values:
    """By asking and telling, one trial at a time."""
    logging.disable(logging.WARNING)  # its loggers set their levels anew
    client = Client(random_seed=seed)
    client.configure_experiment(
        parameters=[
            RangeParameterConfig(name=each.name, bounds=(0, len(each.choices) - 1), parameter_type="int")
            if each.is_ordered
            else ChoiceParameterConfig(
                name=each.name, values=list(each.choices), parameter_type="str", is_ordered=False
            )
            for each in table.parameters
        ]
    )
    client.configure_optimization(objective="accuracy, -cost")
    told = Values()
    while len(told) < num_evaluations:
        for index, point in client.get_next_trials(max_trials=1).items():
            accuracy, cost = table.evaluate(point)
            client.complete_trial(trial_index=index, raw_data={"accuracy": accuracy, "cost": cost})
            told.append((accuracy, cost))
    return told
