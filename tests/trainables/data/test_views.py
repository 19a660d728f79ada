import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainables.data.image_arrays import LabelledImages
from trainables.data.views import DeviceImages, EpochViews, epoch_order, epoch_shifts
from trainables.data.windows import shifted

CPU = torch.device("cpu")
MEANS, STDS = (0.1307, 0.5, 0.9), (0.3081, 0.25, 1.5)


def random_images(num_images: int, num_channels: int, height: int, width: int) -> LabelledImages:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (num_images, num_channels, height, width), dtype=np.uint8)
    return LabelledImages(pixels, draw.integers(0, 10, num_images))


def on_cpu(source: LabelledImages) -> DeviceImages:
    num_channels = source.image_shape[0]
    return DeviceImages(source, mean_C=MEANS[:num_channels], std_C=STDS[:num_channels], device=CPU)


def normalized_by_numpy(pixels_NCHW: NDArray[np.uint8]) -> NDArray[np.float64]:
    num_channels = pixels_NCHW.shape[1]
    mean = np.array(MEANS[:num_channels]).reshape(1, -1, 1, 1)
    std = np.array(STDS[:num_channels]).reshape(1, -1, 1, 1)
    normalized: NDArray[np.float64] = (pixels_NCHW / 255 - mean) / std
    return normalized


def shifted_by_numpy(image_CHW: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    _, height, width = image_CHW.shape
    shifted = np.zeros_like(image_CHW)
    for row in range(height):
        for column in range(width):
            if 0 <= row - down < height and 0 <= column - right < width:
                shifted[:, row, column] = image_CHW[:, row - down, column - right]
    return shifted


@pytest.mark.parametrize("num_channels", [1, 3])
def test_normalized_images_are_what_numpy_says(num_channels: int) -> None:
    source = random_images(20, num_channels, 5, 7)
    indices = torch.tensor([3, 0, 19, 3])
    values = on_cpu(source).normalized(indices)
    assert values.dtype == torch.float32
    assert values.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(values, normalized_by_numpy(source.images_NCHW[indices]), rtol=1e-5, atol=1e-6)


@settings(deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6), st.data())
def test_shifted_images_are_what_numpy_says(num_channels: int, height: int, width: int, data: st.DataObject) -> None:
    source = random_images(5, num_channels, height, width)
    rows = data.draw(st.lists(st.tuples(*[st.integers(-9, 9)] * 2), min_size=5, max_size=5))
    order = torch.tensor([4, 1, 0, 3, 2])
    views = on_cpu(source).viewed(order, EpochViews(shifts_M2=torch.tensor(rows)))
    expected = np.stack([shifted_by_numpy(source.images_NCHW[i], *rows[i]) for i in order.tolist()])
    assert views.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(views, normalized_by_numpy(expected), rtol=1e-5, atol=1e-6)


def test_a_shift_by_nothing_is_the_image_itself() -> None:
    images, indices = on_cpu(random_images(8, 3, 6, 6)), torch.arange(8)
    still = EpochViews(shifts_M2=torch.zeros(8, 2, dtype=torch.int64))
    assert torch.equal(images.viewed(indices, still), images.normalized(indices))


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 100), st.permutations(range(12)), st.integers(1, 12))
def test_a_view_depends_on_seed_epoch_and_image_but_not_on_its_batch(
    seed: int, epoch: int, order: list[int], batch_size: int
) -> None:
    images, views = on_cpu(random_images(12, 1, 8, 8)), EpochViews(shifts_M2=epoch_shifts(seed, epoch, 12, 3))
    in_one_batch = images.viewed(torch.arange(12), views)
    for indices in torch.split(torch.tensor(order), batch_size):
        assert torch.equal(images.viewed(indices, views), in_one_batch[indices])


def test_a_missing_shift_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shifts_N2 has shape \(3, 2\): it must be \(4, 2\)"):
        shifted(torch.zeros(4, 1, 6, 6), torch.zeros(3, 2, dtype=torch.int64))


def test_images_on_a_cpu_are_the_given_read_only_arrays_themselves() -> None:
    """Warnings are errors in these tests: torch's about read-only arrays must not escape."""
    source = random_images(4, 1, 6, 6)
    source.images_NCHW.setflags(write=False)
    source.labels_N.setflags(write=False)
    images = on_cpu(source)
    assert images.images_NCHW.data_ptr() == source.images_NCHW.ctypes.data
    assert images.labels_N.data_ptr() == source.labels_N.ctypes.data
    before = source.images_NCHW.copy()
    images.viewed(torch.arange(4), EpochViews(shifts_M2=torch.ones(4, 2, dtype=torch.int64))).zero_()
    assert (source.images_NCHW == before).all()


@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(1, 50))
def test_an_epoch_takes_each_image_once(seed: int, epoch: int, num_images: int) -> None:
    assert sorted(epoch_order(seed, epoch, num_images).tolist()) == list(range(num_images))


@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(0, 8))
def test_shifts_stay_within_their_range(seed: int, epoch: int, shift_pixels: int) -> None:
    assert int(epoch_shifts(seed, epoch, 20, shift_pixels).abs().max()) <= shift_pixels


def test_every_shift_comes_equally_often() -> None:
    """Chi-squared over the 25 shifts of 2 pixels, 24 degrees of freedom: 60 is exceeded once in 15,000 seeds."""
    shifts = epoch_shifts(0, 0, 25_000, 2)
    counts = torch.bincount((shifts[:, 0] + 2) * 5 + shifts[:, 1] + 2, minlength=25)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 60


def test_epochs_and_seeds_differ_and_repeat_without_touching_the_global_generator() -> None:
    state = torch.get_rng_state()
    orders = [epoch_order(seed, epoch, 100) for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))]
    shifts = [epoch_shifts(seed, epoch, 100, 4) for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))]
    for draws in (orders, shifts):
        assert torch.equal(draws[0], draws[1])
        assert not torch.equal(draws[0], draws[2])
        assert not torch.equal(draws[0], draws[3])
    assert torch.equal(torch.get_rng_state(), state)
