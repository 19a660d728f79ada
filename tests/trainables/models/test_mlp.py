import numpy as np
import pytest
import torch

from trainables.models import num_parameters
from trainables.models.mlp import mlp


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [((1200, 1200), 2_395_210), ((800, 800), 1_276_810), ((300, 300), 328_810), ((30, 30), 24_790)],
)
def test_the_networks_of_hinton_2015_have_as_many_parameters_as_theirs(hidden: tuple[int, ...], expected: int) -> None:
    assert num_parameters(mlp(input_shape=(1, 28, 28), num_classes=10, hidden=hidden)) == expected


def test_the_network_is_what_numpy_says() -> None:
    torch.manual_seed(0)
    model = mlp(input_shape=(3, 4, 5), num_classes=7, hidden=(6, 5)).double()
    images = torch.randn(8, 3, 4, 5, dtype=torch.float64)
    weights = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    values = images.numpy().reshape(8, 60)
    for layer in ("hidden1.0", "hidden2.0"):
        values = np.maximum(values @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"], 0)
    logits = values @ weights["classifier.weight"].T + weights["classifier.bias"]
    np.testing.assert_allclose(model(images).detach(), logits, rtol=1e-10)


def test_dropout_drops_its_fraction_of_hidden_units_in_training_only() -> None:
    """Of 400,000 units of which half are 0 anyway, 0.2 are dropped: the standard error of the fraction is 0.0008."""
    torch.manual_seed(0)
    model = mlp(input_shape=(1, 4, 4), num_classes=2, hidden=(200,), dropout=0.2)
    pixels = torch.randn(2000, 1, 4, 4).flatten(1)
    kept = model.eval().get_submodule("hidden1")(pixels) > 0
    still_kept = model.train().get_submodule("hidden1")(pixels) > 0
    assert 1 - still_kept[kept].float().mean().item() == pytest.approx(0.2, abs=0.004)


def test_input_dropout_drops_its_fraction_of_pixels_in_training_only() -> None:
    torch.manual_seed(0)
    model = mlp(input_shape=(1, 20, 20), num_classes=2, hidden=(3,), input_dropout=0.1)
    pixels = model.get_submodule("pixels")
    images = torch.ones(1000, 1, 20, 20)
    assert (pixels(images) == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
    assert torch.equal(model.eval().get_submodule("pixels")(images), images.flatten(1))


def test_dropout_adds_nothing_to_the_weights() -> None:
    with_dropout = mlp(input_shape=(1, 4, 4), num_classes=2, hidden=(3,), dropout=0.5, input_dropout=0.2)
    without = mlp(input_shape=(1, 4, 4), num_classes=2, hidden=(3,))
    assert with_dropout.state_dict().keys() == without.state_dict().keys()
