import pytest
import torch
import torch.nn.functional as F

from trainables.models import num_parameters
from trainables.models.cnn import cnn


@pytest.mark.parametrize("width", [1, 4, 32])
@pytest.mark.parametrize(("input_shape", "positions"), [((1, 28, 28), 49), ((3, 32, 32), 64), ((1, 7, 9), 2)])
def test_the_number_of_parameters_is_what_paper_and_pencil_give(
    width: int, input_shape: tuple[int, int, int], positions: int
) -> None:
    stage1 = (9 * input_shape[0] + 1) * width
    stage2 = (9 * width + 1) * 2 * width
    classifier = (2 * width * positions + 1) * 10
    assert num_parameters(cnn(input_shape=input_shape, num_classes=10, width=width)) == stage1 + stage2 + classifier


def test_the_network_is_convolution_relu_maximum_twice_and_a_linear_layer() -> None:
    torch.manual_seed(0)
    model, images = cnn(input_shape=(3, 9, 12), num_classes=7, width=2), torch.randn(5, 3, 9, 12)
    weights = dict(model.named_parameters())
    hidden = images
    for stage in ("stage1", "stage2"):
        hidden = F.conv2d(hidden, weights[f"{stage}.0.weight"], weights[f"{stage}.0.bias"], padding=1)
        hidden = F.max_pool2d(F.relu(hidden), 2)
    logits = hidden.flatten(1) @ weights["classifier.weight"].T + weights["classifier.bias"]
    torch.testing.assert_close(model(images), logits)


def test_images_too_small_for_two_stages_are_refused() -> None:
    with pytest.raises(ValueError, match='model "cnn": images of 3 x 28 are too small: at least 4 x 4'):
        cnn(input_shape=(1, 3, 28), num_classes=10, width=4)
