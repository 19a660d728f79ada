"""Networks of stages: convolutions at fewer and fewer places, means of channels, a linear layer; and their parts."""

# Shapes: N batch, C channels (of classes: their number), H height, W width.

from collections.abc import Callable, Sequence
from typing import Annotated, Protocol, final

from pydantic import ConfigDict, Field, validate_call
from torch import Tensor, nn

STRICT = ConfigDict(strict=True)
InputShape = tuple[int, int, int]
NumClasses = Annotated[int, Field(ge=2)]
WidthMultiplier = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


@final
class StagedNetwork(nn.Module):
    """Features `stage1`, `stage2`, ..., all (N, C, H, W); the classifier reads the means of the last one's channels."""

    def __init__(self, stages: Sequence[nn.Module], classifier: nn.Module) -> None:
        super().__init__()
        for number, stage in enumerate(stages, start=1):
            self.add_module(f"stage{number}", stage)
        self.classifier = classifier

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits (N, num_classes)."""
        *stages, classifier = self.children()
        features_NCHW = images_NCHW
        for stage in stages:
            features_NCHW = stage(features_NCHW)
        logits_NC: Tensor = classifier(features_NCHW.mean(dim=(2, 3)))
        return logits_NC


class SizedBuilder(Protocol):
    """What a size's own name in `MODELS` stands for."""

    def __call__(self, *, input_shape: InputShape, num_classes: int, width_multiplier: float = 1.0) -> StagedNetwork:
        """See `of_size`."""


def of_size(network: Callable[..., StagedNetwork], name: str, **size: object) -> SizedBuilder:
    """The builder of one size of a family, whose only option is `width_multiplier`.

    Args:
        network: takes `name`, `input_shape`, `num_classes`, `width_multiplier` and the size, by keyword.
        name: of this size in `MODELS`, for error messages.
        size: what is fixed.
    """

    @validate_call(config=STRICT)
    def build(
        *, input_shape: InputShape, num_classes: NumClasses, width_multiplier: WidthMultiplier = 1.0
    ) -> StagedNetwork:
        return network(
            name=name, input_shape=input_shape, num_classes=num_classes, width_multiplier=width_multiplier, **size
        )

    return build


def scaled(channels: int, multiplier: float) -> int:
    """So many times as many channels, to the nearest whole number, at least 1."""
    return max(1, round(channels * multiplier))


def check_image_size(name: str, input_shape: InputShape, least: int) -> None:
    """Refuse images of which some stage would have nothing left to look at.

    Args:
        name: of the network, for the message.
        input_shape: (channels, height, width) of an image.
        least: height and width that will do: each stage with a stride or a maximum still makes fewer places of more.

    Raises:
        ValueError: the image is smaller.
    """
    _, height, width = input_shape
    if min(height, width) < least:
        raise ValueError(f'model "{name}": images of {height} x {width} are too small: at least {least} x {least}')


def convolution(
    in_channels: int, out_channels: int, size: int, *, stride: int = 1, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """A square convolution that leaves as many places as there are, one in `stride` each way."""
    return nn.Conv2d(in_channels, out_channels, size, stride=stride, padding=size // 2, groups=groups, bias=bias)


def normalized(convolution: nn.Conv2d, activation: Callable[[], nn.Module] | None = nn.ReLU) -> nn.Sequential:
    """A convolution, batch normalisation and, unless None, an activation.

    Activations write nowhere but into their own output: a feature read from before one stays what it was.
    """
    after = [] if activation is None else [activation()]
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), *after)


def initialized(network: StagedNetwork) -> StagedNetwork:
    """The network with each convolution's weights drawn anew, normal of variance ``2 / fan_out``, its biases 0.

    He et al. 2015, "Delving Deep into Rectifiers", section 2.2, with torch's fan out, which counts the channels of all
    groups. Batch normalisation and linear layers stay as torch makes them: 1 and 0; even within ``1 / sqrt(fan in)``.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
