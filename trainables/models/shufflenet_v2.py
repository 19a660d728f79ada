"""ShuffleNetV2 (Ma et al., ECCV 2018) for small images: half of the channels pass, then both halves are interleaved."""

# Shapes: N batch, C channels, H height, W width.

import torch
from torch import Tensor, nn

from trainables.models.staged import (
    InputShape,
    StagedNetwork,
    check_image_size,
    convolution,
    initialized,
    normalized,
    of_size,
    scaled,
)

# Half of each stage's channels, and its units after the first: the paper's table 5, 1x.
HALVES, NUM_UNITS = (58, 116, 232), (3, 7, 3)
STEM_CHANNELS, LAST_CHANNELS = 24, 1024


def interleaved(first_NCHW: Tensor, second_NCHW: Tensor) -> Tensor:
    """Channels of both in turn, (N, 2 C, H, W): what concatenation and a shuffle of two groups give.

    Written so that the result lies channels last; the usual way by `view` and `transpose` would leave it channels
    first, and each convolution after it would copy.
    """
    pairs = torch.stack((first_NCHW.permute(0, 2, 3, 1), second_NCHW.permute(0, 2, 3, 1)), dim=4)
    return pairs.flatten(3).permute(0, 3, 1, 2)


class Unit(nn.Module):
    """Half of the channels as they are beside half through three convolutions (figure 3c)."""

    def __init__(self, half: int) -> None:
        super().__init__()
        self.branch = _branch(half, half, stride=1)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """As many channels and places."""
        passed_NCHW, changed_NCHW = features_NCHW.chunk(2, dim=1)
        return interleaved(passed_NCHW, self.branch(changed_NCHW))


class HalvingUnit(nn.Module):
    """All channels through either of two branches, at every second place (figure 3d)."""

    def __init__(self, in_channels: int, half: int) -> None:
        super().__init__()
        self.short_branch = nn.Sequential(
            normalized(convolution(in_channels, in_channels, 3, stride=2, groups=in_channels), activation=None),
            normalized(convolution(in_channels, half, 1)),
        )
        self.branch = _branch(in_channels, half, stride=2)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """(N, 2 half, H / 2, W / 2)."""
        return interleaved(self.short_branch(features_NCHW), self.branch(features_NCHW))


def _branch(in_channels: int, half: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        normalized(convolution(in_channels, half, 1)),
        normalized(convolution(half, half, 3, stride=stride, groups=half), activation=None),
        normalized(convolution(half, half, 1)),
    )


def _network(name: str, input_shape: InputShape, num_classes: int, width_multiplier: float) -> StagedNetwork:
    """Three stages; the classifier reads the 1024 channels after the last, which only a multiplier above 1 changes.

    As in the literature of distillation, the first convolution is of 1 x 1 and no maximum follows it. Stages have an
    even number of channels at any multiplier; the paper's sizes other than 1x are not multiples of it.

    Raises:
        ValueError: the images are smaller than 5 x 5.
    """
    check_image_size(name, input_shape, 5)
    channels = scaled(STEM_CHANNELS, width_multiplier)
    stages = []
    before: list[nn.Module] = [normalized(convolution(input_shape[0], channels, 1))]
    for unscaled, num_units in zip(HALVES, NUM_UNITS, strict=True):
        half = scaled(unscaled, width_multiplier)
        units = [HalvingUnit(channels, half), *(Unit(half) for _ in range(num_units))]
        stages.append(nn.Sequential(*before, *units))
        channels, before = 2 * half, []
    last_channels = scaled(LAST_CHANNELS, max(1.0, width_multiplier))
    stages[-1].append(normalized(convolution(channels, last_channels, 1)))
    return initialized(StagedNetwork(stages, nn.Linear(last_channels, num_classes)))


shufflenet_v2 = of_size(_network, "shufflenet_v2")
