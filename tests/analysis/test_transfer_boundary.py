"""Distance and direction to the decision boundary, exact for linear classifiers."""

import pytest
import torch
from torch import Tensor, nn

from analysis.transfer_boundary import boundary_distances, likeliest_pairs, margins_and_gradients, mean_cosine

NUM_FEATURES = 12


class Linear(nn.Module):
    def __init__(self, weights: Tensor, bias_C: Tensor) -> None:
        super().__init__()
        self.weights, self.bias_C = weights, bias_C

    def forward(self, images_NCHW: Tensor) -> Tensor:
        return images_NCHW.flatten(1) @ self.weights.T + self.bias_C


class Curved(nn.Module):
    """Two classes; the boundary is the sphere of radius 2 around 0."""

    def forward(self, images_NCHW: Tensor) -> Tensor:
        square_N = images_NCHW.flatten(1).square().sum(dim=1)
        return torch.stack([4.0 - square_N, torch.zeros_like(square_N)], dim=1)


class Constant(nn.Module):
    def forward(self, images_NCHW: Tensor) -> Tensor:
        return 0.0 * images_NCHW.flatten(1)[:, :2] + torch.tensor([1.0, 0.0])


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(seed: int) -> Linear:
    return Linear(normal(4, NUM_FEATURES, seed=seed), normal(4, seed=seed + 1))


def images(num: int, seed: int = 5) -> Tensor:
    return normal(num, 3, 2, 2, seed=seed)


def test_pairs_are_the_likeliest_class_and_the_runner_up() -> None:
    assert likeliest_pairs(torch.tensor([[0.1, 3.0, 2.0], [5.0, 1.0, 4.0]])).tolist() == [[1, 2], [0, 2]]


def test_distance_of_a_linear_classifier_is_exact() -> None:
    """Margin over the length of the weights' difference, for more images than one batch holds."""
    network, images_NCHW = linear(0), images(300)
    logits_NC = network(images_NCHW)
    pairs_N2 = likeliest_pairs(logits_NC)
    top_N, runner_up_N = pairs_N2.T
    rows = torch.arange(300)
    normal_ND = network.weights[top_N] - network.weights[runner_up_N]
    expected_N = (logits_NC[rows, top_N] - logits_NC[rows, runner_up_N]) / normal_ND.norm(dim=1)
    torch.testing.assert_close(boundary_distances(network, images_NCHW, pairs_N2), expected_N)


def test_moving_an_image_along_the_boundary_does_not_change_its_distance() -> None:
    network, images_NCHW = linear(0), images(8)
    pairs_N2 = likeliest_pairs(network(images_NCHW))
    normal_ND = network.weights[pairs_N2[:, 0]] - network.weights[pairs_N2[:, 1]]
    aside_ND = normal(8, NUM_FEATURES, seed=9)
    aside_ND -= (aside_ND * normal_ND).sum(1, keepdim=True) / normal_ND.square().sum(1, keepdim=True) * normal_ND
    before_N = boundary_distances(network, images_NCHW, pairs_N2)
    moved_NCHW = images_NCHW + aside_ND.view_as(images_NCHW)
    torch.testing.assert_close(boundary_distances(network, moved_NCHW, pairs_N2), before_N)


def test_distance_to_a_sphere_is_found_step_by_step() -> None:
    """From radius r it is |2 - r|: the first linear step alone would be (4 - r^2) / (2 r), too long from within."""
    directions_ND = torch.nn.functional.normalize(normal(3, NUM_FEATURES, seed=2))
    radii_N = torch.tensor([1.0, 0.5, 3.0], dtype=torch.float64)
    images_NCHW = (radii_N[:, None] * directions_ND).view(3, 3, 2, 2)
    pairs_N2 = torch.tensor([[0, 1]]).expand(3, 2)
    found_N = boundary_distances(Curved(), images_NCHW, pairs_N2)
    torch.testing.assert_close(found_N, (2.0 - radii_N).abs(), rtol=1e-3, atol=1e-3)


def test_image_on_the_boundary_is_at_no_distance() -> None:
    images_NCHW = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
    network = Linear(normal(2, NUM_FEATURES, seed=1), torch.zeros(2, dtype=torch.float64))
    assert boundary_distances(network, images_NCHW, torch.tensor([[0, 1]])).tolist() == [0.0]


def test_network_without_a_boundary_has_no_distance() -> None:
    found_N = boundary_distances(Constant(), images(2).float(), torch.tensor([[0, 1], [0, 1]]))
    assert found_N.isnan().all()


def test_gradients_of_a_linear_classifier_are_its_weights() -> None:
    network, pairs_N2 = linear(0), torch.tensor([[2, 0], [1, 3]])
    margins_N, gradients_NCHW = margins_and_gradients(network, images(2), pairs_N2)
    expected_ND = network.weights[pairs_N2[:, 0]] - network.weights[pairs_N2[:, 1]]
    torch.testing.assert_close(gradients_NCHW.flatten(1), expected_ND)
    logits_NC = network(images(2))
    torch.testing.assert_close(margins_N, logits_NC.gather(1, pairs_N2) @ torch.tensor([1.0, -1.0]).double())


def test_cosine_of_directions_is_a_mean_over_images_that_have_both() -> None:
    first_NCHW = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]).view(3, 1, 1, 2)
    second_NCHW = torch.tensor([[1.0, 1.0], [0.0, -3.0], [1.0, 0.0]]).view(3, 1, 1, 2)
    assert mean_cosine(first_NCHW, second_NCHW) == pytest.approx((0.5**0.5 - 1.0) / 2)
    assert mean_cosine(torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2)) is None
