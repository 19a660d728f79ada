"""Residual networks for small images (He et al., CVPR 2016, "Deep Residual Learning", section 4.2)."""

# Shapes: N batch, C channels, H height, W width.

from itertools import pairwise
from typing import Annotated

from pydantic import Field, validate_call
from torch import Tensor, nn

from trainables.models.staged import (
    STRICT,
    InputShape,
    NumClasses,
    StagedNetwork,
    WidthMultiplier,
    check_image_size,
    convolution,
    initialized,
    normalized,
    of_size,
    scaled,
)

Channels = Annotated[int, Field(ge=1)]
NARROW, FOURFOLD = (16, 16, 32, 64), (32, 64, 128, 256)


class ResidualBlock(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut, then ReLU.

    The shortcut is the identity, or where shapes differ a convolution of 1 x 1: the paper's option B. Its networks for
    CIFAR had option A, without parameters; those of the distillation literature have B (Tian et al., ICLR 2020).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            normalized(convolution(in_channels, out_channels, 3, stride=stride)),
            normalized(convolution(out_channels, out_channels, 3), activation=None),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = normalized(convolution(in_channels, out_channels, 1, stride=stride), activation=None)
        self.relu = nn.ReLU()

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """(N, out_channels, H / stride, W / stride)."""
        sums_NCHW: Tensor = self.relu(self.residual(features_NCHW) + self.shortcut(features_NCHW))
        return sums_NCHW


@validate_call(config=STRICT)
def cifar_resnet(
    *,
    input_shape: InputShape,
    num_classes: NumClasses,
    depth: Annotated[int, Field(ge=8)],
    channels: tuple[Channels, Channels, Channels, Channels] = NARROW,
    width_multiplier: WidthMultiplier = 1.0,
) -> StagedNetwork:
    """Build a residual network of three stages, the second and third at every second place; see `StagedNetwork`.

    Args:
        input_shape: (channels, height, width) of an image, at least 3 x 3.
        num_classes: number of logits.
        depth: layers with weights, shortcuts not counted: 6 n + 2 for n blocks a stage.
        channels: after the first convolution and after each stage.
        width_multiplier: of all channels, above 0.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    return _network("cifar_resnet", input_shape, num_classes, width_multiplier, depth=depth, channels=channels)


def _network(
    name: str,
    input_shape: InputShape,
    num_classes: int,
    width_multiplier: float,
    *,
    depth: int,
    channels: tuple[int, int, int, int] = NARROW,
) -> StagedNetwork:
    if depth % 6 != 2:
        raise ValueError(f'model "{name}": option depth = {depth}: must be 6 n + 2: 8, 14, 20, ...')
    check_image_size(name, input_shape, 3)
    widths = [scaled(each, width_multiplier) for each in channels]
    stages = [
        nn.Sequential(
            ResidualBlock(in_channels, out_channels, stride),
            *(ResidualBlock(out_channels, out_channels, 1) for _ in range(depth // 6 - 1)),
        )
        for (in_channels, out_channels), stride in zip(pairwise(widths), (1, 2, 2), strict=True)
    ]
    stages[0].insert(0, normalized(convolution(input_shape[0], widths[0], 3)))
    return initialized(StagedNetwork(stages, nn.Linear(widths[-1], num_classes)))


resnet8 = of_size(_network, "resnet8", depth=8)
resnet14 = of_size(_network, "resnet14", depth=14)
resnet20 = of_size(_network, "resnet20", depth=20)
resnet32 = of_size(_network, "resnet32", depth=32)
resnet44 = of_size(_network, "resnet44", depth=44)
resnet56 = of_size(_network, "resnet56", depth=56)
resnet110 = of_size(_network, "resnet110", depth=110)
resnet8x4 = of_size(_network, "resnet8x4", depth=8, channels=FOURFOLD)
resnet32x4 = of_size(_network, "resnet32x4", depth=32, channels=FOURFOLD)
