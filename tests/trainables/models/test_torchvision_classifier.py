"""Torchvision's classifiers: divided into features and classifier, fitted to images and classes, with weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from tests.source_rules import Source, imports
from trainables.config import ModelConfig, OptionValue
from trainables.models import build
from trainables.models.features import feature_names, feature_shapes

SHUFFLENET_FILE = "shufflenetv2_x0.5-f707e7126e.pth"


def classifier(
    architecture: str, input_shape: tuple[int, int, int] = (3, 32, 32), num_classes: int = 7, **options: OptionValue
) -> nn.Module:
    config = ModelConfig(name="torchvision", options={"architecture": architecture, **options})
    return build(config, input_shape=input_shape, num_classes=num_classes)


def test_torchvision_is_imported_where_its_classifiers_are_built_and_nowhere_else_among_the_models() -> None:
    folder = Path(__file__).parents[3] / "trainables" / "models"
    sources = [Source(f"trainables/models/{file.name}", file.read_text("utf-8")) for file in folder.glob("*.py")]
    importing = {source.path for source in sources for _, name in imports(source) if name.startswith("torchvision")}
    assert importing == {"trainables/models/torchvision_classifier.py"}


@pytest.mark.parametrize("architecture", ["resnet18", "shufflenet_v2_x0_5", "regnet_x_400mf", "squeezenet1_1"])
def test_divided_network_is_torchvisions_own(architecture: str) -> None:
    images = torch.randn(2, 3, 64, 64)
    torch.manual_seed(0)
    its = models.get_model(architecture, num_classes=7).eval()
    torch.manual_seed(0)
    ours = classifier(architecture, (3, 64, 64)).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(images), its(images.clone()))


@pytest.mark.parametrize(
    ("architecture", "input_shape", "names"),
    [
        ("resnet18", (1, 28, 28), ("stage1", "stage2", "stage3", "stage4", "classifier")),
        ("regnet_x_400mf", (3, 32, 32), ("stage1", "stage2", "stage3", "stage4", "classifier")),
        ("shufflenet_v2_x0_5", (3, 32, 32), ("stage1", "stage2", "stage3", "classifier")),
        ("squeezenet1_1", (3, 64, 64), ("backbone", "classifier")),
        ("mnasnet0_5", (1, 28, 28), ("backbone", "classifier")),
        ("googlenet", (3, 32, 32), ("backbone", "classifier")),
    ],
)
def test_images_become_logits_in_training_too(
    architecture: str, input_shape: tuple[int, int, int], names: tuple[str, ...]
) -> None:
    model = classifier(architecture, input_shape)
    assert model.training
    logits = model(torch.randn(2, *input_shape))
    assert isinstance(logits, Tensor)
    assert logits.shape == (2, 7)
    assert feature_names(model) == names


def test_small_stem_keeps_every_place_where_the_usual_one_keeps_a_sixteenth() -> None:
    places = {
        small: [feature_shapes(classifier("resnet18", small_images=small), (3, 32, 32))[f"stage{n}"][1] for n in (1, 4)]
        for small in (False, True)
    }
    assert places == {False: [8, 1], True: [32, 4]}


def test_small_stem_is_one_convolution_of_nine_places() -> None:
    """11,173,962 are those of "ResNet-18 for CIFAR-10" all over the literature: 3 x 3 x 3 x 64 instead of 7 x 7."""
    model = classifier("resnet18", num_classes=10, small_images=True)
    assert sum(each.numel() for each in model.parameters()) == 11_173_962


@pytest.mark.parametrize(
    ("architecture", "input_shape", "options", "message"),
    [
        ("resnet19", (3, 32, 32), {}, r"option architecture = 'resnet19': allowed are alexnet, .*resnet18, "),
        ("vgg11", (3, 32, 32), {"small_images": True}, r"option small_images = True: vgg11 has no stem for small"),
        ("resnet18", (3, 16, 32), {}, "images of 16 x 32 are too small: at least 17 x 17"),
        ("resnet18", (3, 4, 32), {"small_images": True}, "images of 4 x 32 are too small: at least 5 x 5"),
        ("alexnet", (3, 32, 32), {}, "images of 32 x 32 do not suit alexnet: .*[Oo]utput size is too small"),
        ("resnet18", (3, 32, 32), {"weights": "V9"}, r"option weights = 'V9': resnet18 has IMAGENET1K_V1, DEFAULT"),
        ("resnet18", (3, 32, 32), {"weights": True}, r"option weights = True: .* valid string"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(
    architecture: str, input_shape: tuple[int, int, int], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f'^model "torchvision": {message}') as caught:
        classifier(architecture, input_shape, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps files that it has fetched; nothing can be."""

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def stored(hub: Path) -> nn.Module:
    """A network whose weights lie where torch would have put those it fetched."""
    torch.manual_seed(5)
    network: nn.Module = models.shufflenet_v2_x0_5().eval()
    torch.save(network.state_dict(), hub / SHUFFLENET_FILE)
    return network


def test_weights_that_are_nowhere_and_cannot_be_fetched_are_asked_for_by_file(hub: Path) -> None:
    message = rf"option weights = 'DEFAULT': cannot be fetched \(.*no route to host.*\); put https://.* at {hub}/shuf"
    with pytest.raises(ValueError, match=message):
        classifier("shufflenet_v2_x0_5", weights="DEFAULT")


@pytest.mark.parametrize("weights", ["DEFAULT", "IMAGENET1K_V1"])
def test_weights_on_disk_are_taken_and_with_their_classes_all_of_them(stored: nn.Module, weights: str) -> None:
    images = torch.randn(2, 3, 32, 32)
    model = classifier("shufflenet_v2_x0_5", num_classes=1000, weights=weights).eval()
    torch.testing.assert_close(model(images), stored(images))


def test_with_other_classes_only_the_last_layer_is_drawn_anew(stored: nn.Module) -> None:
    model = classifier("shufflenet_v2_x0_5", num_classes=7, weights="DEFAULT")
    pairs = list(zip(model.parameters(), stored.parameters(), strict=True))
    assert all(torch.equal(ours, its) for ours, its in pairs[:-2])
    assert [tuple(ours.shape) for ours, _ in pairs[-2:]] == [(7, 1024), (7,)]


def test_gray_images_are_to_weights_what_three_equal_colours_are(stored: nn.Module) -> None:
    model = classifier("shufflenet_v2_x0_5", (1, 32, 32), num_classes=1000, weights="DEFAULT").eval()
    images = torch.randn(2, 1, 32, 32)
    torch.testing.assert_close(model(images), stored(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("stored")
def test_weights_for_colours_are_refused_for_other_channels() -> None:
    with pytest.raises(ValueError, match="images of 4 channels: weights are for those of 3 or 1"):
        classifier("shufflenet_v2_x0_5", (4, 32, 32), weights="DEFAULT")


def test_weights_that_read_each_colour_by_itself_are_refused_for_gray_images(hub: Path) -> None:
    torch.save(models.googlenet(init_weights=False, aux_logits=True).state_dict(), hub / "googlenet-1378be20.pth")
    with pytest.raises(ValueError, match=r"images of 1 channels: weights are for those of 3$"):
        classifier("googlenet", (1, 32, 32), weights="DEFAULT")


class Harmful:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return print, ("harm",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"weight": torch.zeros(2)}, "Error.* in loading state_dict for ShuffleNetV2"),
        ({"weight": Harmful()}, "Weights only load failed"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_and_no_code_in_it_is_run(
    content: object, reason: str, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, hub / SHUFFLENET_FILE)
    message = rf"{SHUFFLENET_FILE} does not hold the weights of shufflenet_v2_x0_5 \({reason}"
    with pytest.raises(ValueError, match=message) as caught:
        classifier("shufflenet_v2_x0_5", weights="DEFAULT")
    assert "\n" not in str(caught.value)
    assert "harm" not in capsys.readouterr().out


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_networks_with_further_classifiers_give_one_tensor(architecture: str) -> None:
    """They would give a tuple of three, in training alone."""
    model = classifier(architecture, (3, 80, 80)).train()
    assert isinstance(model(torch.randn(2, 3, 80, 80)), Tensor)
    assert not [name for name, _ in model.named_parameters() if "aux" in name.lower()]
