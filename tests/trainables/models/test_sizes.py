"""The sizes of the distillation literature: as many parameters, layers and places as were published."""

from typing import Any

import pytest
import torch
from torch import nn

from trainables.config import ModelConfig, OptionValue
from trainables.models import MODELS, build, num_parameters
from trainables.models.staged import StagedNetwork

STAGED = [name for name in MODELS if name.startswith(("resnet", "wrn_", "vgg", "mobilenet", "shufflenet"))]


def network(name: str, input_shape: tuple[int, int, int] = (3, 32, 32), **options: OptionValue) -> nn.Module:
    return build(ModelConfig(name=name, options=options), input_shape=input_shape, num_classes=100)


def shapes_only(name: str, *, classes: int = 100, **options: OptionValue) -> nn.Module:
    with torch.device("meta"):
        return build(ModelConfig(name=name, options=options), input_shape=(3, 32, 32), num_classes=classes)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet20", "0.28"), ("resnet56", "0.86"), ("resnet110", "1.74"), ("resnet8x4", "1.23"),
        ("resnet32x4", "7.43"), ("wrn_16_2", "0.70"), ("wrn_40_1", "0.57"), ("wrn_40_2", "2.26"),
        ("vgg8", "3.97"), ("vgg13", "9.46"),
    ],
)  # fmt: skip
def test_as_many_parameters_at_100_classes_as_published(name: str, millions: str) -> None:
    """Tian et al., ICLR 2020, "Contrastive Representation Distillation", for CIFAR-100."""
    assert f"{num_parameters(shapes_only(name)) / 1e6:.2f}" == millions


@pytest.mark.parametrize(
    ("name", "options", "exactly"),
    [("mobilenet_v2", {"width_multiplier": 0.5}, 812_836), ("shufflenet_v2", {}, 1_355_528)],
)
def test_the_small_networks_of_that_literature_have_exactly_its_parameters(
    name: str, options: dict[str, Any], exactly: int
) -> None:
    assert num_parameters(shapes_only(name, **options)) == exactly


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", "0.27"), ("resnet32", "0.46"), ("resnet44", "0.66"), ("resnet56", "0.85"), ("resnet110", "1.73")],
)
def test_without_shortcuts_residual_networks_have_the_parameters_of_the_first_paper(name: str, millions: str) -> None:
    """He et al. 2016, table 6, 10 classes: option A, whose shortcuts have none; there, 1.73 is rounded to 1.7."""
    model = shapes_only(name, classes=10)
    count = sum(each.numel() for path, each in model.named_parameters() if "shortcut" not in path)
    assert f"{count / 1e6:.2f}" == millions


@pytest.mark.parametrize("name", [each for each in STAGED if each.startswith("resnet")])
def test_depth_of_a_residual_network_is_its_layers_beside_shortcuts(name: str) -> None:
    layers = [
        path
        for path, each in shapes_only(name).named_modules()
        if isinstance(each, nn.Conv2d | nn.Linear) and "shortcut" not in path
    ]
    assert len(layers) == int(name.removeprefix("resnet").removesuffix("x4"))


@pytest.mark.parametrize(
    ("name", "num_convolutions"), [("wrn_16_1", 15), ("wrn_16_2", 16), ("wrn_40_1", 39), ("wrn_40_2", 40)]
)
def test_depth_of_a_wide_network_is_its_convolutions(name: str, num_convolutions: int) -> None:
    """Not wider, the first stage needs no shortcut of its own: one fewer."""
    assert sum(isinstance(each, nn.Conv2d) for each in shapes_only(name).modules()) == num_convolutions


@pytest.mark.parametrize("name", [each for each in STAGED if each.startswith("vgg")])
def test_depth_of_a_vgg_is_its_convolutions_and_the_papers_three_linear_layers(name: str) -> None:
    convolutions = sum(isinstance(each, nn.Conv2d) for each in shapes_only(name).modules())
    assert convolutions + 3 == int(name.removeprefix("vgg"))


@pytest.mark.parametrize("name", STAGED)
def test_twice_as_wide_is_about_four_times_as_large(name: str) -> None:
    narrow, wide = (num_parameters(shapes_only(name, classes=10, width_multiplier=width)) for width in (1.0, 2.0))
    assert 3.7 < wide / narrow < 4.0


@pytest.mark.parametrize("name", STAGED)
def test_the_narrowest_network_still_has_a_channel_everywhere(name: str) -> None:
    convolutions = [each for each in shapes_only(name, width_multiplier=1e-9).modules() if isinstance(each, nn.Conv2d)]
    assert min(each.out_channels for each in convolutions) == 1
    assert network(name, (1, 9, 9), width_multiplier=1e-9).eval()(torch.zeros(1, 1, 9, 9)).shape == (1, 100)


@pytest.mark.parametrize("name", STAGED)
@pytest.mark.parametrize("input_shape", [(3, 32, 32), (3, 64, 64), (1, 28, 28)])
def test_every_size_takes_the_usual_images_to_logits_the_same_each_time(
    name: str, input_shape: tuple[int, int, int]
) -> None:
    model, images = network(name, input_shape, width_multiplier=0.1).eval(), torch.randn(1, *input_shape)
    with torch.no_grad():
        first, again = model(images), model(images)
    assert first.shape == (1, 100)
    assert first.isfinite().all()
    assert torch.equal(first, again)


STAGES = [
    ("resnet20", 32, [(16, 32), (32, 16), (64, 8)]),
    ("resnet20", 64, [(16, 64), (32, 32), (64, 16)]),
    ("resnet8x4", 32, [(64, 32), (128, 16), (256, 8)]),
    ("wrn_40_2", 32, [(32, 32), (64, 16), (128, 8)]),
    ("vgg8", 32, [(64, 32), (128, 16), (256, 8), (512, 4), (512, 4)]),
    ("vgg13", 64, [(64, 64), (128, 32), (256, 16), (512, 8), (512, 4)]),
    ("vgg11", 28, [(64, 28), (128, 14), (256, 7), (512, 3), (512, 3)]),
    ("mobilenet_v2", 32, [(16, 16), (24, 16), (32, 8), (96, 4), (1280, 2)]),
    ("shufflenet_v2", 32, [(116, 16), (232, 8), (1024, 4)]),
]


@pytest.mark.parametrize(("name", "size", "expected"), STAGES)
def test_stages_are_channels_last_and_the_classifier_reads_the_means_of_the_last(
    name: str, size: int, expected: list[tuple[int, int]]
) -> None:
    model = network(name, (3, size, size)).eval().to(memory_format=torch.channels_last)
    assert isinstance(model, StagedNetwork)
    features = torch.randn(2, 3, size, size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        logits = model(features)
        for number, (channels, places) in enumerate(expected, start=1):
            features = model.get_submodule(f"stage{number}")(features)
            assert features.shape == (2, channels, places, places)
            assert features.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(logits, model.classifier(features.mean(dim=(2, 3))))
    assert [name for name, _ in model.named_children()][len(expected) :] == ["classifier"]


@pytest.mark.parametrize("name", ["resnet14", "wrn_16_1", "vgg8", "mobilenet_v2", "shufflenet_v2"])
def test_a_step_of_training_lowers_the_loss(name: str) -> None:
    torch.manual_seed(0)
    model, images, labels = network(name, width_multiplier=0.25).train(), torch.randn(8, 3, 32, 32), torch.arange(8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


@pytest.mark.parametrize(
    ("name", "least"), [("resnet8", 3), ("wrn_16_1", 3), ("vgg8", 8), ("mobilenet_v2", 9), ("shufflenet_v2", 5)]
)
def test_images_of_which_a_stage_would_see_nothing_are_refused(name: str, least: int) -> None:
    match = f'model "{name}": images of {least - 1} x 40 are too small: at least {least} x {least}'
    with pytest.raises(ValueError, match=match):
        network(name, (1, least - 1, 40))
    assert network(name, (1, least, least)).eval()(torch.zeros(1, 1, least, least)).shape == (1, 100)


@pytest.mark.parametrize("name", ["resnet20", "wrn_16_2", "vgg8", "mobilenet_v2", "shufflenet_v2"])
def test_initial_weights_are_those_of_he_and_normalisation_begins_as_none(name: str) -> None:
    """The sample deviation of n normal numbers has a standard error of its 1 / sqrt(2 n); 5 of them are allowed."""
    torch.manual_seed(0)
    for module in network(name).modules():
        if isinstance(module, nn.Conv2d):
            expected = (2 / (module.out_channels * module.kernel_size[0] ** 2)) ** 0.5
            tolerance = 5 / (2 * module.weight.numel()) ** 0.5
            assert module.weight.std(correction=0).item() == pytest.approx(expected, rel=tolerance)
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()


@pytest.mark.parametrize(
    ("family", "options", "size"),
    [
        ("cifar_resnet", {"depth": 20}, "resnet20"),
        ("cifar_resnet", {"depth": 8, "channels": (32, 64, 128, 256)}, "resnet8x4"),
        ("wide_resnet", {"depth": 40, "widen_factor": 2}, "wrn_40_2"),
    ],
)
def test_a_size_is_its_family_with_its_numbers(family: str, options: dict[str, Any], size: str) -> None:
    ours, its = (
        {path: each.shape for path, each in model.state_dict().items()}
        for model in (shapes_only(family, **options), shapes_only(size))
    )
    assert ours == its
