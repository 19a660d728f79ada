"""All that an epoch may do to an image, at once: against a loop in NumPy, in any batches, and resumed in its middle."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from tests.factories import device_data, student
from tests.trainables.data.test_mixed_views import EVERY_VIEW, Recorder
from tests.trainables.data.test_views import MEANS, STDS, on_cpu, random_images, shifted_by_numpy
from trainables.checkpoints import load_state, save_state
from trainables.config import AugmentationConfig, LossConfig, RandAugmentConfig
from trainables.data.image_arrays import LabelledImages
from trainables.data.views import EpochViews, epoch_centres, epoch_flips, epoch_shares, epoch_shifts
from trainables.data.windows import mirrored, shifted
from trainables.run_start import student_run
from trainables.training import DistillationRun

NUM_IMAGES = 12
EXACT = AugmentationConfig(shift_pixels=2, flip=True, cutout_pixels=3)


def views_of(augmentation: AugmentationConfig, source: LabelledImages, *, seed: int = 0, epoch: int = 0) -> EpochViews:
    count = len(source.labels_N)
    views = EpochViews.of(augmentation, seed, epoch, torch.arange(count), count, source.image_shape)
    assert views is not None
    return views


def in_single_precision(pixels_CHW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Normalised as documented, one multiplication and one addition, each rounded to float32."""
    std = np.array(STDS[: len(pixels_CHW)]).reshape(-1, 1, 1)
    mean = np.array(MEANS[: len(pixels_CHW)]).reshape(-1, 1, 1)
    scale, offset = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
    values: NDArray[np.float32] = pixels_CHW.astype(np.float32) * scale + offset
    return values


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (7, 3)])
def test_batch_has_the_bits_of_a_loop_over_its_images(num_channels: int, seed: int, epoch: int) -> None:
    """Shifted, then mirrored, then normalised, then cut out: any other order gives other pixels."""
    source = random_images(NUM_IMAGES, num_channels, 9, 7)
    shifts = epoch_shifts(seed, epoch, NUM_IMAGES, 2).tolist()
    flips = epoch_flips(seed, epoch, NUM_IMAGES).tolist()
    centres = epoch_centres(seed, epoch, NUM_IMAGES, 9, 7).tolist()
    order = torch.randperm(NUM_IMAGES)
    expected = []
    for index in order.tolist():
        image_CHW = shifted_by_numpy(source.images_NCHW[index], *shifts[index])
        values_CHW = in_single_precision(image_CHW[..., ::-1] if flips[index] else image_CHW)
        for row, column in np.ndindex(9, 7):
            if abs(row - centres[index][0]) <= 1 and abs(column - centres[index][1]) <= 1:
                values_CHW[:, row, column] = 0.0
        expected.append(values_CHW)
    views = on_cpu(source).viewed(order, views_of(EXACT, source, seed=seed, epoch=epoch))
    assert any(flips)
    assert views.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(views, np.stack(expected))


def test_operation_on_the_bytes_stands_between_mirror_and_normalisation() -> None:
    """One that commutes with neither: a ramp over the columns, steeper for later images; bytes overflow."""

    def ramp(images_NCHW: Tensor, indices_N: Tensor) -> Tensor:
        return images_NCHW + (indices_N.view(-1, 1, 1, 1) * torch.arange(images_NCHW.shape[-1])).to(torch.uint8)

    source = random_images(NUM_IMAGES, 3, 6, 7)
    drawn = views_of(EXACT, source)
    assert drawn.shifts_M2 is not None
    assert drawn.flips_M is not None
    indices = torch.tensor([3, 11, 0, 7])
    moved = mirrored(shifted(on_cpu(source).images_NCHW[indices], drawn.shifts_M2[indices]), drawn.flips_M[indices])
    expected = LabelledImages(ramp(moved, indices).numpy(), source.labels_N[:4])
    views = replace(drawn, operation=ramp, centres_M2=None)
    assert torch.equal(on_cpu(source).viewed(indices, views), on_cpu(expected).normalized(torch.arange(4)))


def test_images_of_one_channel_are_marked_as_channels_last() -> None:
    """Both orders are one there; convolutions go by the strides, and with them the bits of a training."""
    images = on_cpu(random_images(4, 1, 6, 5))
    assert images.normalized(torch.arange(4)).stride() == (30, 1, 5, 1)


@cache
def everything(num_channels: int) -> tuple[LabelledImages, EpochViews, Tensor]:
    source = random_images(NUM_IMAGES, num_channels, 8, 8)
    views = views_of(EVERY_VIEW, source)
    return source, views, on_cpu(source).viewed(torch.arange(NUM_IMAGES), views)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([1, 3]), st.permutations(range(NUM_IMAGES)), st.sets(st.integers(1, NUM_IMAGES - 1)))
def test_view_of_an_image_is_the_same_in_every_batch(num_channels: int, order: list[int], cuts: set[int]) -> None:
    """All views at once, over permutations cut into batches anywhere."""
    source, _, whole = everything(num_channels)
    again = views_of(EVERY_VIEW, source)
    for part in np.split(np.array(order), sorted(cuts)):
        indices = torch.from_numpy(part)
        assert torch.equal(on_cpu(source).viewed(indices, again), whole[indices])


@pytest.mark.parametrize(
    "augmentation",
    [
        AugmentationConfig(flip=True),
        AugmentationConfig(cutout_pixels=3),
        AugmentationConfig(rand_augment=RandAugmentConfig()),
        EVERY_VIEW,
    ],
)
def test_epochs_and_seeds_show_images_differently(augmentation: AugmentationConfig) -> None:
    source = random_images(NUM_IMAGES, 3, 8, 8)
    images, indices = on_cpu(source), torch.arange(NUM_IMAGES)
    first = images.viewed(indices, views_of(augmentation, source))
    for seed, epoch in ((0, 1), (1, 0)):
        assert not torch.equal(first, images.viewed(indices, views_of(augmentation, source, seed=seed, epoch=epoch)))


@pytest.mark.parametrize("augmentation", [EXACT, EVERY_VIEW])
def test_views_come_again_after_as_many_epochs_as_there_are_views(augmentation: AugmentationConfig) -> None:
    """Three of them are those of the first three epochs of a training that shows new ones each time."""
    source = random_images(NUM_IMAGES, 3, 8, 8)
    images, indices = on_cpu(source), torch.arange(NUM_IMAGES)

    def epochs(shown: AugmentationConfig) -> list[tuple[int, Tensor]]:
        views = [views_of(shown, source, epoch=epoch) for epoch in range(7)]
        return [(each.number, images.viewed(indices, each)) for each in views]

    new, repeated = epochs(augmentation), epochs(augmentation.model_copy(update={"num_views": 3}))
    assert [number for number, _ in new] == list(range(7))
    assert [number for number, _ in repeated] == [0, 1, 2, 0, 1, 2, 0]
    for number, shown in repeated:
        assert torch.equal(shown, new[number][1])


def test_one_view_draws_nothing_of_another_s() -> None:
    """What a study draws of shifts and partners is the same with and without the rest."""
    source = random_images(NUM_IMAGES, 3, 8, 8)
    alone = views_of(AugmentationConfig(shift_pixels=2, mixup=1.0), source)
    among = views_of(EVERY_VIEW, source)
    for name in ("shifts_M2", "partners_M", "shares_M"):
        assert torch.equal(getattr(alone, name), getattr(among, name))


def test_shifts_and_mixtures_are_drawn_as_they_were_before_there_were_other_views() -> None:
    """Recorded at commit 9f05ae6: stored results of older studies are those of these views."""
    shifts = epoch_shifts(3, 5, 1000, 4)
    assert shifts[:4].tolist() == [[-4, -4], [-3, -3], [-4, 3], [-1, 1]]
    assert hashlib.sha256(shifts.numpy().tobytes()).hexdigest().startswith("01b2fd4c0fa3cf26")
    source = random_images(NUM_IMAGES, 1, 6, 6)
    views = views_of(AugmentationConfig(mixup=1.0, shift_pixels=2), source, seed=3, epoch=5)
    assert views.partners_M is not None
    assert views.partners_M.tolist() == [5, 3, 7, 1, 9, 6, 2, 10, 4, 0, 11, 8]
    expected = [0.14413519203662872, 0.403425395488739, 0.03203465789556503]
    assert epoch_shares(3, 5, NUM_IMAGES, 1.0)[:3].tolist() == expected


def test_half_of_the_images_are_mirrored() -> None:
    """Binomial(40,000, 1/2): five standard deviations are 500; a right program fails once in 1.7 million seeds."""
    assert abs(int(epoch_flips(0, 0, 40_000).sum()) - 20_000) < 500


def test_flips_of_an_image_do_not_go_with_its_shift_nor_with_the_epoch_before() -> None:
    """Of independent fair flips 20,000 in 40,000 agree; five standard deviations, once in 1.7 million seeds each."""
    flips = epoch_flips(0, 1, 40_000)
    for other in (epoch_flips(0, 0, 40_000), epoch_shifts(0, 1, 40_000, 4)[:, 1] > 0):
        assert abs(int((flips == other).sum()) - 20_000) < 500


def test_every_centre_of_a_hole_comes_equally_often() -> None:
    """Chi-squared over 5 x 7 pixels, 34 degrees of freedom: 75 is exceeded once in 14,000 seeds."""
    centres = epoch_centres(0, 0, 35_000, 5, 7)
    counts = torch.bincount(centres[:, 0] * 7 + centres[:, 1], minlength=35)
    assert len(counts) == 35
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 75


@pytest.mark.parametrize(
    ("augmentation", "shape", "message"),
    [
        (
            AugmentationConfig(cutout_pixels=9),
            (3, 8, 12),
            r"training\.augmentation\.cutout_pixels = 9: must be at most 8, the shorter side of the images \(8 x 12\)",
        ),
        (
            AugmentationConfig(rand_augment=RandAugmentConfig()),
            (4, 8, 8),
            r"training\.augmentation\.rand_augment must be left out: it needs images of 1 or 3 channels, these have 4",
        ),
    ],
)
def test_views_that_such_images_cannot_have_are_refused_by_name(
    augmentation: AugmentationConfig, shape: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        EpochViews.of(augmentation, 0, 0, torch.arange(4), 4, shape)


def run_of_every_view() -> DistillationRun:
    data = device_data()
    config = student(loss=LossConfig(name="function_matching"), epochs=2)
    training = config.training.model_copy(update={"augmentation": EVERY_VIEW})
    return student_run(config.model_copy(update={"training": training}), data, Recorder(data))


def weights(run: DistillationRun) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


@pytest.mark.parametrize("moment", [0.25, 0.75, 1.5])
def test_run_gone_on_with_in_the_middle_of_an_epoch_has_the_bits_of_one_run_whole(
    tmp_path: Path, moment: float
) -> None:
    whole, first = run_of_every_view(), run_of_every_view()
    for _ in range(2):
        whole.run_epoch()
    if moment > 1.0:
        first.run_epoch()
    first.run_until(moment)
    save_state(tmp_path / "state.pt", {"run": first.state_dict()})
    resumed = run_of_every_view()
    resumed.load_state_dict(load_state(tmp_path / "state.pt", torch.device("cpu"))["run"])  # type: ignore[arg-type]
    while not resumed.is_finished:
        resumed.run_epoch()
    assert torch.equal(weights(resumed), weights(whole))
