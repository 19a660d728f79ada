"""Boundary-supporting samples against the geometry of linear networks, and which of them are used."""

# Shapes: N batch, C classes, D pixels.

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.trainables.losses.batches import IMAGE_SHAPE, NUM_CLASSES, LinearNetwork, batch, method, term, value_of
from trainables.losses.boundary import boundary_samples
from trainables.losses.distillation_loss import Networks
from trainables.losses.hinton_kd import soft_target_kl

SEEDS = st.integers(0, 2**31)


def linear_case(seed: int) -> tuple[LinearNetwork, Tensor, Tensor, Tensor]:
    """A linear network, images, the class that it gives each, and its second choice."""
    stream = torch.Generator().manual_seed(seed)
    network = LinearNetwork(torch.randn(NUM_CLASSES, 16, generator=stream))
    images_NCHW = torch.randn(6, *IMAGE_SHAPE, generator=stream)
    first_two_N2 = network(images_NCHW).topk(2, dim=1).indices
    return network, images_NCHW, first_two_N2[:, 0], first_two_N2[:, 1]


@given(SEEDS)
def test_sample_of_a_linear_network_is_just_past_the_foot_of_the_perpendicular(seed: int) -> None:
    """x - s w / |w|^2, w = w_from - w_to, s = w . x, is on the boundary and nearest; a fiftieth further it is over."""
    network, images_NCHW, from_N, to_N = linear_case(seed)
    samples, _ = boundary_samples(network, images_NCHW, from_N, to_N, num_steps=1)
    normals_ND = (network.weight[from_N] - network.weight[to_N]).detach()
    gaps_N = (normals_ND * images_NCHW.flatten(1)).sum(dim=1)
    strides_N = (gaps_N + (0.02 * gaps_N).clamp(min=1e-3)) / normals_ND.square().sum(dim=1)
    expected_ND = images_NCHW.flatten(1) - strides_N.unsqueeze(1) * normals_ND
    assert torch.allclose(samples.flatten(1), expected_ND, atol=1e-4)


@given(SEEDS)
def test_sample_that_counts_is_answered_with_the_class_it_was_pushed_to(seed: int) -> None:
    network, images_NCHW, from_N, to_N = linear_case(seed)
    samples, is_over_N = boundary_samples(network, images_NCHW, from_N, to_N, num_steps=10)
    answers_N = network(samples).argmax(dim=1)
    assert torch.equal(answers_N == to_N, is_over_N)


def curved_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 30), nn.Tanh(), nn.Linear(30, NUM_CLASSES))


def test_samples_of_a_curved_network_lie_closer_to_the_boundary_than_the_images() -> None:
    network = curved_network()
    images_NCHW = 2 * torch.randn(64, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(1))
    logits_NC = network(images_NCHW).detach()
    from_N, to_N = logits_NC.topk(2, dim=1).indices.T
    samples, is_over_N = boundary_samples(network, images_NCHW, from_N, to_N, num_steps=10)

    def gaps(images: Tensor) -> Tensor:
        logits_NC = network(images).detach()
        rows = torch.arange(len(images))
        gaps_N: Tensor = logits_NC[rows, from_N] - logits_NC[rows, to_N]
        return gaps_N[is_over_N]

    assert is_over_N.float().mean() > 0.8
    assert bool((gaps(samples) < 0.0).all())
    assert gaps(samples).abs().mean() < 0.2 * gaps(images_NCHW).mean()


def test_image_that_is_over_already_stays_where_it_is() -> None:
    network, images_NCHW, from_N, to_N = linear_case(0)
    samples, is_over_N = boundary_samples(network, images_NCHW, to_N, from_N, num_steps=10)
    assert torch.equal(samples, images_NCHW)
    assert bool(is_over_N.all())


def test_fewer_steps_bring_fewer_images_over() -> None:
    network = curved_network()
    images_NCHW = 3 * torch.randn(64, *IMAGE_SHAPE, generator=torch.Generator().manual_seed(1))
    from_N, to_N = network(images_NCHW).topk(2, dim=1).indices.T
    numbers = [
        int(boundary_samples(network, images_NCHW, from_N, to_N, num_steps=steps)[1].sum()) for steps in (1, 2, 10)
    ]
    assert numbers[0] < numbers[1] <= numbers[2]


def test_loss_is_the_divergence_on_samples_that_came_over_alone() -> None:
    """With two steps, one that counts is told from one that does not by the teacher's own answer."""
    given_batch, seen = batch(16, seed=3), []

    def teacher(images_NCHW: Tensor) -> Tensor:
        seen.append(images_NCHW.detach().clone())
        logits_NC: Tensor = given_batch.teacher(images_NCHW)
        return logits_NC

    step = replace(given_batch.step, networks=Networks(given_batch.student, teacher))
    value = value_of(term(method("boundary")), step)
    compared, pushed = seen[-1], seen[-2]
    assert 0 < len(compared) < len(pushed) <= 16
    expected = soft_target_kl(given_batch.student(compared), given_batch.teacher(compared), temperature=3.0) / 9
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("wrong", ["student", "teacher"])
def test_images_that_a_network_gets_wrong_are_not_pushed(wrong: str) -> None:
    given_batch = batch(16)
    network = getattr(given_batch.step, wrong)
    network.logits_NC.data.neg_()
    value = value_of(term(method("boundary")), given_batch.step)
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0.0


def test_no_more_images_are_pushed_than_asked_for() -> None:
    given_batch, numbers = batch(16), []

    def teacher(images_NCHW: Tensor) -> Tensor:
        numbers.append(len(images_NCHW))
        logits_NC: Tensor = given_batch.teacher(images_NCHW)
        return logits_NC

    step = replace(given_batch.step, networks=Networks(given_batch.student, teacher))
    value_of(term(method("boundary", num_samples=3)), step)
    assert max(numbers) == 3
