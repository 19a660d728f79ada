"""Mixed images: two of the shown images lerped, as a function of seed, epoch and image, alike for every network."""

# Shapes: M training images, K of them shown.

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.factories import device_data, stored_teacher, student
from tests.trainables.data.test_views import normalized_by_numpy, on_cpu, random_images, shifted_by_numpy
from trainables.config import AugmentationConfig, LossConfig, RandAugmentConfig, TransferConfig
from trainables.data.transfer_set import transfer_set
from trainables.data.views import EpochViews, epoch_shares
from trainables.losses.distillation_loss import Outputs
from trainables.run_start import student_run
from trainables.teacher_outputs import Batch, Split
from trainables.training import DeviceData

MIXED = AugmentationConfig(mixup=1.0)
M = 12


def views_of(augmentation: AugmentationConfig, members_K: Tensor, *, seed: int = 0, epoch: int = 0) -> EpochViews:
    views = EpochViews.of(augmentation, seed, epoch, members_K, M, (3, 8, 8))
    assert views is not None
    return views


def test_view_is_the_lerp_of_two_images_as_numpy_says() -> None:
    source = random_images(M, 3, 5, 7)
    views = views_of(MIXED, torch.arange(M))
    assert views.partners_M is not None
    assert views.shares_M is not None
    plain = normalized_by_numpy(source.images_NCHW)
    shares = views.shares_M.double().numpy().reshape(-1, 1, 1, 1)
    expected = (1 - shares) * plain + shares * plain[views.partners_M.numpy()]
    np.testing.assert_allclose(on_cpu(source).viewed(torch.arange(M), views), expected, rtol=1e-4, atol=1e-5)


def test_both_images_of_a_mixed_view_are_moved_as_the_epoch_moves_them() -> None:
    source = random_images(M, 1, 6, 6)
    views = views_of(AugmentationConfig(mixup=1.0, shift_pixels=2), torch.arange(M))
    assert views.partners_M is not None
    assert views.shares_M is not None
    assert views.shifts_M2 is not None
    moved = np.stack(
        [shifted_by_numpy(source.images_NCHW[index], *views.shifts_M2[index].tolist()) for index in range(M)]
    )
    plain, shares = normalized_by_numpy(moved), views.shares_M.double().numpy().reshape(-1, 1, 1, 1)
    expected = (1 - shares) * plain + shares * plain[views.partners_M.numpy()]
    np.testing.assert_allclose(on_cpu(source).viewed(torch.arange(M), views), expected, rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**31), st.integers(0, 100), st.permutations(range(M)), st.integers(1, M))
def test_mixed_view_depends_on_seed_epoch_and_image_but_not_on_its_batch(
    seed: int, epoch: int, order: list[int], batch_size: int
) -> None:
    images = on_cpu(random_images(M, 1, 8, 8))
    whole = images.viewed(torch.arange(M), views_of(MIXED, torch.arange(M), seed=seed, epoch=epoch))
    again = views_of(MIXED, torch.arange(M), seed=seed, epoch=epoch)
    for indices in torch.split(torch.tensor(order), batch_size):
        assert torch.equal(images.viewed(indices, again), whole[indices])


def test_epochs_and_seeds_mix_differently() -> None:
    images, everything = on_cpu(random_images(M, 1, 8, 8)), torch.arange(M)
    first = images.viewed(everything, views_of(MIXED, everything))
    for seed, epoch in ((0, 1), (1, 0)):
        other = images.viewed(everything, views_of(MIXED, everything, seed=seed, epoch=epoch))
        assert not torch.equal(first, other)


@given(st.integers(0, 1000), st.sets(st.integers(0, M - 1), min_size=1))
def test_partners_are_shown_images_each_once(seed: int, members: set[int]) -> None:
    members_K = torch.tensor(sorted(members))
    views = views_of(MIXED, members_K, seed=seed)
    assert views.partners_M is not None
    assert sorted(views.partners_M[members_K].tolist()) == members_K.tolist()


def test_shares_have_the_moments_of_their_beta_distribution() -> None:
    """Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)); 20,000 draws: five standard errors, once in 10^6 seeds."""
    for alpha in (0.2, 1.0, 8.0):
        shares = epoch_shares(0, 0, 20_000, alpha).double()
        variance = 1 / (4 * (2 * alpha + 1))
        assert shares.mean().item() == pytest.approx(0.5, abs=5 * (variance / 20_000) ** 0.5)
        assert shares.var().item() == pytest.approx(variance, rel=0.05)
        assert 0.0 <= float(shares.min()) <= float(shares.max()) <= 1.0


def test_without_augmentation_there_are_no_views() -> None:
    assert EpochViews.of(AugmentationConfig(), 0, 0, torch.arange(M), M, (1, 8, 8)) is None


class Recorder:
    """A live teacher that keeps each batch that it is shown; its answers are the stored ones."""

    def __init__(self, data: DeviceData) -> None:
        self.batches: list[Batch] = []
        self._stored = stored_teacher(data)

    def network(self, images_NCHW: Tensor) -> Tensor:
        raise AssertionError(f"no method here runs it, and here it was shown {len(images_NCHW)} images")

    def outputs(self, batch: Batch) -> Outputs:
        self.batches.append(batch)
        return self._stored.outputs(batch)


EVERY_VIEW = AugmentationConfig(
    shift_pixels=2, flip=True, rand_augment=RandAugmentConfig(num_ops=2, magnitude=12), cutout_pixels=3, mixup=1.0
)


@pytest.mark.parametrize("augmentation", [MIXED, EVERY_VIEW], ids=["mixed", "every view"])
def test_live_teacher_is_shown_the_students_own_mixed_views_of_shown_images(augmentation: AugmentationConfig) -> None:
    """Each batch, held against the views made anew from seed and epoch; omitted class 1 is in none of them."""
    data = device_data()
    config = student(loss=LossConfig(name="function_matching"), epochs=1)
    training = config.training.model_copy(update={"augmentation": augmentation})
    transfer = TransferConfig(omitted_classes=(1,))
    config = config.model_copy(update={"training": training, "transfer": transfer})
    recorder = Recorder(data)
    run = student_run(config, data, recorder)
    shown: list[Tensor] = []
    forward = run.model.register_forward_pre_hook(lambda _module, inputs: shown.append(inputs[0]))
    run.run_epoch()
    forward.remove()
    images = data.images[Split.TRAIN]
    members_K = torch.as_tensor(transfer_set(images.labels_N.numpy(), transfer).members_K)
    views = EpochViews.of(augmentation, 0, 0, members_K, len(images), data.input_shape)
    assert views is not None
    assert views.partners_M is not None
    for batch, of_student in zip(recorder.batches, shown, strict=True):
        assert torch.equal(batch.images_NCHW, of_student)
        assert torch.equal(batch.images_NCHW, images.viewed(batch.indices_N, views))
        assert not bool((images.labels_N[views.partners_M[batch.indices_N]] == 1).any())
    assert sum(len(batch.indices_N) for batch in recorder.batches) == 80


def test_mixing_with_nothing_shows_the_image_itself() -> None:
    images, everything = on_cpu(random_images(M, 1, 6, 6)), torch.arange(M)
    views = replace(views_of(MIXED, everything), shares_M=torch.zeros(M))
    assert torch.equal(images.viewed(everything, views), images.normalized(everything))
