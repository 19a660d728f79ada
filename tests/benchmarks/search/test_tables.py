"""The tables' numbers against published ones, and the share of the hypervolume against a closed form."""

import itertools

import numpy as np
import optuna
import pytest
from torch import nn

from tests.benchmarks.search.tables import (
    PHONEME_FEATURES,
    PHONEME_OUTPUTS,
    TABLES,
    hpobench_mlp,
    hypervolumes,
    nas_bench_201,
    num_mlp_parameters,
)

# Accuracy 0.8 at cost 10, 0.9 at 20, 1.0 at 30; on its own ranges (1, 0), (0.5, 0.5), (0, 1) as (error, cost).
FRONT_N2 = np.array([[0.8, 10.0], [0.9, 20.0], [1.0, 30.0]])
# Under (1.1, 1.1), by strips of cost: 0.5 x 0.1 + 0.5 x 0.6 + 0.1 x 1.1.
OF_FRONT = 0.05 + 0.3 + 0.11


def test_share_of_the_hypervolume_in_closed_form() -> None:
    """The middle point dominates 0.6 x 0.6; with the cheapest, 0.5 x 0.1 more; then all of it."""
    shares = hypervolumes(np.array([[0.9, 20.0], [0.8, 10.0], [1.0, 30.0]]), FRONT_N2)
    assert shares * OF_FRONT == pytest.approx([0.36, 0.36 + 0.05, OF_FRONT])


def test_point_adds_what_lies_within_a_tenth_beyond_the_front_and_nothing_further_out() -> None:
    """Cost 31 is 0.05 beyond the front's worst: 0.05 of cost, 1.1 of accuracy. Cost 32 stands on the reference."""
    assert hypervolumes(np.array([[1.0, 31.0]]), FRONT_N2)[0] * OF_FRONT == pytest.approx(0.05 * 1.1)
    assert hypervolumes(np.array([[1.0, 32.0], [0.78, 10.0]]), FRONT_N2) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_share_does_not_depend_on_the_units() -> None:
    stretched = FRONT_N2 * np.array([100.0, 1e-3])
    points = np.array([[0.85, 12.0], [0.95, 29.0]])
    assert hypervolumes(points * np.array([100.0, 1e-3]), stretched) == pytest.approx(hypervolumes(points, FRONT_N2))


def test_best_cell_is_the_published_one() -> None:
    """Dong & Yang 2020, table 5: the best of 15,625 reaches 91.61 % on CIFAR-10's validation images."""
    table = nas_bench_201()
    assert table.values_N2.shape == (15_625, 2)
    assert round(float(table.values_N2[:, 0].max()), 2) == 91.61
    best = dict(zip((f"Op{place}" for place in range(6)), BEST_CELL, strict=True))
    assert table.evaluate(best)[0] == table.values_N2[:, 0].max()


# |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|
BEST_CELL = ("nor_conv_3x3", "nor_conv_3x3", "nor_conv_3x3", "skip_connect", "nor_conv_3x3", "nor_conv_1x1")


@pytest.mark.parametrize(("width", "depth"), [(16, 1), (25, 2), (64, 3)])
def test_parameters_are_counted_as_torch_counts_them(width: int, depth: int) -> None:
    sizes = [PHONEME_FEATURES, *[width] * depth, PHONEME_OUTPUTS]
    network = nn.Sequential(*(nn.Linear(one, other) for one, other in itertools.pairwise(sizes)))
    count = sum(each.numel() for each in network.parameters())
    assert num_mlp_parameters(width, depth, num_inputs=PHONEME_FEATURES, num_outputs=PHONEME_OUTPUTS) == count


def test_cost_of_a_network_is_its_parameter_count_whatever_else_it_has() -> None:
    """Width 16, one hidden layer: 6 x 16 + 17."""
    smallest = {"alpha": 0, "batch_size": 0, "depth": 0, "learning_rate_init": 0, "width": 0}
    table = hpobench_mlp()
    assert table.values_N2.shape == (30_000, 2)
    assert {table.cost(smallest | {"alpha": place, "learning_rate_init": place}) for place in range(10)} == {113.0}


@pytest.mark.parametrize("name", TABLES)
def test_point_is_looked_up_where_a_search_asks_for_it(name: str) -> None:
    table = TABLES[name]()
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    table.suggest(trial)
    row = np.ravel_multi_index(
        [each.values.index(trial.params[each.name]) for each in table.parameters],
        [len(each.choices) for each in table.parameters],
    )
    assert table.evaluate(trial.params) == tuple(table.values_N2[row])
    assert table.cost(trial.params) == table.values_N2[row, 1]


@pytest.mark.parametrize("name", TABLES)
def test_the_true_front_is_all_of_the_hypervolume_and_a_part_of_it_is_not(name: str) -> None:
    table = TABLES[name]()
    shares = table.hypervolumes(table.front_N2)
    assert shares[-1] == pytest.approx(1.0)
    assert (np.diff(shares) > 0.0).all()
