"""Mean and standard deviation of each channel of many images, exactly, a block of images at a time."""

import numpy as np
from numpy.typing import NDArray

_BLOCK_PIXELS = 1 << 22


def channel_statistics(images_NCHW: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the pixels of each channel, scaled to [0, 1].

    Each value is counted, so that the sums are of whole numbers and the images may lie on the disk.

    Raises:
        ValueError: a channel is the same everywhere, so that it cannot be scaled.
    """
    num_images, num_channels, height, width = images_NCHW.shape
    counts = np.zeros((num_channels, 256), dtype=np.int64)
    step = max(1, _BLOCK_PIXELS // (height * width))
    for start in range(0, num_images, step):
        for channel in range(num_channels):
            counts[channel] += np.bincount(images_NCHW[start : start + step, channel].ravel(), minlength=256)
    values = np.arange(256)
    total = num_images * height * width
    sums, squares = counts @ values, counts @ values**2
    means, deviations = [], []
    for channel, (first, second) in enumerate(zip(sums.tolist(), squares.tolist(), strict=True)):
        if total * second == first**2:
            raise ValueError(
                f"every training image is {first // total} everywhere in channel {channel}: nothing to see"
            )
        means.append(first / total / 255)
        deviations.append((total * second - first**2) ** 0.5 / total / 255)
    return tuple(means), tuple(deviations)
