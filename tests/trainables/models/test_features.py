import pytest
import torch
from torch import Tensor, nn

from trainables.models.cnn import cnn
from trainables.models.features import FeatureReader, FeatureTap, feature_names, feature_shapes
from trainables.models.mlp import mlp


def small_cnn() -> nn.Module:
    torch.manual_seed(0)
    return cnn(input_shape=(1, 8, 12), num_classes=3, width=2)


def test_features_are_what_the_modules_put_out() -> None:
    model, images = small_cnn(), torch.randn(5, 1, 8, 12)
    with FeatureTap(model, ["stage2", "stage1", "stage1.0"]) as tap:
        model(images)
        features = tap.take()
    stage1 = model.get_submodule("stage1")(images)
    assert list(features) == ["stage2", "stage1", "stage1.0"]
    assert torch.equal(features["stage1"], stage1)
    assert torch.equal(features["stage2"], model.get_submodule("stage2")(stage1))
    assert features["stage1.0"].shape == (5, 2, 8, 12)


def test_a_loss_on_a_feature_reaches_the_weights_below_it_only() -> None:
    model = small_cnn()
    with FeatureTap(model, ["stage1"]) as tap:
        model(torch.randn(5, 1, 8, 12))
        torch.autograd.backward(tap.take()["stage1"].sum())
    reached = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == {"stage1"}


def test_each_pass_gives_its_own_features_and_taken_ones_are_not_held() -> None:
    model = small_cnn()
    with FeatureTap(model, ["stage1"]) as tap:
        model(torch.zeros(2, 1, 8, 12))
        model(torch.zeros(3, 1, 8, 12))
        assert len(tap.take()["stage1"]) == 3
        with pytest.raises(RuntimeError, match='feature "stage1" has not been computed: run the network first'):
            tap.take()


def test_a_closed_tap_leaves_the_network_as_it_was() -> None:
    model = small_cnn()
    with FeatureTap(model, ["stage1", "classifier"]):
        pass
    assert all(not module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", ["stage3", "", "stage1.9"])
def test_an_unknown_feature_is_refused_with_those_there_are(name: str) -> None:
    model = small_cnn()
    with pytest.raises(ValueError, match=f'unknown feature "{name}": the network has stage1, stage2, classifier'):
        FeatureTap(model, ["stage1", name])
    assert all(not module._forward_hooks for module in model.modules())


def test_hidden_layers_of_a_fully_connected_network_can_be_tapped() -> None:
    model = mlp(input_shape=(1, 4, 4), num_classes=3, hidden=(6, 5))
    assert feature_names(model) == ("pixels", "hidden1", "hidden2", "classifier")
    with FeatureTap(model, ["hidden1", "hidden2"]) as tap:
        model(torch.zeros(2, 1, 4, 4))
        assert {name: feature.shape for name, feature in tap.take().items()} == {"hidden1": (2, 6), "hidden2": (2, 5)}


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


def test_a_feature_that_is_no_tensor_is_refused_by_name() -> None:
    model = nn.Sequential(Pair())
    with FeatureTap(model, ["0"]), pytest.raises(TypeError, match='feature "0" is a tuple: only a tensor'):
        model(torch.zeros(1))


def test_shapes_are_those_of_the_features_and_the_network_is_left_as_it_was() -> None:
    model = nn.Sequential(small_cnn(), nn.BatchNorm1d(3)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shapes = feature_shapes(model, (1, 8, 12))
    assert shapes == {
        "0": (3,), "0.stage1": (2, 4, 6), "0.stage1.0": (2, 8, 12), "0.stage1.1": (2, 4, 6), "0.stage1.2": (2, 4, 6),
        "0.stage2": (4, 2, 3), "0.stage2.0": (4, 4, 6), "0.stage2.1": (4, 2, 3), "0.stage2.2": (4, 2, 3),
        "0.classifier": (3,), "1": (3,),
    }  # fmt: skip
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_shapes_are_what_each_module_gives_a_single_image() -> None:
    model = small_cnn().train()
    shapes = feature_shapes(model, (1, 8, 12))
    assert {name: shape for name, shape in shapes.items() if "." not in name} == {
        "stage1": (2, 4, 6),
        "stage2": (4, 2, 3),
        "classifier": (3,),
    }
    assert list(shapes)[:2] == ["stage1", "stage1.0"]
    assert model.training
    assert all(not module._forward_hooks for module in model.modules())


def test_the_image_itself_is_no_layer() -> None:
    """A hint at the pixels would reach no weight of the student."""
    model = mlp(input_shape=(1, 4, 4), num_classes=3, hidden=(6,), input_dropout=0.2)
    assert [name for name in feature_shapes(model, (1, 4, 4)) if "." not in name] == ["hidden1", "classifier"]


class Repeated(nn.Module):
    """One layer that runs twice, and what comes after it counted."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.last, self.num_last = nn.Linear(4, 4), nn.Linear(4, 2), 0

    def forward(self, images: Tensor) -> Tensor:
        features = self.layer(self.layer(images.flatten(1)))
        self.num_last += 1
        logits: Tensor = self.last(features)
        return logits


def test_features_alone_are_read_without_what_comes_after_the_last_of_them() -> None:
    torch.manual_seed(0)
    network, images = Repeated(), torch.randn(3, 1, 2, 2)
    reader = FeatureReader(network, ["layer"])
    with FeatureTap(network, ["layer"]) as tap:
        network(images)
        (expected,) = tap.take().values()
    read = [reader.read(images)["layer"] for _ in range(3)]
    assert all(torch.equal(each, expected) for each in read)  # of the second run of the layer
    assert network.num_last == 1 + 1  # the first pass shows what there is to come
    assert all(not module._forward_hooks for module in network.modules())


def test_reading_features_that_there_are_not_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match='unknown feature "stage3"'):
        FeatureReader(small_cnn(), ["stage3"])
