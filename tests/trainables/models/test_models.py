"""The contract of every built-in network, and the errors of `build`."""

import pytest
import torch
from torch import nn

from trainables.config import ModelConfig, OptionValue
from trainables.models import MODELS, build, num_parameters
from trainables.models.features import feature_names

NARROW: dict[str, OptionValue] = {"width_multiplier": 0.2}
SMALL: dict[str, dict[str, OptionValue]] = {
    **dict.fromkeys(MODELS, NARROW),
    "cnn": {"width": 2},
    "mlp": {"hidden": (6, 5)},
    "cifar_resnet": {"depth": 14, **NARROW},
    "wide_resnet": {"depth": 10, "widen_factor": 3, **NARROW},
    "torchvision": {"architecture": "mobilenet_v3_small"},
    "ensemble": {"of": "mlp", "num_members": 2, "hidden": (6, 5)},
}
# One network of each file, the first; its other sizes are other numbers to the same function: test_sizes.py.
FAMILIES = sorted({target.partition(":")[0]: name for name, target in reversed(MODELS.items())}.values())
INPUT_SHAPES = [(1, 28, 28), (3, 9, 12)]


def build_small(name: str, input_shape: tuple[int, int, int] = (1, 28, 28), seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = build(ModelConfig(name=name, options=SMALL[name]), input_shape=input_shape, num_classes=7)
    set_statistics(model, torch.randn(8, *input_shape))
    return model


def set_statistics(model: nn.Module, images_NCHW: torch.Tensor) -> None:
    """Those of batch normalisation, which begin as 0 and 1: with them a deep network's values grow without bound."""
    layers = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    for layer in layers:
        layer.momentum = None  # the mean over all batches, of which there is one
    with torch.no_grad():
        model.train()(images_NCHW)
    for layer in layers:
        layer.momentum = 0.1


def test_every_network_has_an_example_here() -> None:
    assert SMALL.keys() == MODELS.keys()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("input_shape", INPUT_SHAPES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_images_become_one_logit_a_class(
    name: str, input_shape: tuple[int, int, int], memory_format: torch.memory_format
) -> None:
    images = torch.randn(4, *input_shape, dtype=torch.float64)
    model = build_small(name, input_shape).double().eval()
    logits = model(images)
    assert logits.shape == (4, 7)
    there = model.to(memory_format=memory_format)(images.contiguous(memory_format=memory_format))
    torch.testing.assert_close(there, logits)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_logits_of_an_image_do_not_depend_on_its_batch(name: str) -> None:
    images = torch.randn(6, 1, 28, 28, dtype=torch.float64)
    model = build_small(name).double().eval()
    torch.testing.assert_close(model(images)[2:3], model(images[2:3]))


@pytest.mark.parametrize("name", FAMILIES)
def test_initial_weights_are_a_function_of_the_global_seed(name: str) -> None:
    first, again, other = (nn.utils.parameters_to_vector(build_small(name, seed=s).parameters()) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_receives_a_gradient(name: str) -> None:
    model = build_small(name)
    model(torch.randn(8, 1, 28, 28)).square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", [each for each in FAMILIES if each != "ensemble"])  # whose features are its members'
def test_the_last_feature_is_the_classifier(name: str) -> None:
    assert feature_names(build_small(name))[-1] == "classifier"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cnn", {"width": 0}, r'model "cnn": option width = 0: .* greater than or equal to 1'),
        ("cnn", {"width": 257}, r'model "cnn": option width = 257: .* less than or equal to 256'),
        ("cnn", {"width": 8.0}, r'model "cnn": option width = 8\.0: .* valid integer'),
        ("cnn", {"width": True}, r'model "cnn": option width = True: .* valid integer'),
        ("cnn", {}, r'model "cnn": option width.* required'),
        ("cnn", {"width": 8, "depth": 3}, r'model "cnn": there is no option depth = 3; allowed are width'),
        ("mlp", {"hidden": ()}, r'model "mlp": option hidden = \(\): .* at least 1 item'),
        ("mlp", {"hidden": (8, 0)}, r'model "mlp": option hidden\.1 .* greater than or equal to 1'),
        ("mlp", {"hidden": (8,), "dropout": 1.0}, r'model "mlp": option dropout = 1\.0: .* less than 1'),
        ("mlp", {"hidden": (8,), "input_dropout": -0.1}, r'model "mlp": option input_dropout = -0\.1'),
        ("resnet20", {"width_multiplier": 0.0}, r'model "resnet20": option width_multiplier = 0\.0: .* greater than 0'),
        ("wrn_16_2", {"depth": 22}, r'model "wrn_16_2": there is no option depth = 22; allowed are width_multiplier'),
        ("cifar_resnet", {"depth": 21}, r'model "cifar_resnet": option depth = 21: must be 6 n \+ 2: 8, 14, 20'),
        ("cifar_resnet", {"depth": 8, "channels": (4, 4, 0, 8)}, r"option channels\.2 .* greater than or equal to 1"),
        ("wide_resnet", {"depth": 20, "widen_factor": 1}, r"option depth = 20: must be 6 n \+ 4: 10, 16, 22"),
        ("wide_resnet", {"depth": 16}, r'model "wide_resnet": option widen_factor is required'),
        ("resnet", {}, 'unknown model "resnet": allowed are cifar_resnet, cnn, .*wrn_40_2'),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(name: str, options: dict[str, OptionValue], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build(ModelConfig(name=name, options=options), input_shape=(1, 28, 28), num_classes=10)
    assert "\n" not in str(caught.value)


def linear_network(*, input_shape: tuple[int, int, int], num_classes: int, bias: bool = True) -> nn.Module:
    channels, height, width = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, num_classes, bias=bias))


def test_ones_own_network_is_built_by_its_address() -> None:
    config = ModelConfig(name=f"{__name__}:linear_network", options={"bias": False})
    assert num_parameters(build(config, input_shape=(1, 2, 3), num_classes=5)) == 30


def test_frozen_parameters_are_not_counted() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model[0].requires_grad_(requires_grad=False)
    assert num_parameters(model) == 8
