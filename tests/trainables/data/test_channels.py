import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data import channels
from trainables.data.channels import channel_statistics


@given(st.integers(2, 7), st.integers(1, 3), st.integers(2, 9), st.integers(1, 40), st.integers(0, 2**31))
def test_statistics_are_numpys_however_many_images_a_block_has(
    num_images: int, num_channels: int, size: int, block_pixels: int, seed: int
) -> None:
    images_NCHW = np.random.default_rng(seed).integers(0, 256, (num_images, num_channels, size, size), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channels, "_BLOCK_PIXELS", block_pixels)
        mean_C, std_C = channel_statistics(images_NCHW)
    np.testing.assert_allclose(mean_C, (images_NCHW / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std_C, (images_NCHW / 255).std((0, 2, 3)), rtol=1e-9)


def test_channel_that_shows_nothing_is_refused() -> None:
    images_NCHW = np.full((4, 2, 3, 3), 7, dtype=np.uint8)
    images_NCHW[0, 0] = 9
    with pytest.raises(ValueError, match="every training image is 7 everywhere in channel 1"):
        channel_statistics(images_NCHW)
