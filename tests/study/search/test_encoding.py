"""Points as columns: what is near what."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from study.search.candidates import Candidate
from study.search.encoding import Encoder

METHOD = CategoricalDistribution(("labels", "kd"))
WIDTH = IntDistribution(1, 64, log=True)
ALPHA = FloatDistribution(0.0, 1.0)


def point(method: str, width: int, alpha: float | None = None) -> Candidate:
    parameters = {"method": method, "width": width} | ({} if alpha is None else {"alpha": alpha})
    distributions = {"method": METHOD, "width": WIDTH} | ({} if alpha is None else {"alpha": ALPHA})
    return Candidate(parameters, distributions)


POINTS = [point("labels", 1), point("labels", 64), point("kd", 1, 0.0), point("kd", 8, 0.4), point("kd", 8, 1.0)]


def distance(one: Candidate, other: Candidate) -> float:
    columns = Encoder(POINTS).encode([one, other])
    return float(np.linalg.norm(columns[0] - columns[1]))


def test_numbers_are_apart_by_their_places_on_their_own_scale() -> None:
    assert distance(point("labels", 1), point("labels", 64)) == pytest.approx(1.0)
    assert distance(point("labels", 1), point("labels", 8)) == pytest.approx(0.5)  # log2 of 8 is half that of 64


def test_two_choices_are_one_apart() -> None:
    other = Candidate({"method": "labels", "width": 8, "alpha": 0.5}, POINTS[4].distributions)
    assert distance(point("kd", 8, 0.5), other) == pytest.approx(1.0)


def test_points_without_a_conditional_parameter_are_as_far_from_every_value_of_it() -> None:
    columns = Encoder(POINTS).encode([point("labels", 8), *(point("kd", 8, alpha) for alpha in (0.0, 0.3, 1.0))])
    distances = np.linalg.norm(columns[1:] - columns[0], axis=1)
    assert distances == pytest.approx([np.sqrt(2.0)] * 3)  # 1 by the method and 1 by alpha
    assert distance(point("kd", 8, 0.0), point("kd", 8, 1.0)) == pytest.approx(1.0)


def test_order_in_which_points_were_seen_changes_nothing() -> None:
    """A process that starts anew sees them in another order than the one that asked for them."""
    turned = Candidate(
        dict(reversed(list(POINTS[2].parameters.items()))), dict(reversed(list(POINTS[2].distributions.items())))
    )
    one, other = Encoder(POINTS), Encoder([turned, *POINTS[::-1]])
    assert one.groups == other.groups
    assert np.array_equal(one.encode(POINTS), other.encode(POINTS))


def test_points_that_have_what_the_encoder_never_saw_are_placed_by_the_rest() -> None:
    """Another study's: a choice that is not allowed here, a width out of the range, a parameter of its own."""
    others = {"method": CategoricalDistribution(("labels", "dist")), "width": IntDistribution(1, 512), "beta": ALPHA}
    foreign = Candidate({"method": "dist", "width": 512, "beta": 0.5}, others)
    columns = Encoder(POINTS).encode([foreign, point("kd", 64, 0.5), point("labels", 64)])
    to_kd, to_labels = (np.linalg.norm(columns[0] - each) for each in columns[1:])
    assert to_kd == pytest.approx(np.sqrt(0.5 + 1.0))  # half of a choice apart, and alpha that it has not
    assert to_labels == pytest.approx(np.sqrt(0.5))
