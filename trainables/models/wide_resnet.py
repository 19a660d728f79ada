"""Wide residual networks (Zagoruyko & Komodakis, BMVC 2016), wrn_40_2 and its kin: depth 40, twice as wide."""

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
    of_size,
    scaled,
)


class PreActivationBlock(nn.Module):
    """Normalisation, ReLU and a convolution of 3 x 3, twice, beside a shortcut; nothing after the sum.

    Where shapes differ the shortcut is a convolution of 1 x 1 of what has been normalised.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.residual = nn.Sequential(
            convolution(in_channels, out_channels, 3, stride=stride),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            convolution(out_channels, out_channels, 3),
        )
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = convolution(in_channels, out_channels, 1, stride=stride)

    def forward(self, features_NCHW: Tensor) -> Tensor:
        """(N, out_channels, H / stride, W / stride)."""
        before_NCHW = self.before(features_NCHW)
        shortcut_NCHW = features_NCHW if self.shortcut is None else self.shortcut(before_NCHW)
        sums_NCHW: Tensor = self.residual(before_NCHW) + shortcut_NCHW
        return sums_NCHW


@validate_call(config=STRICT)
def wide_resnet(
    *,
    input_shape: InputShape,
    num_classes: NumClasses,
    depth: Annotated[int, Field(ge=10)],
    widen_factor: Annotated[int, Field(ge=1)],
    width_multiplier: WidthMultiplier = 1.0,
) -> StagedNetwork:
    """Build a wide residual network of three stages, without dropout; see `StagedNetwork`.

    The first two stages' features are sums, as attention transfer reads them; the third's are normalised and through
    ReLU, which is what the classifier reads.

    Args:
        input_shape: (channels, height, width) of an image, at least 3 x 3.
        num_classes: number of logits.
        depth: convolutions, those of shortcuts counted: 6 n + 4 for n blocks a stage.
        widen_factor: channels of the stages, in 16, 32 and 64; the first convolution has 16 at any.
        width_multiplier: of all channels, above 0.

    Raises:
        ValueError: an argument is out of range, or the images are too small.
    """
    return _network("wide_resnet", input_shape, num_classes, width_multiplier, depth=depth, widen_factor=widen_factor)


def _network(
    name: str, input_shape: InputShape, num_classes: int, width_multiplier: float, *, depth: int, widen_factor: int
) -> StagedNetwork:
    if depth % 6 != 4:
        raise ValueError(f'model "{name}": option depth = {depth}: must be 6 n + 4: 10, 16, 22, ...')
    check_image_size(name, input_shape, 3)
    channels = (16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor)
    widths = [scaled(each, width_multiplier) for each in channels]
    stages = [
        nn.Sequential(
            PreActivationBlock(in_channels, out_channels, stride),
            *(PreActivationBlock(out_channels, out_channels, 1) for _ in range(depth // 6 - 1)),
        )
        for (in_channels, out_channels), stride in zip(pairwise(widths), (1, 2, 2), strict=True)
    ]
    stages[0].insert(0, convolution(input_shape[0], widths[0], 3))
    stages[-1].extend([nn.BatchNorm2d(widths[-1]), nn.ReLU()])
    return initialized(StagedNetwork(stages, nn.Linear(widths[-1], num_classes)))


wrn_16_1 = of_size(_network, "wrn_16_1", depth=16, widen_factor=1)
wrn_16_2 = of_size(_network, "wrn_16_2", depth=16, widen_factor=2)
wrn_40_1 = of_size(_network, "wrn_40_1", depth=40, widen_factor=1)
wrn_40_2 = of_size(_network, "wrn_40_2", depth=40, widen_factor=2)
