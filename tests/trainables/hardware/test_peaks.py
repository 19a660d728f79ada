from itertools import count

import pytest
import torch
from torch import nn

from trainables.hardware import peaks

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("layer", "input_shape", "multiply_accumulates"),
    [
        (nn.Conv2d(3, 5, 3, padding=1), (3, 8, 8), 5 * 3 * 3 * 3 * 8 * 8),
        (nn.Conv2d(3, 5, 3, stride=2, padding=1), (3, 8, 8), 5 * 3 * 3 * 3 * 4 * 4),
        (nn.Conv2d(4, 8, 3, padding=1, groups=2), (4, 8, 8), 8 * 2 * 3 * 3 * 8 * 8),
        (nn.Conv2d(6, 6, 5, padding=2, groups=6), (6, 8, 8), 6 * 5 * 5 * 8 * 8),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 8, 8), 4 * 6 * 2 * 2 * 8 * 8),
        (nn.Linear(20, 7), (3, 4, 20), 3 * 4 * 20 * 7),
    ],
    ids=["conv", "strided", "grouped", "depthwise", "transposed", "linear"],
)
def test_work_of_a_layer_is_its_closed_form(
    layer: nn.Module, input_shape: tuple[int, int, int], multiply_accumulates: int
) -> None:
    """Alone, a layer's backward pass is the weight's gradient only: as much again as the forward pass."""
    assert peaks.forward_flops_per_image(layer, input_shape) == 2 * multiply_accumulates
    assert peaks.training_flops_per_image(layer, input_shape) == 4 * multiply_accumulates


def test_every_layer_but_the_first_costs_three_forward_passes() -> None:
    """Forward, gradient of the weight, gradient of the input."""
    first, second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
    network = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), second)
    forward = [
        peaks.forward_flops_per_image(layer, shape) for layer, shape in ((first, (1, 6, 6)), (second, (4, 6, 6)))
    ]
    assert peaks.forward_flops_per_image(network, (1, 6, 6)) == sum(forward)
    assert peaks.training_flops_per_image(network, (1, 6, 6)) == 2 * forward[0] + 3 * forward[1]


def test_counting_leaves_the_network_and_the_random_stream_alone() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(32, 3)
    ).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3, generator=torch.Generator().manual_seed(5))
    peaks.forward_flops_per_image(network, (1, 6, 6))
    peaks.training_flops_per_image(network, (1, 6, 6))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not network.training


def test_the_fastest_product_sets_the_peak() -> None:
    """Products of 2 * 4 * 5 * 6 = 240 FLOP that take 4, 2 and 3 s: the clock is looked at before and after each."""
    looks = iter([0, 0, 4, 5, 6, 8, 9, 10, 13, 100])
    peak = peaks.fastest_product_flops_per_s(
        torch.ones(4, 5), torch.ones(5, 6), seconds=12.0, clock=lambda: next(looks) * 10**9
    )
    assert peak == 240 / 2


def test_one_product_is_made_however_short_the_time() -> None:
    ticks = count(step=10**9)
    assert (
        peaks.fastest_product_flops_per_s(torch.ones(2, 2), torch.ones(2, 2), seconds=0.0, clock=lambda: next(ticks))
        == 16
    )


def test_the_peak_is_measured_once_per_process_and_leaves_torch_as_it_was() -> None:
    precision, num_threads = torch.backends.cuda.matmul.fp32_precision, torch.get_num_threads()
    first = peaks.measured_peak_flops_per_s(CPU, "float32", 1)
    assert first > 1e8
    assert peaks.measured_peak_flops_per_s(CPU, "float32", 1) == first
    assert (torch.backends.cuda.matmul.fp32_precision, torch.get_num_threads()) == (precision, num_threads)
