"""Crops, mirror images and holes by batch, against loops over single images and pixels, and torchvision's own."""

import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from trainables.data.windows import mirrored, outside_holes, shifted


def pixels(num_images: int, num_channels: int, height: int, width: int) -> torch.Tensor:
    draw = np.random.default_rng(0)
    return torch.from_numpy(draw.integers(0, 256, (num_images, num_channels, height, width), dtype=np.uint8))


def test_shifts_are_the_crops_of_torchvision_with_that_padding() -> None:
    """``RandomCrop(32, padding=4)`` pads by black and cuts at a row and a column of 0 to 8, evenly: our shifts of 4."""
    corners = list(itertools.product(range(9), repeat=2))
    images_NCHW = pixels(len(corners), 3, 32, 32)
    ours = shifted(images_NCHW, torch.tensor([(4 - top, 4 - left) for top, left in corners]))
    padded = functional.pad(images_NCHW, [4])
    for index, (top, left) in enumerate(corners):
        assert torch.equal(ours[index], functional.crop(padded[index], top, left, 32, 32))


@settings(deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.lists(st.booleans(), min_size=1, max_size=6))
def test_mirror_image_exchanges_left_and_right_of_flagged_images_alone(
    num_channels: int, height: int, width: int, flags: list[bool]
) -> None:
    images_NCHW = pixels(len(flags), num_channels, height, width)
    expected = [image[..., ::-1] if flag else image for image, flag in zip(images_NCHW.numpy(), flags, strict=True)]
    np.testing.assert_array_equal(mirrored(images_NCHW, torch.tensor(flags)), np.stack(expected))


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.data())
def test_hole_is_the_square_around_its_centre_as_far_as_the_image_goes(
    height: int, width: int, side: int, data: st.DataObject
) -> None:
    """By the pixel, as in the authors' code: from centre - side // 2, clipped at the border."""
    centres = [(data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))) for _ in range(3)]
    kept = outside_holes(torch.tensor(centres), side, height, width)
    assert kept.shape == (3, 1, height, width)
    for index, (row, column) in enumerate(centres):
        expected = np.ones((height, width), dtype=np.float32)
        top, left = row - side // 2, column - side // 2
        expected[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0.0
        np.testing.assert_array_equal(kept[index, 0], expected)


def test_holes_of_all_centres_have_the_sizes_of_the_closed_form() -> None:
    """Of 32 rows, 16 within a hole: 16 of them in 17 of 32 places, and 8 to 15 in 8 + 7 at the borders."""
    side, size = 16, 32
    rows_by_centre = [min(centre + side // 2, size) - max(centre - side // 2, 0) for centre in range(size)]
    assert sorted(rows_by_centre) == sorted([16] * 17 + list(range(8, 16)) + list(range(9, 16)))
    centres = torch.tensor(list(itertools.product(range(size), repeat=2)))
    sizes = (1 - outside_holes(centres, side, size, size)).sum(dim=(1, 2, 3)).view(size, size)
    np.testing.assert_array_equal(sizes, np.outer(rows_by_centre, rows_by_centre))
