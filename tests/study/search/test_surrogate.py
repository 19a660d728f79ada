"""The Gaussian process: what is near what, and that its beliefs are those of the textbook and of BoTorch."""

import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from study.search.candidates import Candidate
from study.search.surrogate import Encoder, GroupedMatern, Surrogate, draw_up

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
    with_alpha = [
        point("kd", 8, 0.5),
        Candidate({"method": "labels", "width": 8, "alpha": 0.5}, POINTS[4].distributions),
    ]
    assert distance(*with_alpha) == pytest.approx(1.0)


def test_points_without_a_conditional_parameter_are_as_far_from_every_value_of_it() -> None:
    columns = Encoder(POINTS).encode([point("labels", 8), *(point("kd", 8, alpha) for alpha in (0.0, 0.3, 1.0))])
    distances = np.linalg.norm(columns[1:] - columns[0], axis=1)
    assert distances == pytest.approx([np.sqrt(2.0)] * 3)  # 1 by the method and 1 by alpha
    assert distance(point("kd", 8, 0.0), point("kd", 8, 1.0)) == pytest.approx(1.0)


def test_kernel_is_matern_with_a_length_scale_for_each_parameter() -> None:
    """Rasmussen & Williams 2006, eq. 4.17, in NumPy."""
    kernel = GroupedMatern([0, 0, 1], 2)
    kernel.raw_scales.data = torch.tensor([0.5, 2.0], dtype=torch.float64)
    one, other = np.array([[0.1, 0.7, 0.2]]), np.array([[0.4, 0.3, 0.9]])
    r = np.sqrt((0.3**2 + 0.4**2) / 0.5**2 + 0.7**2 / 2.0**2)
    expected = (1 + np.sqrt(5) * r + 5 * r**2 / 3) * np.exp(-np.sqrt(5) * r)
    assert kernel.forward(torch.from_numpy(one), torch.from_numpy(other)).item() == pytest.approx(expected)
    diagonal = kernel.forward(torch.from_numpy(one), torch.from_numpy(other), diag=True)
    assert diagonal.item() == pytest.approx(expected)


def fitted() -> tuple[Surrogate, np.ndarray, np.ndarray, np.ndarray]:
    stream = np.random.default_rng(0)
    points = [point("kd", int(stream.integers(1, 65)), float(stream.random())) for _ in range(20)]
    encoder = Encoder(points)
    columns = encoder.encode(points)
    values = 3.0 + np.sin(3 * columns[:, 2]) + 0.05 * stream.standard_normal(20)
    surrogate = Surrogate(encoder)
    surrogate.fit(columns, values)
    at = encoder.encode([point("kd", int(stream.integers(1, 65)), float(stream.random())) for _ in range(7)])
    return surrogate, columns, values, at


def test_beliefs_are_those_of_botorch_under_the_same_hyperparameters() -> None:
    surrogate, columns, values, at = fitted()
    assert surrogate._kernel is not None
    kernel = GroupedMatern([0, 0, 1, 2], 3)
    kernel.raw_scales.data = surrogate._kernel.raw_scales.data
    model = SingleTaskGP(torch.from_numpy(columns), torch.from_numpy(values).unsqueeze(-1), covar_module=kernel)
    model.likelihood.noise = surrogate._noise
    model.mean_module.constant.data.fill_(surrogate._mean)
    model.eval()
    with torch.no_grad():
        theirs = model.posterior(torch.from_numpy(at))
    ours = surrogate.posterior(columns, values, at)
    assert ours.means == pytest.approx(theirs.mean.squeeze(-1).numpy(), abs=1e-6)
    assert ours.deviations == pytest.approx(theirs.variance.sqrt().squeeze(-1).numpy(), rel=1e-4, abs=1e-6)


def test_what_was_told_is_believed_and_far_away_nothing_is_sure() -> None:
    surrogate, columns, values, _ = fitted()
    told = surrogate.posterior(columns, values, columns)
    assert np.abs(told.means - values).max() < 0.5 * values.std()
    assert surrogate.posterior(columns, values, columns + 100.0).deviations == pytest.approx(
        values.std(ddof=1), rel=0.01
    )


def test_surrogate_that_was_never_fitted_is_not_asked() -> None:
    with pytest.raises(RuntimeError, match="never fitted"):
        Surrogate(Encoder(POINTS)).posterior(np.zeros((1, 5)), np.zeros(1), np.zeros((1, 5)))


def test_values_far_below_the_rest_are_drawn_up_to_three_quartile_ranges() -> None:
    """Median 3, quartiles 2 and 4: nothing below -3."""
    assert draw_up(np.array([-90.0, 2.0, 3.0, 4.0, 5.0])).tolist() == [-3.0, 2.0, 3.0, 4.0, 5.0]
    assert draw_up(np.ones(4)).tolist() == [1.0] * 4
