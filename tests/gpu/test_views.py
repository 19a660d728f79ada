"""Views on a GPU against those on a CPU."""

import numpy as np
import pytest
import torch

from trainables.config import AugmentationConfig, RandAugmentConfig
from trainables.data.image_arrays import LabelledImages
from trainables.data.views import DeviceImages, EpochViews
from trainables.stored_views import StoredViews
from trainables.teacher_outputs import Batch, Split, StoredOutputs, ViewTable

pytestmark = pytest.mark.gpu


EXACT = AugmentationConfig(shift_pixels=8, flip=True, cutout_pixels=4)


def views_on_both(num_channels: int, augmentation: AugmentationConfig) -> list[torch.Tensor]:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (50, num_channels, 9, 7), dtype=np.uint8)
    source = LabelledImages(pixels, draw.integers(0, 10, 50))
    mean, std = (0.5,) * num_channels, (0.25,) * num_channels
    indices, shown = torch.randperm(50), []
    for device in (torch.device("cpu"), torch.device("cuda")):
        images = DeviceImages(source, mean_C=mean, std_C=std, device=device)
        views = EpochViews.of(augmentation, 0, 0, torch.arange(50, device=device), 50, source.image_shape)
        shown.append(images.viewed(indices.to(device), views).cpu())
    return shown


@pytest.mark.parametrize("num_channels", [1, 3])
@pytest.mark.parametrize("mixup", [0.0, 1.0])
def test_views_on_a_gpu_are_those_on_a_cpu(num_channels: int, mixup: float) -> None:
    views = views_on_both(num_channels, EXACT.model_copy(update={"mixup": mixup}))
    torch.testing.assert_close(views[0], views[1], rtol=1e-6, atol=1e-6)


def test_operations_on_a_gpu_are_those_on_a_cpu_but_for_pixels_at_a_border_or_one_level() -> None:
    """Nearest neighbours at a tie, and sums of an image in another order, may fall otherwise: of 1 pixel in 100."""
    on_cpu, on_gpu = views_on_both(3, AugmentationConfig(rand_augment=RandAugmentConfig()))
    one_level = 1 / (255 * 0.25) + 1e-5
    assert float(((on_cpu - on_gpu).abs() > one_level).double().mean()) < 0.01


def test_stored_views_are_looked_up_on_the_gpu_view_by_view() -> None:
    """Each epoch's table goes there once; rows are those of the array."""
    draw, device = np.random.default_rng(0), torch.device("cuda")
    logits = tuple(draw.standard_normal((50, 10), dtype=np.float32) for _ in range(2))
    unaugmented = StoredOutputs({Split.TRAIN: torch.zeros(50, 10, device=device)})
    source = StoredViews(ViewTable(0, EXACT, logits), unaugmented, device)
    for view in (0, 1, 0):
        indices_N = torch.randperm(50)[:7].to(device)
        batch = Batch(Split.TRAIN, indices_N, torch.zeros(7, 1, 9, 7, device=device), indices_N, view)
        found = source.outputs(batch).logits_NC
        assert found.device.type == "cuda"
        np.testing.assert_array_equal(found.cpu().numpy(), logits[view][indices_N.cpu().numpy()])
