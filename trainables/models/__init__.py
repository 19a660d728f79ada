"""Networks by name: one file each, one line here."""

from torch import nn

from trainables.config import ModelConfig
from trainables.registry import construct

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
    model = construct("model", MODELS, config, input_shape=input_shape, num_classes=num_classes)
    if not isinstance(model, nn.Module):
        raise ValueError(f'model "{config.name}" built a {type(model).__name__}: it must build a torch.nn.Module')
    return model


def num_parameters(model: nn.Module) -> int:
    """How many trainable numbers the network has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
