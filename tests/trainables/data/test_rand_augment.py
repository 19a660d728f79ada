"""RandAugment by batch, against torchvision's own transform of single images."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from trainables.config import RandAugmentConfig
from trainables.data.rand_augment import OPERATIONS, EpochRandAugment


def pictures(num_images: int, num_channels: int, height: int, width: int) -> Tensor:
    """Smooth ones with noise: every operation changes them, and no two alike."""
    draw = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    phases = draw.uniform(0.5, 3.0, (num_images, num_channels, 1, 1))
    waves = 110 + 60 * np.sin(phases * rows / 2 + columns / 3)
    noise = draw.uniform(-20, 20, waves.shape)
    return torch.from_numpy((waves + noise).clip(10, 200).astype(np.uint8))


def as_bytes(image: Tensor) -> bytes:
    return image.contiguous().numpy().tobytes()


@pytest.mark.parametrize(("num_channels", "magnitude"), [(1, 9), (3, 9), (3, 30)])
def test_views_of_an_image_are_those_that_torchvision_makes_of_it(num_channels: int, magnitude: int) -> None:
    """As sets, over 400 draws a side; the rarest of 23 has a share of 1/28: one is missed once in 60,000 seeds."""
    image = pictures(1, num_channels, 12, 15)
    peer = v2.RandAugment(num_ops=1, magnitude=magnitude)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = {as_bytes(peer(image[0])) for _ in range(400)}
    many = image.expand(400, -1, -1, -1).contiguous()
    views = EpochRandAugment(RandAugmentConfig(num_ops=1, magnitude=magnitude), 0, 0, 400)(many, torch.arange(400))
    assert {as_bytes(view) for view in views} == expected
    if (num_channels, magnitude) == (3, 9):
        assert len(expected) > 20


def test_two_operations_are_one_after_the_other() -> None:
    images = pictures(6, 3, 10, 10)
    both = EpochRandAugment(RandAugmentConfig(num_ops=2), 0, 0, 6)
    expected = images
    for place in range(2):
        one = EpochRandAugment(RandAugmentConfig(num_ops=2), 0, 0, 6)
        one.codes_MK = both.codes_MK[:, place : place + 1]
        expected = one(expected, torch.arange(6))
    assert torch.equal(both(images, torch.arange(6)), expected)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("is_negative", [False, True])
def test_operation_on_a_batch_is_the_operation_on_each_image(name: str, num_channels: int, is_negative: bool) -> None:
    images, operation = pictures(64, num_channels, 32, 32), OPERATIONS[name]
    if is_negative and not operation.is_signed:
        return
    for magnitude in (3, 17):
        together = operation.at(images, magnitude, is_negative=is_negative)
        assert together.dtype == torch.uint8
        for index in range(0, 64, 7):
            alone = operation.at(images[index : index + 1], magnitude, is_negative=is_negative)
            assert torch.equal(together[index], alone[0])


def test_every_operation_comes_equally_often_with_either_sign() -> None:
    """Chi-squared over 23: the five without a sign twice as often; 22 degrees of freedom, 58 once in 23,000 seeds."""
    codes = EpochRandAugment(RandAugmentConfig(num_ops=2), 0, 0, 14_000).codes_MK.flatten()
    counts = torch.bincount(codes, minlength=28).double()
    signed = [each.is_signed for each in OPERATIONS.values()]
    expected = torch.tensor([share for each in signed for share in ((1.0, 1.0) if each else (2.0, 0.0))]) * 1000
    drawn = expected > 0
    assert float(counts[~drawn].sum()) == 0.0
    assert int(drawn.sum()) == 23
    assert float(((counts - expected) ** 2 / expected)[drawn].sum()) < 58


def test_drawing_leaves_the_global_random_stream_alone() -> None:
    state = torch.get_rng_state()
    EpochRandAugment(RandAugmentConfig(), 0, 0, 8)(pictures(8, 3, 9, 9), torch.arange(8))
    assert torch.equal(torch.get_rng_state(), state)
