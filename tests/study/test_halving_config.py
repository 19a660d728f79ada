"""When Pareto halving judges: the rungs of a configuration, and what is refused."""

from typing import Any

import pytest

from study.config import read_config
from study.search.settings import HalvingConfig


@pytest.mark.parametrize(
    ("fields", "num_epochs", "rungs"),
    [
        ({}, 9, (1.0, 2.0, 4.0, 8.0)),
        ({}, 8, (1.0, 2.0, 4.0)),  # the end of a trial is no rung
        ({}, 1, ()),
        ({"first_rung": 0.25}, 3, (0.25, 0.5, 1.0, 2.0)),
        ({"first_rung": 3.0}, 13, (3.0, 6.0, 12.0)),
        ({"rungs": (0.5, 3, 7)}, 7, (0.5, 3.0)),
        ({"rungs": (), "first_rung": 1.0}, 9, ()),
    ],
)
def test_rungs_double_from_the_first_or_are_as_given_and_lie_before_the_end(
    fields: dict[str, Any], num_epochs: int, rungs: tuple[float, ...]
) -> None:
    told = HalvingConfig(**fields).epochs_of_rungs(num_epochs)
    assert told == rungs
    assert all(isinstance(each, float) for each in told)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("rungs=[1, 3, 3]", r"search\.halving\.rungs = .*\[1\.0, 3\.0, 3\.0\]: each must be later than the one before"),
        ("rungs=[2, 1]", r"\[2\.0, 1\.0\]: each must be later than the one before"),
        ("rungs=[0, 1]", r"search\.halving\.rungs\.0 = 0: .*greater than 0"),
        ("first_rung=0", r"search\.halving\.first_rung = 0: .*greater than or equal to 0\.01"),
        ("least_gain=1", r"search\.halving\.least_gain = 1: .*less than 1"),
        ("keep_fraction=0", r"search\.halving\.keep_fraction = 0: .*greater than 0"),
        ("rung=1", r"search\.halving\.rung: there is no such field; allowed are rungs, first_rung, least_gain"),
    ],
)
def test_wrong_value_is_one_line_that_names_it(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_config("smoke", [f"search.halving.{override}"])
    assert "\n" not in str(caught.value)


def test_early_stopping_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"search\.early_stopping = 'asha': .*'none' or 'pareto_halving'"):
        read_config("smoke", ["search.early_stopping=asha"])
