"""Batches on a device: images stay there as bytes, and are shown in the epoch's views by batch."""

# Shapes: N images of a batch, M of the set, C channels, H height, W width.

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.config import AugmentationConfig, RandAugmentConfig
from trainables.data.image_arrays import LabelledImages
from trainables.data.windows import mirrored, outside_holes, shifted
from trainables.randomness import derive_seed, generator
from trainables.registry import resolve

# Bytes (N, C, H, W) and the places of their images in the set, to bytes.
ByteOperation = Callable[[Tensor, Tensor], Tensor]
# By name: torchvision is loaded where it is configured, and nowhere else.
_BYTE_OPERATIONS: Mapping[str, str] = {"rand_augment": "trainables.data.rand_augment:EpochRandAugment"}


@dataclass(frozen=True, slots=True)
class EpochViews:
    """How an epoch shows each image of the set, by its place in it, in the order of the fields.

    `shifts_M2`: int64, down and right. `flips_M`: bool, left for right. `operation`: on the bytes. `centres_M2`: int64,
    row and column of a hole of `hole_pixels` each way. `partners_M`, `shares_M`: another image, in its own view, and
    how much of the view it is. Whichever is None is not done. `number`: which of the views of an image it is.
    """

    shifts_M2: Tensor | None = None
    flips_M: Tensor | None = None
    operation: ByteOperation | None = None
    centres_M2: Tensor | None = None
    hole_pixels: int = 0
    partners_M: Tensor | None = None
    shares_M: Tensor | None = None
    number: int = 0

    @classmethod
    def of(
        cls,
        augmentation: AugmentationConfig,
        seed: int,
        epoch: int,
        members_K: Tensor,
        num_images: int,
        input_shape: tuple[int, int, int],
    ) -> Self | None:
        """A function of the seed, the epoch and the images that are shown; None where they are shown as they are.

        Which images are shown matters to mixed views alone. With `num_views`, epochs that many apart show the same.

        Args:
            augmentation: what is done.
            seed: of the training.
            epoch: which epoch, from 0.
            members_K: places of the images that are shown, on the device: partners are among them.
            num_images: of the whole set.
            input_shape: (channels, height, width) of an image.

        Raises:
            ValueError: the augmentation is none for such images.
        """
        if augmentation.is_identity:
            return None
        check_augmentation(augmentation, input_shape)
        device, epoch = members_K.device, augmentation.view(epoch)
        shifts_M2 = flips_M = operation = centres_M2 = partners_M = shares_M = None
        if augmentation.shift_pixels:
            shifts_M2 = epoch_shifts(seed, epoch, num_images, augmentation.shift_pixels).to(device)
        if augmentation.flip:
            flips_M = epoch_flips(seed, epoch, num_images).to(device)
        if augmentation.rand_augment is not None:
            operation = _rand_augment(augmentation.rand_augment, seed, epoch, num_images)
        if augmentation.cutout_pixels:
            centres_M2 = epoch_centres(seed, epoch, num_images, *input_shape[1:]).to(device)
        if augmentation.mixup:
            order_K = torch.randperm(len(members_K), generator=generator(seed, "mixup", epoch)).to(device)
            partners_M = torch.arange(num_images, device=device).scatter(0, members_K, members_K[order_K])
            shares_M = epoch_shares(seed, epoch, num_images, augmentation.mixup).to(device)
        return cls(shifts_M2, flips_M, operation, centres_M2, augmentation.cutout_pixels, partners_M, shares_M, epoch)


def check_augmentation(augmentation: AugmentationConfig, input_shape: tuple[int, int, int]) -> None:
    """See that images of this shape can be shown so.

    Args:
        augmentation: what is to be done.
        input_shape: (channels, height, width) of an image.

    Raises:
        ValueError: naming the field, its value and what is allowed.
    """
    num_channels, *sides = input_shape
    if augmentation.cutout_pixels > min(sides):
        raise ValueError(
            f"training.augmentation.cutout_pixels = {augmentation.cutout_pixels}: must be at most {min(sides)}, the "
            f"shorter side of the images ({sides[0]} x {sides[1]})"
        )
    if augmentation.rand_augment is not None and num_channels not in {1, 3}:
        raise ValueError(
            f"training.augmentation.rand_augment must be left out: it needs images of 1 or 3 channels, these have "
            f"{num_channels}"
        )


class DeviceImages:
    """Images and labels on one device, moved there once; on a CPU they are the given arrays, not a copy."""

    def __init__(
        self, source: LabelledImages, *, mean_C: tuple[float, ...], std_C: tuple[float, ...], device: torch.device
    ) -> None:
        self.device = device
        self.images_NCHW = shared_tensor(source.images_NCHW).to(device)
        self.labels_N = shared_tensor(source.labels_N).to(device)
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
        images_NCHW = self._unmixed(indices, views)
        if views.partners_M is None or views.shares_M is None:
            return images_NCHW
        shares_N111 = views.shares_M.index_select(0, indices).view(-1, 1, 1, 1)
        return torch.lerp(images_NCHW, self._unmixed(views.partners_M.index_select(0, indices), views), shares_N111)

    def _unmixed(self, indices: Tensor, views: EpochViews) -> Tensor:
        images_NCHW = self.images_NCHW.index_select(0, indices)
        if views.shifts_M2 is not None:
            images_NCHW = shifted(images_NCHW, views.shifts_M2.index_select(0, indices))
        if views.flips_M is not None:
            images_NCHW = mirrored(images_NCHW, views.flips_M.index_select(0, indices))
        if views.operation is not None:
            images_NCHW = views.operation(images_NCHW, indices)
        if views.centres_M2 is None:
            return self._normalize(images_NCHW)
        centres_N2 = views.centres_M2.index_select(0, indices)
        return self._normalize(images_NCHW, outside_holes(centres_N2, views.hole_pixels, *images_NCHW.shape[2:]))

    def _normalize(self, images_NCHW: Tensor, kept: Tensor | None = None) -> Tensor:
        """Bytes to float32, channels-last, and 0 (the mean colour) where `kept`, float32 (N, 1, H, W), is 0.

        Colour images are computed plane by plane and then put in order, on a CPU in a quarter of the time that it
        takes pixel by pixel; one channel is in either order already, and need only be marked.
        """
        in_planes = images_NCHW.shape[1] > 1
        order = torch.contiguous_format if in_planes else torch.channels_last
        values_NCHW = images_NCHW.to(torch.float32, memory_format=order)
        values_NCHW = values_NCHW.mul_(self._scale_1C11).add_(self._offset_1C11)
        if kept is not None:
            values_NCHW = values_NCHW.mul_(kept)
        return values_NCHW.to(memory_format=torch.channels_last)


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


def epoch_flips(seed: int, epoch: int, num_images: int) -> Tensor:
    """Whether epoch `epoch` shows each image with left and right exchanged, each with probability 1/2.

    Returns:
        bool (num_images,) on the CPU.
    """
    return torch.randint(2, (num_images,), generator=generator(seed, "flip", epoch)).bool()


def epoch_centres(seed: int, epoch: int, num_images: int, height: int, width: int) -> Tensor:
    """Where epoch `epoch` puts the middle of each image's hole, every pixel as often as another.

    Returns:
        int64 (num_images, 2) on the CPU, row and column.
    """
    stream = generator(seed, "cutout", epoch)
    return torch.stack([torch.randint(side, (num_images,), generator=stream) for side in (height, width)], dim=1)


def epoch_shares(seed: int, epoch: int, num_images: int, alpha: float) -> Tensor:
    """How much of each image's view is its partner (Zhang et al., ICLR 2018, "mixup").

    Returns:
        float32 (num_images,), each from Beta(alpha, alpha).
    """
    stream = np.random.default_rng(derive_seed(seed, "mixup_share", epoch))
    return torch.from_numpy(stream.beta(alpha, alpha, size=num_images).astype(np.float32))


def _rand_augment(config: RandAugmentConfig, seed: int, epoch: int, num_images: int) -> ByteOperation:
    builder = cast("Callable[..., ByteOperation]", resolve("augmentation", _BYTE_OPERATIONS, "rand_augment"))
    return builder(config, seed, epoch, num_images)


def shared_tensor(array: NDArray[np.uint8] | NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
    """A tensor on the array's own memory. Where that is read-only torch warns; nothing here writes to it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(array)
