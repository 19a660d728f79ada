import pickle
from dataclasses import replace

import numpy as np
import pytest

from tests.factories import training_data
from trainables.data.image_arrays import Dataset, LabelledImages, TrainingData, digest

IMAGES = np.zeros((3, 2, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2], dtype=np.int64)
PART = LabelledImages(IMAGES, LABELS)


def test_images_must_be_bytes_with_four_axes() -> None:
    with pytest.raises(ValueError, match=r"images_NCHW is float64 of shape \(3, 2, 4, 5\): it must be uint8"):
        LabelledImages(IMAGES.astype(np.float64), LABELS)
    with pytest.raises(ValueError, match=r"images_NCHW is uint8 of shape \(3, 4, 5\)"):
        LabelledImages(IMAGES[:, 0], LABELS)


def test_labels_must_be_int64_with_one_axis() -> None:
    with pytest.raises(ValueError, match=r"labels_N is int32 of shape \(3,\): it must be int64"):
        LabelledImages(IMAGES, LABELS.astype(np.int32))
    with pytest.raises(ValueError, match=r"labels_N is int64 of shape \(3, 1\)"):
        LabelledImages(IMAGES, LABELS[:, np.newaxis])


def test_there_must_be_one_label_for_each_image() -> None:
    with pytest.raises(ValueError, match="3 images, 2 labels"):
        LabelledImages(IMAGES, LABELS[:2])


def test_there_must_be_an_image() -> None:
    with pytest.raises(ValueError, match=r"shape \(0, 2, 4, 5\): no axis may be empty"):
        LabelledImages(IMAGES[:0], LABELS[:0])


@pytest.mark.parametrize(
    ("num_classes", "mean", "std", "message"),
    [
        (2, (0.5, 0.5), (1.0, 1.0), "train labels go from 0 to 2: allowed are 0 to 1"),
        (1, (0.5, 0.5), (1.0, 1.0), "num_classes = 1: a classifier needs at least 2"),
        (3, (0.5,), (1.0, 1.0), r"mean_C = \(0\.5,\), .* each needs 2 value"),
        (3, (0.5, 0.5), (1.0, 0.0), r"std_C = \(1\.0, 0\.0\): each value must be > 0"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    num_classes: int, mean: tuple[float, ...], std: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Dataset("numbers", num_classes, PART, PART, mean, std)
    with pytest.raises(ValueError, match=message):
        TrainingData(num_classes, mean, std, PART, PART)


def test_images_of_two_sizes_are_refused() -> None:
    other = LabelledImages(IMAGES[..., :4], LABELS)
    with pytest.raises(ValueError, match=r"image shapes differ: train \(2, 4, 5\), test \(2, 4, 4\)"):
        Dataset("numbers", 3, PART, other, (0.5, 0.5), (1.0, 1.0))


def test_training_data_survive_pickling_without_a_copy_of_the_images() -> None:
    """As an object store does it: the arrays go out of band, and come back as read-only views."""
    buffers: list[pickle.PickleBuffer] = []
    data = TrainingData(3, (0.5, 0.5), (1.0, 1.0), PART, PART)
    packed = pickle.dumps(data, protocol=5, buffer_callback=buffers.append)
    restored = pickle.loads(packed, buffers=[buffer.raw().toreadonly() for buffer in buffers])  # noqa: S301
    assert restored.input_shape == (2, 4, 5)
    assert np.shares_memory(restored.train.images_NCHW, IMAGES)


def test_digest_tells_other_images_labels_and_parts() -> None:
    data = training_data()
    images, labels = data.train.images_NCHW.copy(), data.train.labels_N.copy()
    images[3, 0, 0, 0] ^= 1
    labels[3] = (labels[3] + 1) % 3
    others = [
        replace(data, train=LabelledImages(images, data.train.labels_N)),
        replace(data, train=LabelledImages(data.train.images_NCHW, labels)),
        replace(data, train=data.validation, validation=data.train),
    ]
    assert digest(training_data()) == digest(data)
    assert len({digest(each) for each in (data, *others)}) == 4
