"""Images and labels as NumPy arrays, checked when built: what a dataset is, and what a trial sees of it."""

# Shapes: N images, C channels, H height, W width.

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NUM_DIGESTED = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """Images as bytes, and the class of each.

    Raises:
        ValueError: a dtype or a number of dimensions is wrong, there are no images, or not as many labels as images.
    """

    images_NCHW: NDArray[np.uint8]
    labels_N: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images_NCHW.dtype != np.uint8 or self.images_NCHW.ndim != 4:
            raise ValueError(
                f"images_NCHW is {self.images_NCHW.dtype} of shape {self.images_NCHW.shape}: "
                "it must be uint8 of shape (images, channels, height, width)"
            )
        if self.labels_N.dtype != np.int64 or self.labels_N.ndim != 1:
            raise ValueError(
                f"labels_N is {self.labels_N.dtype} of shape {self.labels_N.shape}: it must be int64 of shape (images,)"
            )
        if len(self.images_NCHW) != len(self.labels_N):
            raise ValueError(f"{len(self.images_NCHW)} images, {len(self.labels_N)} labels: each image needs one label")
        if 0 in self.images_NCHW.shape:
            raise ValueError(f"images_NCHW has shape {self.images_NCHW.shape}: no axis may be empty")

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        _, channels, height, width = self.images_NCHW.shape
        return channels, height, width

    def select(self, indices: NDArray[np.int64]) -> "LabelledImages":
        """A copy of the images at `indices`, in their order."""
        return LabelledImages(self.images_NCHW[indices], self.labels_N[indices])


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A dataset as published: `mean_C` and `std_C` are of the training images' pixels, scaled to [0, 1].

    Raises:
        ValueError: the parts do not fit each other.
    """

    name: str
    num_classes: int
    train: LabelledImages
    test: LabelledImages
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]

    def __post_init__(self) -> None:
        parts = {"train": self.train, "test": self.test}
        _check_parts(parts, self.num_classes, self.mean_C, self.std_C)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """All that a trial sees of a dataset: images to learn from and images to select by, none of the test split.

    Raises:
        ValueError: the parts do not fit each other.
    """

    num_classes: int
    mean_C: tuple[float, ...]
    std_C: tuple[float, ...]
    train: LabelledImages
    validation: LabelledImages

    def __post_init__(self) -> None:
        parts = {"train": self.train, "validation": self.validation}
        _check_parts(parts, self.num_classes, self.mean_C, self.std_C)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        return self.train.image_shape


def digest(data: TrainingData) -> str:
    """A short hash of which images are in which part, with which labels: of all labels and of 1,000 images a part."""
    found = hashlib.sha256()
    for part in (data.train, data.validation):
        step = max(1, len(part) // NUM_DIGESTED)
        found.update(repr(part.images_NCHW.shape).encode())
        found.update(np.ascontiguousarray(part.labels_N).tobytes())
        found.update(np.ascontiguousarray(part.images_NCHW[::step]).tobytes())
    return found.hexdigest()[:16]


def _check_parts(
    parts: dict[str, LabelledImages], num_classes: int, mean_C: tuple[float, ...], std_C: tuple[float, ...]
) -> None:
    if num_classes < 2:
        raise ValueError(f"num_classes = {num_classes}: a classifier needs at least 2")
    shapes = {name: part.image_shape for name, part in parts.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"image shapes differ: {listed}; all must be equal")
    for name, part in parts.items():
        low, high = int(part.labels_N.min()), int(part.labels_N.max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"{name} labels go from {low} to {high}: allowed are 0 to {num_classes - 1}")
    num_channels = next(iter(shapes.values()))[0]
    if not len(mean_C) == len(std_C) == num_channels:
        raise ValueError(f"mean_C = {mean_C}, std_C = {std_C}: each needs {num_channels} value(s), one a channel")
    if min(std_C) <= 0:
        raise ValueError(f"std_C = {std_C}: each value must be > 0")
