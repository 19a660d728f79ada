"""Networks by name: one file each, one line here."""

from collections.abc import Callable
from typing import cast

from pydantic import ValidationError
from torch import nn

from trainables.config import ModelConfig
from trainables.registry import option_error, resolve

ModelBuilder = Callable[..., nn.Module]

MODELS = {
    "cnn": "trainables.models.cnn:cnn",
    "mlp": "trainables.models.mlp:mlp",
}


def build(config: ModelConfig, *, input_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build a network; its initial weights are drawn from torch's global generator, which the caller seeds.

    Args:
        config: a name from `MODELS`, or one's own function as "package.module:object", and its options. The function is
            called with `input_shape`, `num_classes` and the options, all by keyword, and returns an `nn.Module` that
            takes images (N, C, H, W) to logits (N, num_classes).
        input_shape: (channels, height, width) of one image.
        num_classes: number of logits.

    Raises:
        ValueError: no such network, or an option is unknown, missing or out of range; one line says which.
    """
    builder = cast("ModelBuilder", resolve("model", MODELS, config.name))
    try:
        return builder(input_shape=input_shape, num_classes=num_classes, **config.options)
    except (ValidationError, TypeError) as error:
        raise option_error("model", config.name, config.options, error) from error


def num_parameters(model: nn.Module) -> int:
    """How many trainable numbers the network has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
