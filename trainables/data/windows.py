"""Crops, mirror images and holes of a batch: each image its own, all of them in a few operations."""

# Shapes: N images, C channels, H height, W width.

import torch
import torch.nn.functional as F
from torch import Tensor


def shifted(images_NCHW: Tensor, shifts_N2: Tensor) -> Tensor:
    """Each image moved down and right by its own number of pixels; zeros move in.

    With shifts drawn evenly from -p to p this is the literature's random crop of images that are padded by p zeros
    (He et al., CVPR 2016, section 4.2; torchvision's ``RandomCrop(size, padding=p)``).

    Args:
        images_NCHW: contiguous; any dtype.
        shifts_N2: int64 (N, 2), on the same device, down and right, in pixels; negative is up and left.

    Raises:
        ValueError: not one shift for each image.
    """
    if shifts_N2.shape != (len(images_NCHW), 2):
        raise ValueError(f"shifts_N2 has shape {tuple(shifts_N2.shape)}: it must be {(len(images_NCHW), 2)}")
    size = max(images_NCHW.shape[2:])
    shifts_N2 = shifts_N2.clamp(-size, size)
    # The margin need only hold the largest shift, but to read that from an accelerator would wait for it.
    margin = int(shifts_N2.abs().max()) if shifts_N2.is_cpu else size
    return _window(F.pad(images_NCHW, (margin,) * 4), margin - shifts_N2, margin)


def mirrored(images_NCHW: Tensor, flips_N: Tensor) -> Tensor:
    """The images, those of them whose flag is set with left and right exchanged.

    All are mirrored and one of each two is selected: on a CPU whole images are copied so, three times as fast as
    choosing pixel by pixel, and an accelerator is not asked how many there are.

    Args:
        images_NCHW: any dtype.
        flips_N: bool (N,), on the same device.
    """
    num_images = len(images_NCHW)
    places_N = torch.arange(num_images, device=images_NCHW.device) + num_images * flips_N
    return torch.cat([images_NCHW, images_NCHW.flip(-1)]).index_select(0, places_N)


def outside_holes(centres_N2: Tensor, side: int, height: int, width: int) -> Tensor:
    """1 where an image is left as it is and 0 in its hole, a square that is cut off at the image's edges.

    DeVries & Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout": `side` rows from
    `side // 2` above the centre, and columns likewise, as in the authors' code (which takes one less where it is odd).

    Args:
        centres_N2: int64 (N, 2), rows and columns.
        side: of the squares, in pixels.
        height: of the images.
        width: of the images.

    Returns:
        float32 (N, 1, H, W), on the same device.
    """
    starts_N2 = centres_N2 - side // 2
    rows = torch.arange(height, device=centres_N2.device) - starts_N2[:, :1]
    columns = torch.arange(width, device=centres_N2.device) - starts_N2[:, 1:]
    in_rows, in_columns = ((each >= 0) & (each < side) for each in (rows, columns))
    return (~(in_rows[:, None, :, None] & in_columns[:, None, None, :])).float()


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
