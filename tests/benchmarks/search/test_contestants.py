"""That every contestant searches the table it is given, and that eight workers are eight."""

from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from tests.benchmarks.search.comparisons import COMPARISONS
from tests.benchmarks.search.contestants import contestants, search
from tests.benchmarks.search.tables import TABLES, nas_bench_201

NUM_EVALUATIONS = 4  # before any of them builds a model


@pytest.mark.parametrize("name", contestants())
def test_contestant_asks_points_of_the_table_and_the_same_ones_with_the_same_seed(name: str) -> None:
    table, run = nas_bench_201(), contestants()[name].run
    values = run(table, 3, NUM_EVALUATIONS)
    assert len(values) == NUM_EVALUATIONS
    assert {tuple(each) for each in values} <= {tuple(each) for each in table.values_N2.tolist()}
    assert run(table, 3, NUM_EVALUATIONS) == values
    assert run(table, 4, NUM_EVALUATIONS) != values


def test_comparisons_name_contestants_and_tables_that_there_are() -> None:
    assert {each.table for each in COMPARISONS.values()} == set(TABLES)
    assert {name for each in COMPARISONS.values() for name in (each.ours, *each.others)} == set(contestants())


class Watching(RandomSampler):
    """Notes how many other trials run whenever it is asked."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.num_running: list[int] = []

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        states = [each.state for each in study.get_trials(deepcopy=False) if each.number != trial.number]
        self.num_running.append(states.count(TrialState.RUNNING))
        return super().infer_relative_search_space(study, trial)


@pytest.mark.parametrize(("num_workers", "others"), [(1, [0] * 12), (8, [*range(8), 7, 7, 7, 7])])
def test_each_worker_is_asked_while_the_others_run(num_workers: int, others: list[int]) -> None:
    sampler = Watching()

    def make(*_: Any) -> Watching:
        return sampler

    assert len(search(make, nas_bench_201(), 0, 12, num_workers=num_workers)) == 12
    assert sampler.num_running == others
