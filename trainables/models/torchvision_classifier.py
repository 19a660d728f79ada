"""Any of torchvision's classifiers by name, its ImageNet weights and a stem for small images on request."""

# Shapes: N batch, H height, W width.

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, final
from urllib.parse import urlparse

import torch
from pydantic import Field, validate_call
from torch import Tensor, nn
from torchvision import models

from trainables.models.staged import STRICT, InputShape, NumClasses, StagedNetwork, check_image_size

# torchvision's module of a family: its trunk's modules by stage; the means of its last channels go to `fc`.
STAGES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "resnet": (("conv1", "bn1", "relu", "maxpool", "layer1"), ("layer2",), ("layer3",), ("layer4",)),
    "shufflenetv2": (("conv1", "maxpool", "stage2"), ("stage3",), ("stage4", "conv5")),
    "regnet": (
        ("stem", "trunk_output.block1"),
        ("trunk_output.block2",),
        ("trunk_output.block3",),
        ("trunk_output.block4",),
    ),
}
# Families with classifiers beside the last one, and the name of those.
AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception": ("AuxLogits",)}


@final
class BackboneNetwork(nn.Module):
    """A network of no stages of its own: feature `backbone`, or dotted paths below it by torchvision's own names."""

    def __init__(self, backbone: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits (N, num_classes)."""
        logits_NC: Tensor = self.classifier(self.backbone(images_NCHW))
        return logits_NC


@validate_call(config=STRICT)
def torchvision_classifier(
    *,
    input_shape: InputShape,
    num_classes: NumClasses,
    architecture: str,
    weights: Annotated[str, Field(min_length=1)] | None = None,
    small_images: bool = False,
) -> StagedNetwork | BackboneNetwork:
    """Build a classifier of torchvision; of ResNets, RegNets and ShuffleNets the features are `stage1`, `stage2`, ...

    Its other features go by torchvision's names, "backbone.features.3". Auxiliary classifiers are left out.

    Args:
        input_shape: (channels, height, width) of an image. Where there are no weights, any number of channels; else 3,
            or 1, for which the first convolution's kernels are added up, as if the image came three times (but for
            GoogLeNet and Inception, whose weights want 3).
        num_classes: number of logits; where the weights have another, the last layer is drawn anew.
        architecture: "resnet18", "efficientnet_b0", ...: a name in `torchvision.models.list_models(models)`.
        weights: "DEFAULT" or a name in the architecture's weights, such as "IMAGENET1K_V2"; None: drawn anew.
        small_images: for images of some 32 x 32, a ResNet begins with a convolution of 3 x 3 at every place, drawn
            anew, and without a maximum.

    Raises:
        ValueError: an option is not allowed, there is no stem for small images in the family, the weights are not there
            and cannot be fetched, or the network cannot do with the images.
    """
    if architecture not in models.list_models(module=models):
        allowed = ", ".join(models.list_models(module=models))
        raise ValueError(f"{_option('architecture', architecture)}: allowed are {allowed}")
    family = models.get_model_builder(architecture).__module__.rpartition(".")[2]
    if small_images and family != "resnet":
        raise ValueError(
            f"{_option('small_images', small_images)}: {architecture} has no stem for small images; "
            "the networks of torchvision that have are resnet*, resnext* and wide_resnet*"
        )
    network = _built(architecture, family, num_classes, weights)
    _set_image_channels(network, input_shape[0], is_pretrained=weights is not None)
    if small_images:
        _set_small_stem(network)
    _set_num_classes(network, num_classes)
    if family in STAGES:
        check_image_size("torchvision", input_shape, 5 if small_images else 17)
        staged = [_joined([network.get_submodule(name) for name in stage]) for stage in STAGES[family]]
        return StagedNetwork(staged, network.fc)
    divided = _divided(network)
    _check_images(divided, architecture, input_shape)
    return divided


def _option(name: str, value: object) -> str:
    return f'model "torchvision": option {name} = {value!r}'


def _built(architecture: str, family: str, num_classes: int, weights: str | None) -> Any:  # torchvision has no types
    """With as many classes as the weights have, where there are some."""
    if weights is not None:
        network = _pretrained(architecture, weights)
    elif family in AUXILIARY:
        network = models.get_model(architecture, num_classes=num_classes, aux_logits=False, init_weights=True)
    else:
        network = models.get_model(architecture, num_classes=num_classes)
    if family in AUXILIARY:
        network.aux_logits = False
        for name in AUXILIARY[family]:
            setattr(network, name, None)
    return network


def _pretrained(architecture: str, weights: str) -> Any:
    known = models.get_model_weights(architecture)
    if weights not in known.__members__:
        allowed = ", ".join(known.__members__)
        raise ValueError(f"{_option('weights', weights)}: {architecture} has {allowed}")
    entry = known[weights]
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(entry.url).path).name
    try:
        entry.get_state_dict(progress=False, check_hash=True, weights_only=True)  # no code is run that it may hold
        return models.get_model(architecture, weights=entry, progress=False)
    except OSError as error:  # urllib's errors are such
        raise ValueError(
            f"{_option('weights', weights)}: cannot be fetched ({error}); put {entry.url} at {file}"
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{_option('weights', weights)}: {file} does not hold the weights of {architecture} ({reason}); "
            f"put {entry.url} there"
        ) from error


def _set_image_channels(network: nn.Module, channels: int, *, is_pretrained: bool) -> None:
    """Let the first convolution take so many channels."""
    name, first = next((name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d))
    if channels == first.in_channels:
        return
    reads_colours = getattr(network, "transform_input", False)  # GoogLeNet's and Inception's weights: each by itself
    if is_pretrained and (channels != 1 or reads_colours):
        allowed = "3" if reads_colours else "3 or 1"
        raise ValueError(f'model "torchvision": images of {channels} channels: weights are for those of {allowed}')
    convolution = _like(first, in_channels=channels)
    if is_pretrained:
        with torch.no_grad():
            convolution.weight.copy_(first.weight.sum(dim=1, keepdim=True))
            if convolution.bias is not None and first.bias is not None:
                convolution.bias.copy_(first.bias)
    network.set_submodule(name, convolution)


def _set_small_stem(network: Any) -> None:
    network.conv1 = _like(network.conv1, kernel_size=3, stride=1, padding=1)
    network.maxpool = nn.Identity()


def _like(convolution: nn.Conv2d, **changes: int) -> nn.Conv2d:
    """A convolution as that one but for the changes, its weights drawn anew as in `staged.initialized`."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
    settings: dict[str, Any] = {name: getattr(convolution, name) for name in names}
    made = nn.Conv2d(**{**settings, **changes}, bias=convolution.bias is not None)
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    return made


def _last_layer(network: nn.Module) -> tuple[str, nn.Linear | nn.Conv2d]:
    """The layer that puts out classes: of SqueezeNets a convolution, else linear."""
    layers = [(name, each) for name, each in network.named_modules() if isinstance(each, nn.Linear | nn.Conv2d)]
    return layers[-1]


def _set_num_classes(network: nn.Module, num_classes: int) -> None:
    """Draw the last layer anew where it has another number of classes."""
    name, last = _last_layer(network)
    if isinstance(last, nn.Conv2d):
        if last.out_channels != num_classes:
            network.set_submodule(name, _like(last, out_channels=num_classes))
    elif last.out_features != num_classes:
        network.set_submodule(name, nn.Linear(last.in_features, num_classes, bias=last.bias is not None))


def _joined(modules: list[nn.Module]) -> nn.Module:
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def _divided(network: nn.Module) -> BackboneNetwork:
    """The network before its last layer, and that."""
    name, last = _last_layer(network)
    if isinstance(last, nn.Conv2d):  # SqueezeNets average over places after the last layer
        classifier = nn.Sequential(network.get_submodule("classifier"), nn.Flatten())
        return BackboneNetwork(network.get_submodule("features"), classifier)
    network.set_submodule(name, nn.Identity())
    return BackboneNetwork(network, last)


def _check_images(network: nn.Module, architecture: str, input_shape: InputShape) -> None:
    """Refuse images with which the network cannot do: the one way to know is to show it one."""
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *input_shape))
    except (RuntimeError, AssertionError, ValueError) as error:
        size, reason = f"{input_shape[1]} x {input_shape[2]}", str(error).splitlines()[0]
        raise ValueError(f'model "torchvision": images of {size} do not suit {architecture}: {reason}') from error
    finally:
        network.train()
