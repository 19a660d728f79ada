"""VGG (Simonyan & Zisserman, ICLR 2015) for small images: batch normalisation, one linear layer after the means."""

from itertools import pairwise

from torch import nn

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

# By depth, three linear layers counted as in the paper (table 1: A, B, D, E); 8 is the distillation literature's own.
CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
CHANNELS = (64, 128, 256, 512, 512)
# From this size on, the fifth stage too halves its images: it is left with 4 x 4 places of 32 x 32 and 64 x 64.
LARGE = 64


def _network(
    name: str, input_shape: InputShape, num_classes: int, width_multiplier: float, *, depth: int
) -> StagedNetwork:
    """Five stages of 3 x 3 convolutions; each but the first begins with a 2 x 2 maximum.

    A stage's features are those after its last ReLU, before the next maximum. Convolutions have biases, which
    normalisation makes idle: the published counts hold them.

    Raises:
        ValueError: the images are smaller than 8 x 8.
    """
    check_image_size(name, input_shape, 8)
    widths = [input_shape[0], *(scaled(each, width_multiplier) for each in CHANNELS)]
    stages = []
    for (in_channels, out_channels), count in zip(pairwise(widths), CONVOLUTIONS[depth], strict=True):
        inputs = [in_channels, *[out_channels] * (count - 1)]
        stages.append(nn.Sequential(*(normalized(convolution(each, out_channels, 3, bias=True)) for each in inputs)))
    halved = stages[1:] if min(input_shape[1:]) >= LARGE else stages[1:4]
    for stage in halved:
        stage.insert(0, nn.MaxPool2d(2))
    return initialized(StagedNetwork(stages, nn.Linear(widths[-1], num_classes)))


vgg8 = of_size(_network, "vgg8", depth=8)
vgg11 = of_size(_network, "vgg11", depth=11)
vgg13 = of_size(_network, "vgg13", depth=13)
vgg16 = of_size(_network, "vgg16", depth=16)
vgg19 = of_size(_network, "vgg19", depth=19)
