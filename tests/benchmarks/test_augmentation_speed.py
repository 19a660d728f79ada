"""How many images a second are cropped, mirrored and normalised: ours by batch, against torchvision image by image."""

import time
from collections.abc import Callable
from functools import cache
from typing import final

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from tests.benchmarks.interleaved import compare
from tests.benchmarks.scoreboard import Scoreboard
from trainables.config import AugmentationConfig
from trainables.data.image_arrays import LabelledImages
from trainables.data.views import DeviceImages, EpochViews, epoch_order
from trainables.hardware.device import fixed_num_threads

NUM_IMAGES, NUM_WORKERS, NUM_ROUNDS = 16_384, 2, 5
MEAN_C, STD_C = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of CIFAR-10
CROP_AND_FLIP = AugmentationConfig(shift_pixels=4, flip=True)


@cache
def images() -> LabelledImages:
    """As many and as large as a third of CIFAR's; what is on them costs nothing."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (NUM_IMAGES, 3, 32, 32), dtype=np.uint8)
    return LabelledImages(pixels, draw.integers(0, 10, NUM_IMAGES))


@final
class UsualDataset(Dataset[tuple[Tensor, int]]):
    """A picture at a time, as torchvision's CIFAR datasets hold them and its references transform them."""

    def __init__(self, source: LabelledImages, num_images: int) -> None:
        self._pixels_NHWC = np.ascontiguousarray(source.images_NCHW[:num_images].transpose(0, 2, 3, 1))
        self._labels_N = source.labels_N
        self._transform = v2.Compose(
            [
                v2.RandomCrop(32, padding=4),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN_C, STD_C),
            ]
        )

    def __len__(self) -> int:
        return len(self._pixels_NHWC)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._transform(Image.fromarray(self._pixels_NHWC[index])), int(self._labels_N[index])


def our_epoch(device_images: DeviceImages, batch_size: int) -> int:
    """What the training loop does of an epoch before its networks: order, views, batches."""
    views = EpochViews.of(CROP_AND_FLIP, 0, 0, torch.arange(NUM_IMAGES), NUM_IMAGES, (3, 32, 32))
    for indices_N in torch.split(epoch_order(0, 0, NUM_IMAGES), batch_size):
        device_images.viewed(indices_N, views)
        device_images.labels_N.index_select(0, indices_N)
    return NUM_IMAGES


def images_per_s(show: Callable[[], int]) -> float:
    started = time.perf_counter()
    num_images = show()
    return num_images / (time.perf_counter() - started)


@pytest.mark.benchmark
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("batch_size", [64, 128])
def test_images_are_augmented_many_times_as_fast_as_in_the_workers_of_a_dataloader(
    scoreboard: Scoreboard, batch_size: int
) -> None:
    """One thread of ours against two processes of the peer's, each image's view in float32 and in a batch."""
    ours = DeviceImages(images(), mean_C=MEAN_C, std_C=STD_C, device=torch.device("cpu"))
    loader = DataLoader(
        UsualDataset(images(), NUM_IMAGES // 4),
        batch_size=batch_size,
        shuffle=True,
        num_workers=NUM_WORKERS,
        persistent_workers=True,
    )

    def peer_epoch() -> int:
        return sum(len(images_NCHW) for images_NCHW, _ in loader)

    with fixed_num_threads(1):
        our_epoch(ours, batch_size)  # both warmed up, the workers started
        peer_epoch()
        measured = compare(
            lambda: images_per_s(lambda: our_epoch(ours, batch_size)),
            lambda: images_per_s(peer_epoch),
            num_rounds=NUM_ROUNDS,
        )
    row = scoreboard.ratio_at_least(
        f"crop 4, flip and normalise 3 x 32 x 32, batch {batch_size}, one thread, against a DataLoader's 2 workers",
        ours=f"{measured.median_ours:,.0f} images/s",
        peer=f"{measured.median_peer:,.0f} images/s",
        ratio=measured.median_ratio,
        minimum=5.0,
    )
    assert row.is_reached, row
