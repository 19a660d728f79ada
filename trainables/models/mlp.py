"""Fully connected ReLU networks, those of Hinton et al. 2015, section 3, among them."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import ConfigDict, Field, validate_call
from torch import nn

DropFraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class FullyConnectedNetwork(nn.Sequential):
    """Layers of a linear map, ReLU and dropout, then one linear layer; features `hidden1`, `hidden2`, ..."""

    def __init__(self, sizes: Sequence[int], num_classes: int, dropout: float, input_dropout: float) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["pixels"] = nn.Sequential(nn.Flatten(), *_dropout(input_dropout))
        for number, (in_size, out_size) in enumerate(pairwise(sizes), start=1):
            layers[f"hidden{number}"] = nn.Sequential(nn.Linear(in_size, out_size), nn.ReLU(), *_dropout(dropout))
        layers["classifier"] = nn.Linear(sizes[-1], num_classes)
        super().__init__(layers)


@validate_call(config=ConfigDict(strict=True))
def mlp(
    *,
    input_shape: tuple[int, int, int],
    num_classes: Annotated[int, Field(ge=2)],
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)],
    dropout: DropFraction = 0.0,
    input_dropout: DropFraction = 0.0,
) -> FullyConnectedNetwork:
    """Build a `FullyConnectedNetwork`.

    Args:
        input_shape: (channels, height, width) of an image.
        num_classes: number of logits.
        hidden: units of each hidden layer, one layer at least.
        dropout: fraction of each hidden layer's units set to zero in training.
        input_dropout: fraction of the pixels set to zero in training.

    Raises:
        ValueError: an argument is out of range.
    """
    return FullyConnectedNetwork([math.prod(input_shape), *hidden], num_classes, dropout, input_dropout)


def _dropout(fraction: float) -> list[nn.Module]:
    return [nn.Dropout(fraction)] if fraction else []
