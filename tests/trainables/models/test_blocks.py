"""Blocks of the convolutional networks, held against torchvision's of the same papers, or against plain arithmetic."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenetv2, resnet, shufflenetv2, vgg

from trainables.models.cifar_resnet import ResidualBlock
from trainables.models.mobilenet_v2 import InvertedResidual
from trainables.models.shufflenet_v2 import HalvingUnit, Unit, interleaved
from trainables.models.vgg import vgg11
from trainables.models.wide_resnet import PreActivationBlock


def same_weights(ours: nn.Module, its: nn.Module) -> None:
    """Random ones, in the order in which both have them."""
    torch.manual_seed(0)
    state = its.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            state[name] = torch.rand_like(value) + 0.5 if value.ndim == 1 else torch.randn_like(value) / 8
    its.load_state_dict(state)
    ours.load_state_dict(dict(zip(ours.state_dict(), state.values(), strict=True)))
    ours.eval()
    its.eval()


def downsample(in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


def blocks() -> dict[str, tuple[nn.Module, nn.Module]]:
    return {
        "residual": (ResidualBlock(8, 8, 1), resnet.BasicBlock(8, 8)),
        "residual, halving": (ResidualBlock(8, 12, 2), resnet.BasicBlock(8, 12, 2, downsample(8, 12, 2))),
        "residual, widening": (ResidualBlock(8, 12, 1), resnet.BasicBlock(8, 12, 1, downsample(8, 12, 1))),
        "inverted": (InvertedResidual(8, 8, 1, 6), mobilenetv2.InvertedResidual(8, 8, 1, 6)),
        "inverted, halving": (InvertedResidual(8, 8, 2, 6), mobilenetv2.InvertedResidual(8, 8, 2, 6)),
        "inverted, widening": (InvertedResidual(8, 12, 1, 6), mobilenetv2.InvertedResidual(8, 12, 1, 6)),
        "shuffled": (Unit(4), shufflenetv2.InvertedResidual(8, 8, 1)),
        "shuffled, halving": (HalvingUnit(8, 10), shufflenetv2.InvertedResidual(8, 20, 2)),
    }


@pytest.mark.parametrize("name", blocks())
def test_a_block_is_that_of_torchvision(name: str) -> None:
    ours, its = blocks()[name]
    same_weights(ours, its)
    features = torch.randn(2, 8, 9, 7)
    torch.testing.assert_close(ours(features), its(features.clone()))


def test_four_stages_of_vgg11_are_those_of_torchvision() -> None:
    ours = nn.Sequential(*list(vgg11(input_shape=(3, 32, 32), num_classes=5, width_multiplier=1.0).children())[:4])
    its = vgg.make_layers(vgg.cfgs["A"], batch_norm=True)[:21]
    same_weights(ours, its)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(ours(images), its(images.clone()))


@pytest.mark.parametrize(("out_channels", "stride"), [(8, 1), (12, 1), (8, 2)])
def test_a_pre_activation_block_is_what_its_paper_draws(out_channels: int, stride: int) -> None:
    torch.manual_seed(0)
    block, features = PreActivationBlock(8, out_channels, stride), torch.randn(4, 8, 9, 7)
    weights = dict(block.named_parameters())
    before = F.relu(standardized(features))
    hidden = F.conv2d(before, weights["residual.0.weight"], stride=stride, padding=1)
    expected = F.conv2d(F.relu(standardized(hidden)), weights["residual.3.weight"], padding=1)
    if (out_channels, stride) == (8, 1):
        assert "shortcut.weight" not in weights
        expected = expected + features
    else:
        expected = expected + F.conv2d(before, weights["shortcut.weight"], stride=stride)
    torch.testing.assert_close(block.train()(features), expected)


def standardized(features_NCHW: Tensor) -> Tensor:
    variance, mean = torch.var_mean(features_NCHW, dim=(0, 2, 3), correction=0, keepdim=True)
    return (features_NCHW - mean) / (variance + 1e-5).sqrt()


def test_interleaving_is_concatenation_and_a_shuffle_of_two_groups() -> None:
    first, second = torch.randn(2, 2, 3, 4, 5)
    expected = F.channel_shuffle(torch.cat((first, second), dim=1), 2)
    assert torch.equal(interleaved(first, second), expected)
