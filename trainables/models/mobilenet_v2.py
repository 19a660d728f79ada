"""MobileNetV2 (Sandler et al., CVPR 2018) for small images: inverted residuals with linear bottlenecks."""

# Shapes: N batch, C channels, H height, W width.

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

# By stage: (expansion, channels, blocks, stride of the first), the paper's table 2. Strides are those for images of
# 32 x 32, where the distillation literature lets the second row keep its places.
STAGES = (
    ((1, 16, 1, 1),),
    ((6, 24, 2, 1),),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)
STEM_CHANNELS, LAST_CHANNELS = 32, 1280


class InvertedResidual(nn.Module):
    """Wide, in each channel by itself, and narrow again without an activation; beside the identity where it fits."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.residual = nn.Sequential(
            normalized(convolution(in_channels, hidden, 1), nn.ReLU6),
            normalized(convolution(hidden, hidden, 3, stride=stride, groups=hidden), nn.ReLU6),
            normalized(convolution(hidden, out_channels, 1), activation=None),
        )
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """(N, out_channels, H / stride, W / stride)."""
        residual_NCHW: Tensor = self.residual(features_NCHW)
        return features_NCHW + residual_NCHW if self.has_shortcut else residual_NCHW


def _network(name: str, input_shape: InputShape, num_classes: int, width_multiplier: float) -> StagedNetwork:
    """Five stages; the classifier reads the 1280 channels after the last, which only a multiplier above 1 changes.

    A multiplier of 0.5 gives what the literature of distillation calls MobileNetV2. As there, the first block too
    has its convolution of 1 x 1, though it does not expand.

    Raises:
        ValueError: the images are smaller than 9 x 9.
    """
    check_image_size(name, input_shape, 9)
    channels = scaled(STEM_CHANNELS, width_multiplier)
    stages = []
    before: list[nn.Module] = [normalized(convolution(input_shape[0], channels, 3, stride=2), nn.ReLU6)]
    for rows in STAGES:
        blocks = []
        for expansion, unscaled, num_blocks, first_stride in rows:
            out_channels = scaled(unscaled, width_multiplier)
            for stride in (first_stride, *[1] * (num_blocks - 1)):
                blocks.append(InvertedResidual(channels, out_channels, stride, expansion))
                channels = out_channels
        stages.append(nn.Sequential(*before, *blocks))
        before = []
    last_channels = scaled(LAST_CHANNELS, max(1.0, width_multiplier))
    stages[-1].append(normalized(convolution(channels, last_channels, 1), nn.ReLU6))
    return initialized(StagedNetwork(stages, nn.Linear(last_channels, num_classes)))


mobilenet_v2 = of_size(_network, "mobilenet_v2")
