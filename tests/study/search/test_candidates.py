"""Points of define-by-run spaces: all of them, drawn ones, neighbours."""

from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.cnn_distillation import CnnDistillation
from study.search.candidates import draw, enumerate_space, from_unit, neighbours, random_points, to_unit

RANGES = [
    FloatDistribution(-2.0, 5.0),
    FloatDistribution(1e-4, 1.0, log=True),
    FloatDistribution(0.0, 1.0, step=0.25),
    IntDistribution(3, 9),
    IntDistribution(1, 64, log=True),
    IntDistribution(0, 10, step=5),
]


def conditional(trial: Any) -> None:
    if trial.suggest_categorical("method", ["labels", "kd"]) == "kd":
        trial.suggest_int("temperature", 1, 3)
    trial.suggest_float("rate", 0.0, 1.0, step=0.5)


def test_every_point_of_a_conditional_space_is_found_once() -> None:
    points = enumerate_space(conditional, at_most=100)
    assert points is not None
    found = {point.key for point in points}
    labels = {(("method", "labels"), ("rate", rate)) for rate in (0.0, 0.5, 1.0)}
    kd = {(("method", "kd"), ("rate", r), ("temperature", t)) for r in (0.0, 0.5, 1.0) for t in (1, 2, 3)}
    assert found == labels | kd
    assert len(points) == 12


def test_space_that_is_not_finite_or_too_large_is_not_enumerated() -> None:
    assert enumerate_space(conditional, at_most=11) is None
    assert enumerate_space(CnnDistillation().suggest, at_most=10_000) is None
    assert len(enumerate_space(CnnDistillation(steps=2).suggest, at_most=10_000) or []) == 5 * 3 * 2 * (1 + 4)


def test_flat_space_is_given_by_its_distributions() -> None:
    space = {"a": CategoricalDistribution((1, 2)), "b": IntDistribution(0, 4, step=2)}
    assert len(enumerate_space(space, at_most=6) or []) == 6


@pytest.mark.parametrize("distribution", RANGES, ids=str)
@given(place=st.floats(0.0, 1.0))
def test_value_of_a_place_is_allowed_and_its_place_leads_back(distribution: BaseDistribution, place: float) -> None:
    value = from_unit(distribution, place)
    assert distribution._contains(distribution.to_internal_repr(value))
    again = from_unit(distribution, to_unit(distribution, value))
    assert again == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("distribution", RANGES, ids=str)
def test_drawn_values_fill_the_range(distribution: BaseDistribution) -> None:
    """Of 2,000 draws, the mean place is 1/2 within 4 standard errors of what spreads most, 0.5 / sqrt(2,000)."""
    stream = np.random.default_rng(0)
    places = [to_unit(distribution, draw(distribution, stream)) for _ in range(2_000)]
    assert np.mean(places) == pytest.approx(0.5, abs=4 * 0.5 / 2_000**0.5 + 0.02)


def test_neighbours_differ_in_one_parameter_and_what_hangs_on_it() -> None:
    stream = np.random.default_rng(0)
    space = CnnDistillation().suggest
    point = next(point for point in random_points(space, 50, stream) if point.parameters["method"] == "kd")
    for other in neighbours(space, point, 60, stream):
        shared = point.parameters.keys() & other.parameters.keys()
        assert sum(point.parameters[name] != other.parameters[name] for name in shared) <= 1
        if other.parameters["method"] == "kd":
            assert other.parameters.keys() == point.parameters.keys()


def test_drawn_points_are_what_optuna_would_accept() -> None:
    study = optuna.create_study()
    for point in random_points(CnnDistillation().suggest, 20, np.random.default_rng(1)):
        study.enqueue_trial(dict(point.parameters))
        trial = study.ask()
        CnnDistillation().suggest(trial)
        assert trial.params == point.parameters


def test_fixed_parameters_are_as_given_in_drawn_points_and_in_neighbours() -> None:
    stream, fixed = np.random.default_rng(0), {"method": "kd", "width": 4}
    points = list(random_points(CnnDistillation().suggest, 20, stream, fixed))
    others = list(neighbours(CnnDistillation().suggest, points[0], 60, stream, fixed))
    for each in (*points, *others):
        assert {name: each.parameters[name] for name in fixed} == fixed
    assert len({each.key for each in (*points, *others)}) > 50  # not all: another batch size may be the same again


def test_point_whose_parameters_are_all_fixed_has_no_neighbours() -> None:
    point = next(iter(random_points(conditional, 1, np.random.default_rng(0))))
    assert list(neighbours(conditional, point, 5, np.random.default_rng(0), point.parameters)) == []
