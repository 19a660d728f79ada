"""Several networks as one: the mean of their probabilities."""

import pytest
import torch

from trainables.config import ModelConfig
from trainables.models import build
from trainables.models.ensemble import Ensemble

SHAPE = (1, 8, 8)


def ensemble(num_members: int, **options: int) -> Ensemble:
    config = ModelConfig(name="ensemble", options={"of": "cnn", "num_members": num_members, "width": 2, **options})
    network = build(config, input_shape=SHAPE, num_classes=3)
    assert isinstance(network, Ensemble)
    return network.eval()


def test_probabilities_are_the_mean_of_the_members() -> None:
    network = ensemble(3)
    images = torch.randn(5, *SHAPE)
    mean = torch.stack([member(images).double().softmax(1) for member in network.members]).mean(0)
    assert torch.allclose(network(images).double().softmax(1), mean, atol=1e-6)
    assert torch.allclose(network(images).exp().sum(1), torch.ones(5), atol=1e-6)


def test_one_member_predicts_as_by_itself() -> None:
    network = ensemble(1)
    images = torch.randn(5, *SHAPE)
    alone = network.members[0](images)
    assert torch.allclose(network(images).softmax(1), alone.softmax(1), atol=1e-6)


def test_members_differ_at_their_start() -> None:
    first, second = ensemble(2).members
    assert not torch.equal(next(first.parameters()), next(second.parameters()))


def test_extreme_logits_of_a_member_stay_finite() -> None:
    network = ensemble(2)
    with torch.no_grad():
        next(network.members[0].parameters()).mul_(1e20)
    assert torch.isfinite(network(torch.randn(5, *SHAPE))).all()


def test_options_are_the_members_own() -> None:
    config = ModelConfig(name="ensemble", options={"of": "cnn", "num_members": 2, "depth": 3})
    with pytest.raises(ValueError, match=r'model "cnn": there is no option depth = 3; allowed are width'):
        build(config, input_shape=SHAPE, num_classes=3)
