"""Batches on a device: images stay there as bytes, and are normalised, shifted and mixed by batch."""

# Shapes: N images of a batch (or of the set), C channels, H height, W width.

import warnings
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from trainables.config import AugmentationConfig
from trainables.data.image_arrays import LabelledImages
from trainables.randomness import derive_seed, generator


@dataclass(frozen=True, slots=True)
class EpochViews:
    """How an epoch shows each image of the set, by its place in it: moved by some pixels, mixed with another image.

    `shifts_M2`: int64, down and right. `partners_M`, `shares_M`: the other image, and how much of the view it is.
    Whichever is None is not done.
    """

    shifts_M2: Tensor | None = None
    partners_M: Tensor | None = None
    shares_M: Tensor | None = None

    @classmethod
    def of(
        cls, augmentation: AugmentationConfig, seed: int, epoch: int, members_K: Tensor, num_images: int
    ) -> Self | None:
        """A function of the seed, the epoch and the images that are shown; None where they are shown as they are.

        Args:
            augmentation: what is done.
            seed: of the training.
            epoch: which epoch, from 0.
            members_K: places of the images that are shown, on the device: partners are among them.
            num_images: of the whole set.
        """
        if augmentation.is_identity:
            return None
        device = members_K.device
        shifts_M2 = partners_M = shares_M = None
        if augmentation.shift_pixels:
            shifts_M2 = epoch_shifts(seed, epoch, num_images, augmentation.shift_pixels).to(device)
        if augmentation.mixup:
            order_K = torch.randperm(len(members_K), generator=generator(seed, "mixup", epoch)).to(device)
            partners_M = torch.arange(num_images, device=device).scatter(0, members_K, members_K[order_K])
            shares_M = epoch_shares(seed, epoch, num_images, augmentation.mixup).to(device)
        return cls(shifts_M2, partners_M, shares_M)


class DeviceImages:
    """Images and labels on one device, moved there once; on a CPU they are the given arrays, not a copy."""

    def __init__(
        self, source: LabelledImages, *, mean_C: tuple[float, ...], std_C: tuple[float, ...], device: torch.device
    ) -> None:
        self.device = device
        self.images_NCHW = _shared_tensor(source.images_NCHW).to(device)
        self.labels_N = _shared_tensor(source.labels_N).to(device)
        # (x / 255 - mean) / std as one multiplication and one addition.
        mean, std = torch.tensor(mean_C, dtype=torch.float64), torch.tensor(std_C, dtype=torch.float64)
        self._scale_1C11 = (1 / (255 * std)).float().view(1, -1, 1, 1).to(device)
        self._offset_1C11 = (-mean / std).float().view(1, -1, 1, 1).to(device)

    def __len__(self) -> int:
        return len(self.labels_N)

    def normalized(self, indices: Tensor) -> Tensor:
        """The images at `indices`, int64 (N,), less the mean, over the deviation: float32 NCHW, channels-last."""
        return self._normalize(self.images_NCHW.index_select(0, indices))

    def viewed(self, indices: Tensor, views: EpochViews | None) -> Tensor:
        """As `normalized`, in the epoch's views; None: as they are."""
        if views is None:
            return self.normalized(indices)
        images_NCHW = self._moved(indices, views)
        if views.partners_M is None or views.shares_M is None:
            return images_NCHW
        shares_N111 = views.shares_M.index_select(0, indices).view(-1, 1, 1, 1)
        return torch.lerp(images_NCHW, self._moved(views.partners_M.index_select(0, indices), views), shares_N111)

    def _moved(self, indices: Tensor, views: EpochViews) -> Tensor:
        if views.shifts_M2 is None:
            return self.normalized(indices)
        return self.augmented(indices, views.shifts_M2.index_select(0, indices))

    def augmented(self, indices: Tensor, shifts_N2: Tensor) -> Tensor:
        """As `normalized`, each image moved down and right by its own number of pixels; black pixels move in.

        Args:
            indices: int64 (N,), on the device.
            shifts_N2: int64 (N, 2), on the device, down and right, in pixels; negative is up and left.

        Raises:
            ValueError: not one shift for each index.
        """
        if shifts_N2.shape != (len(indices), 2):
            raise ValueError(f"shifts_N2 has shape {tuple(shifts_N2.shape)}: it must be {(len(indices), 2)}")
        images_NCHW = self.images_NCHW.index_select(0, indices)
        size = max(images_NCHW.shape[2:])
        shifts_N2 = shifts_N2.clamp(-size, size)
        # The margin need only hold the largest shift, but to read that from an accelerator would wait for it.
        margin = int(shifts_N2.abs().max()) if shifts_N2.is_cpu else size
        return self._normalize(_window(F.pad(images_NCHW, (margin,) * 4), margin - shifts_N2, margin))

    def _normalize(self, images_NCHW: Tensor) -> Tensor:
        values_NCHW = images_NCHW.to(torch.float32, memory_format=torch.channels_last)
        return values_NCHW.mul_(self._scale_1C11).add_(self._offset_1C11)


def epoch_order(seed: int, epoch: int, num_images: int) -> Tensor:
    """The order, a permutation, int64 (num_images,) on the CPU, in which epoch `epoch` takes the images."""
    return torch.randperm(num_images, generator=generator(seed, "order", epoch))


def epoch_shifts(seed: int, epoch: int, num_images: int, shift_pixels: int) -> Tensor:
    """How far epoch `epoch` moves each image: row i is of image i, wherever in the epoch it comes.

    Returns:
        int64 (num_images, 2) on the CPU, down and right, each uniform in [-shift_pixels, shift_pixels].
    """
    return torch.randint(
        -shift_pixels, shift_pixels + 1, (num_images, 2), generator=generator(seed, "shift", epoch), dtype=torch.int64
    )


def epoch_shares(seed: int, epoch: int, num_images: int, alpha: float) -> Tensor:
    """How much of each image's view is its partner (Zhang et al., ICLR 2018, "mixup").

    Returns:
        float32 (num_images,), each from Beta(alpha, alpha).
    """
    stream = np.random.default_rng(derive_seed(seed, "mixup_share", epoch))
    return torch.from_numpy(stream.beta(alpha, alpha, size=num_images).astype(np.float32))


def _window(padded_NCHW: Tensor, starts_N2: Tensor, margin: int) -> Tensor:
    """Of each padded image the part that starts at its row and column and is 2 `margin` smaller each way.

    Every run of W neighbouring bytes is a row of one overlapping view, so that one selection copies whole rows: on a
    CPU 2.5 times as fast as gathering pixel by pixel.
    """
    num_images, num_channels, padded_height, padded_width = padded_NCHW.shape
    height, width = padded_height - 2 * margin, padded_width - 2 * margin
    planes = torch.arange(num_images * num_channels, device=padded_NCHW.device).view(num_images, num_channels, 1)
    top, left = starts_N2.view(num_images, 2, 1, 1).unbind(1)
    rows = planes * padded_height + top + torch.arange(height, device=padded_NCHW.device)
    runs = rows * padded_width + left
    windows = padded_NCHW.view(-1).unfold(0, width, 1)
    return windows.index_select(0, runs.view(-1)).view(num_images, num_channels, height, width)


def _shared_tensor(array: NDArray[np.uint8] | NDArray[np.int64]) -> Tensor:
    """A tensor on the array's own memory. Where that is read-only torch warns; nothing here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(array)
