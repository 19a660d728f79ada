"""Networks by name: one file each, one line here."""

from torch import nn

from trainables.config import ModelConfig
from trainables.registry import construct

MODELS = {
    "cnn": "trainables.models.cnn:cnn",
    "mlp": "trainables.models.mlp:mlp",
    "cifar_resnet": "trainables.models.cifar_resnet:cifar_resnet",
    "resnet8": "trainables.models.cifar_resnet:resnet8",
    "resnet14": "trainables.models.cifar_resnet:resnet14",
    "resnet20": "trainables.models.cifar_resnet:resnet20",
    "resnet32": "trainables.models.cifar_resnet:resnet32",
    "resnet44": "trainables.models.cifar_resnet:resnet44",
    "resnet56": "trainables.models.cifar_resnet:resnet56",
    "resnet110": "trainables.models.cifar_resnet:resnet110",
    "resnet8x4": "trainables.models.cifar_resnet:resnet8x4",
    "resnet32x4": "trainables.models.cifar_resnet:resnet32x4",
    "wide_resnet": "trainables.models.wide_resnet:wide_resnet",
    "wrn_16_1": "trainables.models.wide_resnet:wrn_16_1",
    "wrn_16_2": "trainables.models.wide_resnet:wrn_16_2",
    "wrn_40_1": "trainables.models.wide_resnet:wrn_40_1",
    "wrn_40_2": "trainables.models.wide_resnet:wrn_40_2",
    "vgg8": "trainables.models.vgg:vgg8",
    "vgg11": "trainables.models.vgg:vgg11",
    "vgg13": "trainables.models.vgg:vgg13",
    "vgg16": "trainables.models.vgg:vgg16",
    "vgg19": "trainables.models.vgg:vgg19",
    "mobilenet_v2": "trainables.models.mobilenet_v2:mobilenet_v2",
    "shufflenet_v2": "trainables.models.shufflenet_v2:shufflenet_v2",
    "torchvision": "trainables.models.torchvision_classifier:torchvision_classifier",
    "ensemble": "trainables.models.ensemble:ensemble",
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
