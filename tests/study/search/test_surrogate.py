"""The Gaussian process: its beliefs are those of the textbook and of BoTorch."""

import numpy as np
import pytest
import torch
from botorch.models import SingleTaskGP
from numpy.typing import NDArray
from optuna.distributions import FloatDistribution

from study.search.candidates import Candidate
from study.search.encoding import Encoder
from study.search.surrogate import GroupedMatern, Surrogate, draw_up
from tests.study.search.test_encoding import POINTS, point

Array = NDArray[np.float64]


def matern(distance: float) -> float:
    """Rasmussen & Williams 2006, eq. 4.17, in NumPy."""
    return float((1 + np.sqrt(5) * distance + 5 * distance**2 / 3) * np.exp(-np.sqrt(5) * distance))


def test_kernel_is_matern_with_a_length_scale_for_each_parameter() -> None:
    kernel = GroupedMatern([0, 0, 1], 2, is_additive=False)
    kernel.raw_scales.data = torch.tensor([0.5, 2.0], dtype=torch.float64)
    one, other = torch.tensor([[0.1, 0.7, 0.2]]).double(), torch.tensor([[0.4, 0.3, 0.9]]).double()
    assert kernel.forward(one, other).item() == pytest.approx(matern(np.hypot(0.5 / 0.5, 0.7 / 2.0)))


def test_additive_kernel_is_a_mean_of_matern_over_all_parameters_and_of_each_by_itself() -> None:
    """At weight 3 : 1, with a length scale for each parameter; Duvenaud et al. 2011 of orders 1 and D."""
    kernel = GroupedMatern([0, 0, 1], 2, is_additive=True)
    kernel.raw_scales.data = torch.tensor([0.5, 2.0], dtype=torch.float64)
    one, other = np.array([[0.1, 0.7, 0.2]]), np.array([[0.4, 0.3, 0.9]])
    kernel.raw_weight.data = torch.tensor(np.log(3.0))
    first, second = 0.5 / 0.5, 0.7 / 2.0
    expected = 0.75 * (matern(first) + matern(second)) / 2 + 0.25 * matern(np.hypot(first, second))
    assert kernel.forward(torch.from_numpy(one), torch.from_numpy(other)).item() == pytest.approx(expected)
    diagonal = kernel.forward(torch.from_numpy(one), torch.from_numpy(other), diag=True)
    assert diagonal.item() == pytest.approx(expected)


def fitted(*, is_additive: bool = False) -> tuple[Surrogate, Array, Array, Array]:
    stream = np.random.default_rng(0)
    points = [point("kd", int(stream.integers(1, 65)), float(stream.random())) for _ in range(20)]
    encoder = Encoder(points)
    columns = encoder.encode(points)
    values = 3.0 + np.sin(3 * columns[:, 0]) + 0.05 * stream.standard_normal(20)
    surrogate = Surrogate(encoder, is_additive=is_additive)
    surrogate.fit(columns, values)
    at = encoder.encode([point("kd", int(stream.integers(1, 65)), float(stream.random())) for _ in range(7)])
    return surrogate, columns, values, at


@pytest.mark.parametrize("is_additive", [False, True])
def test_beliefs_are_those_of_botorch_under_the_same_hyperparameters(*, is_additive: bool) -> None:
    surrogate, columns, values, at = fitted(is_additive=is_additive)
    assert surrogate._kernel is not None
    kernel = GroupedMatern(surrogate._encoder.groups, 3, is_additive=is_additive)
    kernel.load_state_dict(surrogate._kernel.state_dict(), strict=False)
    model = SingleTaskGP(torch.from_numpy(columns), torch.from_numpy(values).unsqueeze(-1), covar_module=kernel)
    model.likelihood.noise = surrogate._noise
    model.mean_module.constant.data.fill_(surrogate._mean)
    model.eval()
    with torch.no_grad():
        theirs = model.posterior(torch.from_numpy(at))
    ours = surrogate.given(columns, values).at(at)
    assert ours.means == pytest.approx(theirs.mean.squeeze(-1).numpy(), abs=1e-6)
    assert ours.deviations == pytest.approx(theirs.variance.sqrt().squeeze(-1).numpy(), rel=1e-4, abs=1e-6)


def test_additive_surrogate_learns_a_sum_from_fewer_points() -> None:
    """25 of the 2**10 corners, of which every two differ in several parameters at once."""
    stream = np.random.default_rng(0)
    corners = stream.integers(0, 2, (225, 10)).astype(np.float64)
    sums = corners @ np.arange(1.0, 11.0)
    points = [
        Candidate(dict(zip("abcdefghij", row, strict=True)), dict.fromkeys("abcdefghij", FloatDistribution(0.0, 1.0)))
        for row in corners.tolist()
    ]
    encoder = Encoder(points)
    missed = []
    for is_additive in (False, True):
        surrogate = Surrogate(encoder, is_additive=is_additive)
        columns = encoder.encode(points)
        surrogate.fit(columns[:25], sums[:25])
        missed.append(np.abs(surrogate.given(columns[:25], sums[:25]).at(columns[25:]).means - sums[25:]).mean())
    assert missed[1] < 0.5 * missed[0]


def test_what_was_told_is_believed_and_far_away_nothing_is_sure() -> None:
    surrogate, columns, values, _ = fitted()
    told = surrogate.given(columns, values).at(columns)
    assert np.abs(told.means - values).max() < 0.5 * values.std()
    far = surrogate.given(columns, values).at(columns + 100.0)
    assert far.deviations == pytest.approx(values.std(ddof=1), rel=0.01)


def test_value_that_varies_is_believed_as_the_textbook_says() -> None:
    """Rasmussen & Williams 2006, eq. 2.25 and 2.26, with a noise of its own for each value; by NumPy's inverse."""
    surrogate, columns, values, at = fitted()
    assert surrogate._kernel is not None
    variances = np.where(np.arange(len(values)) % 2 == 0, 0.3, 0.0)
    center, scale = values.mean(), values.std(ddof=1)

    def covariances(one: Array, other: Array) -> Array:
        assert surrogate._kernel is not None
        told: Array = surrogate._kernel.forward(torch.from_numpy(one), torch.from_numpy(other)).numpy()
        return told

    noise = np.diag(surrogate._noise + variances / scale**2)
    inverse = np.linalg.inv(covariances(columns, columns) + noise)
    across = covariances(columns, at)
    means = surrogate._mean + across.T @ inverse @ ((values - center) / scale - surrogate._mean)
    explained = np.einsum("ni,nm,mi->i", across, inverse, across)
    ours = surrogate.given(columns, values, variances).at(at)
    assert ours.means == pytest.approx(center + scale * means)
    assert ours.deviations == pytest.approx(scale * np.sqrt(1.0 - explained))
    assert np.all(ours.deviations >= surrogate.given(columns, values).at(at).deviations)


def test_expecting_what_is_believed_changes_no_mean_and_is_as_sure_as_if_it_had_been_told() -> None:
    """The deviations of a GP do not depend on the values: any that leave the scale as it is give the same."""
    surrogate, columns, values, at = fitted()
    before = surrogate.given(columns, values)
    after = before.expecting(at[:3])
    assert after.at(at).means == pytest.approx(before.at(at).means)
    all_columns = np.vstack([columns, at[:3]])
    all_values = np.append(values, before.at(at[:3]).means)
    told = surrogate.given(all_columns, all_values)
    assert after.at(at).deviations / after.scale == pytest.approx(told.at(at).deviations / told.scale)
    assert np.all(after.at(at[:3]).deviations < before.at(at[:3]).deviations)


def test_margins_of_a_constraint_keep_their_sign_however_rare_it_is() -> None:
    """Of nine margins one breaks it; an objective's would be drawn up to the others."""
    columns = np.linspace(0.0, 1.0, 9)[:, np.newaxis]
    margins = np.array([1.0, 1.01, 0.99, 1.0, 1.02, 1.0, 0.98, 1.0, -1.0])
    encoder = Encoder([Candidate({"x": 0.5}, {"x": FloatDistribution(0.0, 1.0)})])
    believed = {}
    for draws_up in (True, False):
        surrogate = Surrogate(encoder, draws_up=draws_up)
        surrogate.fit(columns, margins)
        surrogate._noise = 1e-4
        believed[draws_up] = surrogate.given(columns, margins).at(columns[-1:]).means[0]
    assert believed[True] > 0.5
    assert believed[False] < -0.5


def test_where_all_values_are_the_same_they_say_how_large_a_difference_could_be() -> None:
    """A search in which every trial broke the constraint by 2 can still believe that another does not."""
    surrogate, columns, _, _ = fitted()
    far = surrogate.given(columns, np.full(len(columns), -2.0)).at(columns + 100.0)
    assert far.deviations == pytest.approx(2.0, rel=0.01)


def test_surrogate_that_was_never_fitted_is_not_asked() -> None:
    with pytest.raises(RuntimeError, match="never fitted"):
        Surrogate(Encoder(POINTS)).given(np.zeros((1, 5)), np.zeros(1))


def test_values_far_below_the_rest_are_drawn_up_to_three_quartile_ranges() -> None:
    """Median 3, quartiles 2 and 4: nothing below -3."""
    assert draw_up(np.array([-90.0, 2.0, 3.0, 4.0, 5.0])).tolist() == [-3.0, 2.0, 3.0, 4.0, 5.0]
    assert draw_up(np.ones(4)).tolist() == [1.0] * 4
